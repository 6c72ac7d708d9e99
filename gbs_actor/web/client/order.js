/** The order of the list, as the server sorts it. */

/** @import { Row } from "./types.js" */

/** @type {Map<string, string>} */
const comparable = new Map();

/**
 * Group number ascending, unassigned people last; in a group the leader first; then grade
 * descending; then name, by code point of its NFC form; then id.
 *
 * @param {Row} a
 * @param {Row} b
 */
export function compareRows(a, b) {
  return (
    (a.gbsNumber ?? Infinity) - (b.gbsNumber ?? Infinity) ||
    (a.gbsNumber === null ? 0 : Number(b.isLeader) - Number(a.isLeader)) ||
    b.gradeNumber - a.gradeNumber ||
    compareCodePoints(normal(a.name), normal(b.name)) ||
    a.id - b.id
  );
}

/** @param {string} name */
function normal(name) {
  let form = comparable.get(name);
  if (form === undefined) {
    if (comparable.size > 10_000) comparable.clear();
    comparable.set(name, (form = name.normalize("NFC")));
  }
  return form;
}

/**
 * JavaScript compares UTF-16 units, of which surrogates are lower than U+E000 to U+FFFF.
 *
 * @param {string} a
 * @param {string} b
 */
export function compareCodePoints(a, b) {
  if (a === b) return 0;
  let at = 0;
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

/** @param {number} unit NaN: behind the end */
function rank(unit) {
  if (Number.isNaN(unit)) return -1;
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
