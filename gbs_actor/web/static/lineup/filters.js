/** What is searched and filtered for, and which rows that leaves. */
import { colourOf, FIELDS } from "./fields.js";
import { found, searchable } from "./search.js";

/**
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {object} Filters
 * @property {string} search
 * @property {ReadonlyMap<string, ReadonlySet<string>>} values by column: those that are shown
 * @property {ReadonlyMap<number, boolean>} schedules by id: registered for it, or not
 */

/** @type {Filters} */
export const NO_FILTERS = { search: "", values: new Map(), schedules: new Map() };

/** @param {Filters} filters */
export function isFiltered({ search, values, schedules }) {
  return search !== "" || values.size > 0 || schedules.size > 0;
}

/** @type {WeakMap<Row, string>} */
const searched = new WeakMap();

/** @param {Row} row */
function searchedText(row) {
  let text = searched.get(row);
  if (text === undefined) {
    const { name, currentLeader, lineupMemo, phoneNumber } = row;
    const gbsMemo = FIELDS.gbsMemo.text(row);
    text = searchable([name, currentLeader, lineupMemo, gbsMemo, phoneNumber, phoneNumber.replaceAll("-", "")].join("\n"));
    searched.set(row, text);
  }
  return text;
}

/**
 * @param {Filters} filters
 * @returns {(row: Row) => boolean} whether a row passes all of them
 */
export function matching({ search, values, schedules }) {
  const query = searchable(search);
  return (row) => {
    for (const [key, chosen] of values) if (!chosen.has(valueOf(key, row))) return false;
    for (const [id, wanted] of schedules) {
      if (row.userRetreatRegistrationScheduleIds.includes(id) !== wanted) return false;
    }
    return query === "" || found(searchedText(row), query);
  };
}

/**
 * The value of a column that one can filter by.
 *
 * @param {string} key
 * @param {Row} row
 */
export function valueOf(key, row) {
  return key === "lineupMemo" ? colourOf(row) : FIELDS[key].text(row);
}

/**
 * The values of a column with their numbers of rows, in order.
 *
 * @param {string} key
 * @param {readonly Row[]} rows
 * @returns {{value: string, count: number}[]}
 */
export function valuesIn(key, rows) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const row of rows) counts.set(valueOf(key, row), (counts.get(valueOf(key, row)) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ value, count })).sort((one, other) => inOrder(one.value, other.value));
}

/**
 * @param {string} one
 * @param {string} other
 */
function inOrder(one, other) {
  if (one === "" || other === "") return one === "" ? 1 : -1;
  return one.localeCompare(other, "ko", { numeric: true });
}

/**
 * Filter a column for some values; all of them: not at all.
 *
 * @param {Filters} filters
 * @param {string} key
 * @param {ReadonlySet<string> | null} chosen
 * @returns {Filters}
 */
export function withValues(filters, key, chosen) {
  const values = new Map(filters.values);
  if (chosen === null) values.delete(key);
  else values.set(key, chosen);
  return { ...filters, values };
}

/**
 * @param {Filters} filters
 * @param {number} id
 * @param {boolean | null} wanted `null`: ignore it
 * @returns {Filters}
 */
export function withSchedule(filters, id, wanted) {
  const schedules = new Map(filters.schedules);
  if (wanted === null) schedules.delete(id);
  else schedules.set(id, wanted);
  return { ...filters, schedules };
}
