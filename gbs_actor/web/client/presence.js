/** Who is in the room, and which cell each of them edits. */

/**
 * @import { Clock, EditingMark, Field } from "./types.js"
 * @import { Editing, Presence as PresencePayload } from "./wire.js"
 */

/** A mark ends at the server after 10 s without renewal. */
const RENEWAL = 4_000;
const EXPIRY = 12_000;

export class Presence {
  /** @type {PresencePayload} */
  shown = Object.freeze({ users: [], total: 0 });

  #clock;
  #changed;
  #send;
  /** @type {Map<string, { mark: EditingMark, timer: unknown }>} */
  #marks = new Map();
  /** @type {{ id: number, field: Field | null } | null} */
  #own = null;
  /** @type {unknown} */
  #renewal;
  /** Whether the next message also says what is edited so far. */
  #joining = true;

  /**
   * @param {Clock} clock
   * @param {() => void} changed
   * @param {(argument: { lineupId: number, field: Field | null, editing: boolean }) => void} send
   */
  constructor(clock, changed, send) {
    this.#clock = clock;
    this.#changed = changed;
    this.#send = send;
  }

  /** What others edit. */
  get marks() {
    return [...this.#marks.values()].map(({ mark }) => mark);
  }

  /** The room was joined: marks from before may have ended. */
  joined() {
    this.#endAll();
    this.#joining = true;
    if (this.#own !== null) this.#renew();
  }

  /** @param {PresencePayload} payload */
  receive(payload) {
    this.shown = Object.freeze(payload);
    for (const { userId, userName, editing } of this.#joining ? payload.users : []) {
      for (const { lineupId, field } of editing) {
        if (lineupId === this.#own?.id && field === this.#own.field) continue;
        this.#begin({ id: lineupId, field, userId, userName });
      }
    }
    this.#joining = false;
    this.#changed();
  }

  /** @param {Editing} payload */
  receiveEditing({ lineupId: id, field, userId, userName, editing }) {
    const mark = { id, field, userId, userName };
    if (editing) this.#begin(mark);
    else this.#end(keyOf(mark));
    this.#changed();
  }

  /**
   * Show others what is edited here, until it ends.
   *
   * @param {number} id
   * @param {Field | null} field
   * @param {boolean} on
   */
  edit(id, field, on) {
    const isOwn = this.#own?.id === id && this.#own.field === field;
    if (on && !isOwn) {
      this.#own = { id, field };
      this.#renew();
    } else if (!on && isOwn) {
      this.#stop();
      this.#send({ lineupId: id, field, editing: false });
    }
  }

  close() {
    this.#stop();
    this.#endAll();
  }

  #stop() {
    this.#own = null;
    this.#clock.clearTimeout(this.#renewal);
  }

  #renew() {
    this.#clock.clearTimeout(this.#renewal);
    if (this.#own === null) return;
    this.#send({ lineupId: this.#own.id, field: this.#own.field, editing: true });
    this.#renewal = this.#clock.setTimeout(() => this.#renew(), RENEWAL);
  }

  /** @param {EditingMark} mark */
  #begin(mark) {
    const key = keyOf(mark);
    this.#end(key);
    const timer = this.#clock.setTimeout(() => {
      this.#end(key);
      this.#changed();
    }, EXPIRY);
    this.#marks.set(key, { mark: Object.freeze(mark), timer });
  }

  #endAll() {
    for (const key of [...this.#marks.keys()]) this.#end(key);
  }

  /** @param {string} key */
  #end(key) {
    this.#clock.clearTimeout(this.#marks.get(key)?.timer);
    this.#marks.delete(key);
  }
}

/** @param {EditingMark} mark */
const keyOf = ({ userId, id, field }) => `${userId}:${id}:${field}`;
