/** Own edits without an answer, in the order in which they were made. */
import { shownOf } from "./replica.js";

/**
 * @import { Field, MemoValue, Row, Touch } from "./types.js"
 */

/**
 * @typedef {object} Edit
 * @property {string} commandId makes a repeat one
 * @property {Touch[]} touches what it is expected to change
 * @property {number | null} baseRevision of the row that its author saw
 * @property {string | null} epoch of the base
 * @property {string} [event] fixed when it is sent first: a repeat has to be the same
 * @property {Record<string, unknown>} [argument]
 */

/** @param {{ id: number, field: Field }} cell */
export const keyOf = ({ id, field }) => `${id}:${field}`;

/**
 * Of the edits of one cell only the first is sent, and a later one takes the place of one that was
 * not sent yet. Once the first is answered, the next one rests on the revision it made.
 */
export class Pending {
  /** @type {Edit[]} */
  edits = [];

  /**
   * @param {Edit} edit
   * @returns {Edit | undefined} the edit whose place it took
   */
  add(edit) {
    const key = onlyKey(edit);
    const former = key === null ? undefined : this.last(key);
    if (former === undefined || former.event !== undefined) {
      this.edits.push(edit);
      return undefined;
    }
    this.edits[this.edits.indexOf(former)] = edit;
    return former;
  }

  /**
   * The last edit of one cell alone.
   *
   * @param {string} key
   */
  last(key) {
    return this.edits.findLast((each) => onlyKey(each) === key);
  }

  /** @param {Edit} edit */
  remove(edit) {
    this.edits = this.edits.filter((each) => each !== edit);
  }

  /** Those that no earlier edit of one of their cells holds up. @returns {Edit[]} */
  get first() {
    const taken = new Set();
    return this.edits.filter((edit) => {
      const keys = edit.touches.map(keyOf);
      const free = !keys.some((key) => taken.has(key));
      for (const key of keys) taken.add(key);
      return free;
    });
  }

  /**
   * The later edits of one of the cells of an edit, each of that cell alone.
   *
   * @param {Edit} edit
   */
  after(edit) {
    const keys = new Set(edit.touches.map(keyOf));
    const later = this.edits.slice(this.edits.indexOf(edit) + 1);
    return later.filter((each) => keys.has(onlyKey(each) ?? ""));
  }

  /**
   * Return a row as it will read once all edits are accepted.
   *
   * @param {Row} row
   * @param {Map<number, Row>} rows all of them, as they are
   */
  over(row, rows) {
    /** @type {Row} */
    let shown = row;
    for (const { touches } of this.edits) {
      for (const touch of touches) {
        if (touch.id === row.id) shown = { ...shown, ...valuesOf(touch, rows) };
      }
    }
    return shown === row ? row : Object.freeze(shown);
  }
}

/**
 * @param {Edit} edit
 * @returns {string | null} `null`: it is not of one cell
 */
function onlyKey({ touches }) {
  const [touch] = touches;
  return touch !== undefined && touches.length === 1 ? keyOf(touch) : null;
}

/**
 * @param {Touch} touch
 * @param {Map<number, Row>} rows
 * @returns {Partial<Row>}
 */
function valuesOf({ field, value }, rows) {
  if (field === "gbsNumber") {
    const gbsNumber = /** @type {number | null} */ (value);
    const member = [...rows.values()].find((row) => gbsNumber !== null && row.gbsNumber === gbsNumber);
    return { gbsNumber, ...shownOf(member) };
  }
  const memo = /** @type {MemoValue} */ (value);
  if (memo === null) return { lineupMemo: "", lineupMemocolor: "", lineupMemoId: null };
  return { lineupMemo: memo.memo, lineupMemocolor: memo.color };
}
