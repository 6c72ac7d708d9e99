/** What the server did not accept: conflicts to be resolved, and failures to be seen. */
import { keyOf } from "./pending.js";
import { valueOf } from "./requests.js";

/**
 * @import { Conflict, Failure, Touch } from "./types.js"
 * @import { ErrorReply } from "./wire.js"
 * @import { Edit } from "./pending.js"
 */

const MAX_FAILURES = 100;

export class Rejected {
  /** By `id:field`. @type {Map<string, Conflict>} */
  conflicts = new Map();
  /** @type {readonly Failure[]} */
  failures = [];

  /** By `id:field`: the edits whose conflicts are open. @type {Map<string, Edit>} */
  #edits = new Map();
  #failed = 0;

  /** Edits that would conflict again: they are kept over a reload until that is resolved. */
  get edits() {
    return [...this.#edits.values()];
  }

  /**
   * @param {Edit} edit of one cell
   * @param {Touch} wanted what was typed last
   * @param {ErrorReply & { conflict: NonNullable<ErrorReply["conflict"]> }} reply
   * @param {string | null} epoch the room's
   * @returns {Conflict}
   */
  conflict(edit, { id, field, value }, { conflict: found, data }, epoch) {
    const key = keyOf({ id, field });
    const { changedBy, changedAt, revision } = found;
    const conflict = Object.freeze({
      key,
      id,
      field,
      mine: value,
      theirs: valueOf(found.theirs),
      changedBy,
      changedAt,
      revision,
      epoch,
      row: data ?? null,
    });
    this.conflicts.set(key, conflict);
    const { commandId, baseRevision, epoch: baseEpoch } = edit;
    const touches = [{ id, field, value }];
    this.#edits.set(key, { commandId, baseRevision, epoch: baseEpoch, touches });
    return conflict;
  }

  /**
   * @param {Touch[]} touches
   * @param {{ code: string, message: string }} error
   * @param {number} at milliseconds since 1970
   * @returns {Failure}
   */
  fail(touches, { code, message }, at) {
    const { id = null, field = null, value } = { ...(touches.length === 1 ? touches[0] : {}) };
    this.#failed += 1;
    const failure = Object.freeze({ key: String(this.#failed), id, field, value, code, message, at });
    this.failures = [...this.failures, failure].slice(-MAX_FAILURES);
    return failure;
  }

  /** @param {string} key of a failure */
  dismiss(key) {
    this.failures = this.failures.filter((failure) => failure.key !== key);
  }

  /** A cell has a new value: what was not accepted of it is of no interest any more. @param {string} key */
  forget(key) {
    this.conflicts.delete(key);
    this.#edits.delete(key);
    this.failures = this.failures.filter(({ id, field }) => `${id}:${field}` !== key);
  }
}
