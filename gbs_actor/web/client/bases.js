/** What the author of an edit had seen when they made it: the revision that the server compares. */
import { keyOf } from "./pending.js";

/**
 * @import { Base, Field } from "./types.js"
 * @import { Pending } from "./pending.js"
 * @import { Replica } from "./replica.js"
 */

export class Bases {
  #replica;
  #pending;
  /** By `id:field`: the last revision made here. @type {Map<string, Base>} */
  #own = new Map();

  /**
   * @param {Replica} replica
   * @param {Pending} pending
   */
  constructor(replica, pending) {
    this.#replica = replica;
    this.#pending = pending;
  }

  /**
   * What whoever looks at a cell now sees of it.
   *
   * @param {{ id: number, field: Field }} cell
   * @returns {Base | undefined} `undefined`: there is no such row
   */
  of(cell) {
    const row = this.#replica.rows.get(cell.id);
    // Behind an own edit nobody sees what others have written since.
    const { baseRevision: revision = null, epoch = null } = this.#pending.last(keyOf(cell)) ?? {};
    if (revision !== null) return { revision, epoch };
    return row && { revision: row.revision, epoch: this.#replica.epoch };
  }

  /**
   * What was seen of a cell, and what its author has made of it themselves since then.
   *
   * @param {string} key
   * @param {Base} seen
   * @returns {Base}
   */
  withOwn(key, { revision, epoch }) {
    const own = this.#own.get(key);
    return { revision: own?.epoch === epoch ? Math.max(own.revision, revision) : revision, epoch };
  }

  /**
   * A cell was changed from here.
   *
   * @param {string} key
   * @param {number} revision
   */
  made(key, revision) {
    this.#own.set(key, { revision, epoch: this.#replica.epoch });
  }
}
