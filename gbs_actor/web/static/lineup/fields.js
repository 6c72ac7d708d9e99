/** What the columns read of a row: a text, and what they are sorted by. */
import { texts } from "./strings.js";

/**
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {object} FieldReader
 * @property {(row: Row) => string} text
 * @property {(row: Row) => number | string} [order] default: the text
 * @property {boolean} [filter] whether its values can be chosen from
 */

const ofLeader = (/** @type {keyof Row} */ field) => ({
  text: (/** @type {Row} */ row) => (row.isLeader && row.gbsNumber !== null ? String(row[field]) : ""),
  order: (/** @type {Row} */ row) => (row.gbsNumber === null ? -1 : Number(row[field])),
});

/** By the key of the column. @type {Record<string, FieldReader>} */
export const FIELDS = {
  gbsNumber: {
    text: ({ gbsNumber }) => (gbsNumber === null ? "" : String(gbsNumber)),
    order: ({ gbsNumber }) => gbsNumber ?? Infinity,
    filter: true,
  },
  fullAttendanceCount: ofLeader("fullAttendanceCount"),
  partialAttendanceCount: ofLeader("partialAttendanceCount"),
  maleCount: ofLeader("maleCount"),
  femaleCount: ofLeader("femaleCount"),
  lineupMemo: { text: ({ lineupMemo }) => lineupMemo },
  univGroupNumber: {
    text: ({ univGroupNumber }) => texts.univGroup(univGroupNumber),
    order: ({ univGroupNumber }) => univGroupNumber,
    filter: true,
  },
  gender: { text: ({ gender }) => texts.genders[gender] ?? "", filter: true },
  gradeNumber: { text: ({ gradeNumber }) => String(gradeNumber), order: ({ gradeNumber }) => gradeNumber, filter: true },
  name: { text: ({ name }) => name },
  phoneNumber: { text: ({ phoneNumber }) => phoneNumber },
  userType: { text: ({ userType }) => (userType ? (texts.userTypes[userType] ?? userType) : ""), filter: true },
  currentLeader: { text: ({ currentLeader }) => currentLeader, filter: true },
  gbsMemo: { text: ({ gbsMemo, isLeader }) => (isLeader ? gbsMemo : "") },
};

/** The values of the memo column are its colours. @param {Row} row */
export const colourOf = ({ lineupMemocolor }) => lineupMemocolor.toUpperCase();

const collator = new Intl.Collator("ko", { numeric: true });

/**
 * Compare two rows by a column.
 *
 * @param {string} key
 * @param {boolean} descending
 * @returns {(one: Row, other: Row) => number}
 */
export function comparing(key, descending) {
  const { text, order = text } = FIELDS[key];
  const sign = descending ? -1 : 1;
  return (one, other) => {
    const [a, b] = [order(one), order(other)];
    // What is empty stays at the end.
    if (a === b) return 0;
    if (a === "" || a === Infinity) return 1;
    if (b === "" || b === Infinity) return -1;
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)));
  };
}
