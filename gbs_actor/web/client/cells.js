/** The state that cells show: saving, saved, waiting, failed, in conflict. */
import { keyOf } from "./pending.js";

/**
 * @import { CellStatus, Clock } from "./types.js"
 * @import { Edit } from "./pending.js"
 * @import { Rejected } from "./rejected.js"
 */

/** For how long a cell shows that it was saved. */
const SHOWN = 2_000;

export class SavedCells {
  #clock;
  #changed;
  /** @type {Map<string, unknown>} */
  #timers = new Map();

  /**
   * @param {Clock} clock
   * @param {() => void} changed
   */
  constructor(clock, changed) {
    this.#clock = clock;
    this.#changed = changed;
  }

  get keys() {
    return this.#timers.keys();
  }

  /** @param {string} key */
  add(key) {
    this.#clock.clearTimeout(this.#timers.get(key));
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(key);
      this.#changed();
    }, SHOWN);
    this.#timers.set(key, timer);
  }

  close() {
    for (const timer of this.#timers.values()) this.#clock.clearTimeout(timer);
  }
}

/**
 * @param {SavedCells} saved
 * @param {Rejected} rejected
 * @param {Edit[]} pending
 * @param {boolean} sending whether what is pending is being sent
 */
export function cellsOf(saved, rejected, pending, sending) {
  /** @type {Map<string, CellStatus>} */
  const cells = new Map();
  for (const key of saved.keys) cells.set(key, { status: "saved" });
  for (const { id, field, code } of rejected.failures) {
    if (id !== null && field !== null) cells.set(keyOf({ id, field }), { status: "failed", reason: code });
  }
  for (const key of rejected.conflicts.keys()) cells.set(key, { status: "conflict" });
  for (const { touches } of pending) {
    for (const touch of touches) cells.set(keyOf(touch), { status: sending ? "saving" : "waiting" });
  }
  return cells;
}
