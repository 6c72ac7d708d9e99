/** The rows as they are shown: the replica's, with own edits laid over. */
import { notify } from "./notify.js";
import { compareRows } from "./order.js";

/**
 * @import { Row } from "./types.js"
 * @import { Pending } from "./pending.js"
 * @import { Replica } from "./replica.js"
 */

export class ShownRows {
  #replica;
  #pending;
  /** @type {Map<number, Row>} */
  #shown = new Map();
  /** @type {readonly Row[]} */
  #list = Object.freeze([]);
  #outdated = false;
  /** @type {Map<number, Set<() => void>>} */
  #listeners = new Map();

  /**
   * @param {Replica} replica
   * @param {Pending} pending
   */
  constructor(replica, pending) {
    this.#replica = replica;
    this.#pending = pending;
  }

  /** @param {number} id */
  get(id) {
    return this.#shown.get(id);
  }

  /** In list order; the same array until a row changes. */
  get list() {
    if (this.#outdated) {
      this.#outdated = false;
      // In the former order, nearly sorted, it is sorted in no time.
      const known = new Set(this.#list.map((row) => row.id));
      const ids = [...known, ...[...this.#shown.keys()].filter((id) => !known.has(id))];
      const rows = ids.flatMap((id) => this.#shown.get(id) ?? []);
      this.#list = Object.freeze(rows.sort(compareRows));
    }
    return this.#list;
  }

  /**
   * Rows may read differently now.
   *
   * @param {Iterable<number>} ids
   */
  update(ids) {
    /** @type {number[]} */
    const changed = [];
    for (const id of ids) {
      const row = this.#replica.rows.get(id);
      const shown = row && this.#pending.over(row, this.#replica.rows);
      if (shown === this.#shown.get(id)) continue;
      if (shown === undefined) this.#shown.delete(id);
      else this.#shown.set(id, shown);
      changed.push(id);
    }
    if (changed.length > 0) this.#outdated = true;
    for (const id of changed) notify(this.#listeners.get(id) ?? []);
  }

  /**
   * @param {number} id
   * @param {() => void} listener
   */
  subscribe(id, listener) {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(listener));
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#listeners.delete(id);
    };
  }
}
