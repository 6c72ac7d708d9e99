/**
 * Which rows are shown, and in which order. Once arranged they stay where they are, so that
 * nothing moves under the pointer: what changes is counted until it is arranged anew.
 *
 * @typedef {{id: number}} Row an unchanged row is the same object
 * @typedef {object} Rule
 * @property {(row: any) => boolean} matches whether it is to be shown
 * @property {(one: any, other: any) => number} compare
 * @typedef {{ids: number[], shown: Set<number>, seen: Map<number, Row>}} Arrangement
 */

/**
 * Arrange rows by a rule.
 *
 * @param {readonly Row[]} rows
 * @param {Rule} rule rows that it takes for equal stay in their order
 * @returns {Arrangement}
 */
export function arrange(rows, { matches, compare }) {
  const ids = rows.filter(matches).sort(compare).map(({ id }) => id);
  return { ids, shown: new Set(ids), seen: byId(rows) };
}

/**
 * Return the rows as they are now, where they were when they were arranged.
 *
 * @param {Arrangement} arrangement
 * @param {readonly Row[]} rows
 * @param {Rule} rule by which they were arranged
 * @returns {{rows: Row[], displaced: number}} displaced: how many have changed so that they would
 *   be elsewhere, would come or would go
 */
export function keep({ ids, shown, seen }, rows, { matches, compare }) {
  const now = byId(rows);
  let displaced = 0;
  for (const row of rows) {
    const before = seen.get(row.id);
    if (row === before) continue;
    const stays = shown.has(row.id);
    if (stays !== matches(row) || (stays && before && compare(before, row) !== 0)) displaced += 1;
  }
  return { rows: ids.flatMap((id) => now.get(id) ?? []), displaced };
}

/** @param {readonly Row[]} rows */
function byId(rows) {
  return new Map(rows.map((row) => [row.id, row]));
}
