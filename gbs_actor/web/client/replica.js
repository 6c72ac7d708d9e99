/** The client's copy of a retreat's list. */

/**
 * @import { Row } from "./types.js"
 * @import { DeletedGroup, GroupUpdate, LineupsUpdate } from "./wire.js"
 */

/**
 * Rows merged by id. Each row of an update or a join replaces the older one, unconditionally:
 * the server guarantees the order. A row that reads as before stays the same object.
 *
 * The values of an updated group go to every row with its number, and leave the row's revision as
 * it is: a base revision must not hide what happened to the row's own fields.
 *
 * Each method that changes rows returns the former ones by id, `undefined` for a new row.
 */
export class Replica {
  /** @type {Map<number, Row>} */
  rows = new Map();

  /** The highest revision seen; everything up to it has arrived. */
  revision = 0;

  /** The highest revision of an update or a join: what the next join may ask from. */
  since = 0;

  /** Of `revision`; `null` before the first list. @type {string | null} */
  epoch = null;

  /** @typedef {Map<number, Row | undefined>} Former */

  /**
   * Apply the answer to a join.
   *
   * @param {Row[]} rows
   * @param {{ revision: number, epoch: string, full: boolean }} answer
   * @returns {Former}
   */
  join(rows, { revision, epoch, full }) {
    if (!full) return this.merge(rows, revision);
    const former = this.#put(rows);
    const ids = new Set(rows.map((row) => row.id));
    for (const id of [...this.rows.keys()]) if (!ids.has(id)) this.#remove(id, former);
    this.revision = this.since = revision;
    this.epoch = epoch;
    return former;
  }

  /**
   * Merge rows of an update or a join; everything up to `revision` has arrived.
   *
   * @param {Row[]} rows
   * @returns {Former}
   */
  merge(rows, revision = 0) {
    const highest = rows.reduce((most, row) => Math.max(most, row.revision), revision);
    this.revision = Math.max(this.revision, highest);
    this.since = Math.max(this.since, highest);
    return this.#put(rows);
  }

  /**
   * Apply an update in the batch form: its rows, then its groups.
   *
   * @param {LineupsUpdate} update
   * @returns {Former}
   */
  apply(update) {
    const former = this.merge(update.rows, update.revision);
    for (const id of update.removed ?? []) this.#remove(id, former);
    const groups = new Map(update.groups.map((group) => [group.gbsNumber, group]));
    for (const row of groups.size > 0 ? this.rows.values() : []) {
      const group = row.gbsNumber === null ? undefined : groups.get(row.gbsNumber);
      if (group !== undefined) this.#set({ ...row, ...shownOf(group) }, former);
    }
    return former;
  }

  /**
   * Merge the row of an answer, unless it is not in the list or there is a newer one.
   *
   * @param {Row} row
   * @param {number | null} revision the answer's; `null`: it was given outside the room, or is an error
   * @returns {Former}
   */
  mergeAnswer(row, revision) {
    this.revision = Math.max(this.revision, revision ?? 0);
    const known = this.rows.get(row.id);
    return known !== undefined && known.revision <= row.revision ? this.#put([row]) : new Map();
  }

  /** @param {Row[]} rows */
  #put(rows) {
    /** @type {Former} */
    const former = new Map();
    for (const row of rows) this.#set(row, former);
    return former;
  }

  /**
   * @param {Row} row
   * @param {Former} former
   */
  #set(row, former) {
    const known = this.rows.get(row.id);
    if (known !== undefined && sameRow(known, row)) return;
    const first = former.has(row.id) ? former.get(row.id) : known;
    if (first !== undefined && sameRow(first, row)) {
      this.rows.set(row.id, first); // changed and back again
      former.delete(row.id);
    } else {
      this.rows.set(row.id, Object.freeze(row));
      former.set(row.id, first);
    }
  }

  /**
   * @param {number} id
   * @param {Former} former
   */
  #remove(id, former) {
    const known = this.rows.get(id);
    if (this.rows.delete(id) && !former.has(id)) former.set(id, known);
  }
}

const NO_GROUP = Object.freeze({
  gbsMemo: "",
  totalCount: 0,
  maleCount: 0,
  femaleCount: 0,
  fullAttendanceCount: 0,
  partialAttendanceCount: 0,
});

/**
 * Return what the rows of a group show of it.
 *
 * @param {GroupUpdate | DeletedGroup | Row | undefined} group `undefined`: there is none
 */
export function shownOf(group) {
  if (group === undefined || "deleted" in group) return NO_GROUP;
  const { gbsMemo, totalCount, maleCount, femaleCount } = group;
  const { fullAttendanceCount, partialAttendanceCount } = group;
  return { gbsMemo, totalCount, maleCount, femaleCount, fullAttendanceCount, partialAttendanceCount };
}

/**
 * The fields in which two rows differ.
 *
 * @param {Row} a
 * @param {Row} b
 * @returns {(keyof Row)[]}
 */
export function differences(a, b) {
  const fields = /** @type {(keyof Row)[]} */ (Object.keys(b));
  return fields.filter((field) => !sameValue(a[field], b[field]));
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function sameRow(a, b) {
  for (const field of /** @type {(keyof Row)[]} */ (Object.keys(b))) {
    if (!sameValue(a[field], b[field])) return false;
  }
  return true;
}

/**
 * @param {unknown} a
 * @param {unknown} b
 */
function sameValue(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((each, at) => each === b[at]);
}
