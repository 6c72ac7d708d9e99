/** Sends own edits until they are answered, and keeps what the server did not accept. */
import { delay } from "./backoff.js";
import { keyOf, Pending } from "./pending.js";
import { requestOf, valueOf } from "./requests.js";
import { randomUuid } from "./uuid.js";

/**
 * @import { CellStatus, Clock, Conflict, Failure, Outcome, Row, Touch } from "./types.js"
 * @import { Reply } from "./connection.js"
 * @import { Edit } from "./pending.js"
 * @import { Replica } from "./replica.js"
 * @import { Drafts } from "./drafts.js"
 */

const MAX_IN_FLIGHT = 8;
const MAX_PENDING = 500;
const MAX_FAILURES = 100;
/** For how long a cell shows that it was saved. */
const SAVED = 2_000;

/**
 * @typedef {object} CommandHandlers
 * @property {(event: string, argument: object, answered: (reply: Reply) => void) => void} send
 * @property {() => void} renewToken
 * @property {(row: Row, revision: number | null) => void} merge the row of an answer
 * @property {(ids: Iterable<number>) => void} changed rows may read differently, or the state of cells
 * @property {(milliseconds: number) => void} answered
 */

export class Commands {
  pending = new Pending();
  /** @type {Map<string, Conflict>} */
  conflicts = new Map();
  /** @type {Failure[]} */
  failures = [];

  #replica;
  #drafts;
  #clock;
  #random;
  #handlers;
  #live = false;
  /** @type {Set<Edit>} */
  #inFlight = new Set();
  /** @type {Map<Edit, (outcome: Outcome) => void>} */
  #waiting = new Map();
  /** Edits whose conflict is open, so that they are not lost by a reload. @type {Map<string, Edit>} */
  #refused = new Map();
  /** @type {Map<string, unknown>} */
  #saved = new Map();
  /** Set while the server is too busy to be sent more. @type {unknown} */
  #pause;
  #retries = 0;
  #failed = 0;

  /**
   * @param {{ replica: Replica, drafts: Drafts, clock: Clock, random: () => number }} parts
   * @param {CommandHandlers} handlers
   */
  constructor({ replica, drafts, clock, random }, handlers) {
    this.#replica = replica;
    this.#drafts = drafts;
    this.#clock = clock;
    this.#random = random;
    this.#handlers = handlers;
    this.pending.edits = drafts.load();
  }

  /** By `id:field`. @returns {Map<string, CellStatus>} */
  get cells() {
    /** @type {Map<string, CellStatus>} */
    const cells = new Map();
    for (const key of this.#saved.keys()) cells.set(key, { status: "saved" });
    for (const { id, field, code } of this.failures) {
      if (id !== null && field !== null) cells.set(keyOf({ id, field }), { status: "failed", reason: code });
    }
    for (const key of this.conflicts.keys()) cells.set(key, { status: "conflict" });
    const status = this.#live && this.#pause === undefined ? "saving" : "waiting";
    for (const { touches } of this.pending.edits) {
      for (const touch of touches) cells.set(keyOf(touch), { status });
    }
    return cells;
  }

  /**
   * Set a cell, and show it at once.
   *
   * @param {Touch} touch
   * @param {{ revision: number | null, epoch?: string | null }} [base] what its author saw; default: the row as it is
   * @returns {Promise<Outcome>}
   */
  set(touch, base = this.#replica.rows.get(touch.id)) {
    if (base === undefined) return this.#reject([touch], "NOT_FOUND", "There is no such row.");
    const key = keyOf(touch);
    this.#forget(key);
    return this.#add({
      commandId: randomUuid(),
      touches: [touch],
      baseRevision: base.revision,
      epoch: "epoch" in base ? base.epoch : this.#replica.epoch,
    });
  }

  /**
   * @param {string} event
   * @param {object} argument
   * @param {Touch[]} touches
   * @returns {Promise<Outcome>}
   */
  command(event, argument, touches) {
    const commandId = randomUuid();
    // The commandId of an undo is that of the change.
    const id = event === "undo" ? { idempotencyKey: commandId } : { commandId };
    const epoch = this.#replica.epoch;
    return this.#add({
      commandId,
      touches,
      baseRevision: null,
      epoch,
      event,
      argument: { epoch, ...argument, ...id },
    });
  }

  /**
   * @param {Conflict} conflict
   * @param {"mine" | "theirs"} choice
   */
  resolve({ key, id, field, mine, revision }, choice) {
    if (!this.conflicts.has(key)) return;
    if (choice === "mine") void this.set({ id, field, value: mine }, { revision });
    else this.#forget(key);
    this.#change([id]);
  }

  /** @param {Failure} failure */
  dismiss(failure) {
    this.failures = this.failures.filter((each) => each.key !== failure.key);
    this.#handlers.changed([]);
  }

  /** @param {string | undefined} commandId */
  isOwn(commandId) {
    return this.pending.edits.some((edit) => edit.commandId === commandId);
  }

  /** The room was joined, or the token renewed: send what is pending, what was sent before too. */
  live() {
    this.#live = true;
    this.#flush();
  }

  /** Nothing that was sent will be answered. */
  lost() {
    this.#live = false;
    this.#inFlight.clear();
    this.#resume();
  }

  close() {
    this.lost();
    for (const timer of this.#saved.values()) this.#clock.clearTimeout(timer);
  }

  /**
   * @param {Edit} edit
   * @returns {Promise<Outcome>}
   */
  #add(edit) {
    if (this.pending.edits.length >= MAX_PENDING) {
      return this.#reject(edit.touches, "TOO_MANY_PENDING", "Too many edits are not saved yet.");
    }
    return new Promise((resolve) => {
      this.#waiting.set(edit, resolve);
      const former = this.pending.add(edit);
      if (former !== undefined) this.#settle(former, { status: "superseded" });
      this.#change(edit.touches.map(({ id }) => id));
      this.#flush();
    });
  }

  #flush() {
    if (!this.#live || this.#pause !== undefined) return;
    for (const edit of this.pending.first) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) break;
      if (!this.#inFlight.has(edit)) this.#send(edit);
    }
  }

  /** @param {Edit} edit */
  #send(edit) {
    if (edit.event === undefined || edit.argument === undefined) {
      const [touch] = /** @type {[Touch]} */ (edit.touches);
      const row = this.#replica.rows.get(touch.id);
      const request = requestOf(touch, row);
      if (request === null) return this.#accept(edit, row ?? null, null, null);
      const { commandId, baseRevision, epoch } = edit;
      edit.event = request.event;
      edit.argument = { ...request.argument, commandId, baseRevision, epoch };
      this.#save();
    }
    this.#inFlight.add(edit);
    const sent = this.#clock.now();
    this.#handlers.send(edit.event, edit.argument, (reply) => {
      this.#inFlight.delete(edit);
      this.#handlers.answered(this.#clock.now() - sent);
      this.#receive(edit, reply);
      this.#flush();
    });
  }

  /**
   * @param {Edit} edit
   * @param {Reply} reply
   */
  #receive(edit, reply) {
    if (reply.status === "OK") {
      this.#retries = 0;
      const row = typeof reply.data?.id === "number" ? reply.data : null;
      return this.#accept(edit, row, reply.revision, reply.data);
    }
    if (reply.code === "TOKEN_EXPIRED") return this.#handlers.renewToken();
    if (reply.retryable) return this.#sendLater();
    if (reply.data !== undefined) this.#handlers.merge(reply.data, null);
    const [touch] = edit.touches;
    if (reply.code === "NOT_FOUND" && touch?.field === "lineupMemo" && this.#readdress(edit, touch)) return;
    if (reply.conflict && touch && edit.touches.length === 1) return this.#conflict(edit, touch, reply);
    const failure = this.#fail(edit.touches, reply.code, reply.message);
    this.#end(edit, { status: "failed", failure });
  }

  /**
   * @param {Edit} edit
   * @param {Row | null} row
   * @param {number | null} revision that it made
   * @param {unknown} data
   */
  #accept(edit, row, revision, data) {
    if (row !== null) this.#handlers.merge(row, revision);
    if (revision !== null) {
      for (const later of this.pending.after(edit)) {
        later.baseRevision = revision;
        later.epoch = this.#replica.epoch;
      }
    }
    for (const touch of edit.touches) this.#show(keyOf(touch));
    this.#end(edit, { status: "saved", row, data });
  }

  /**
   * The memo was deleted meanwhile, and perhaps written anew: ask for the same of what there is
   * now, so that the server finds the conflict.
   *
   * @param {Edit} edit
   * @param {Touch} touch
   */
  #readdress(edit, touch) {
    const row = this.#replica.rows.get(touch.id);
    const request = row && requestOf(touch, row);
    if (row === undefined || request?.event === edit.event) return false;
    edit.commandId = randomUuid(); // another command
    edit.event = edit.argument = undefined;
    return true;
  }

  /**
   * @param {Edit} edit
   * @param {Touch} touch
   * @param {Reply & { status: "ERROR" }} reply
   */
  #conflict(edit, { id, field }, { conflict: found, data: row }) {
    if (found === undefined) return;
    // What was typed last is what the user wants.
    const edits = [edit, ...this.pending.after(edit)];
    const last = /** @type {Edit} */ (edits.at(-1));
    const key = keyOf({ id, field });
    const conflict = Object.freeze({
      key,
      id,
      field,
      mine: /** @type {Touch} */ (last.touches[0]).value,
      theirs: valueOf(found.theirs),
      changedBy: found.changedBy,
      changedAt: found.changedAt,
      revision: found.revision,
      row: row ?? null,
    });
    this.conflicts.set(key, conflict);
    const { baseRevision, epoch } = edit;
    this.#refused.set(key, { commandId: last.commandId, touches: last.touches, baseRevision, epoch });
    for (const each of edits) this.#end(each, { status: "conflict", conflict });
  }

  /** The server is too busy for now. */
  #sendLater() {
    if (this.#pause !== undefined) return;
    this.#pause = this.#clock.setTimeout(() => {
      this.#resume();
      this.#flush();
    }, delay(this.#retries, this.#random));
    this.#retries += 1;
    this.#handlers.changed([]);
  }

  #resume() {
    this.#clock.clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#handlers.changed([]);
  }

  /**
   * @param {Edit} edit
   * @param {Outcome} outcome
   */
  #end(edit, outcome) {
    this.pending.remove(edit);
    this.#settle(edit, outcome);
    this.#change(edit.touches.map(({ id }) => id));
  }

  /**
   * @param {Edit} edit
   * @param {Outcome} outcome
   */
  #settle(edit, outcome) {
    this.#waiting.get(edit)?.(outcome);
    this.#waiting.delete(edit);
  }

  /**
   * @param {Touch[]} touches
   * @param {string} code
   * @param {string} message
   */
  #fail(touches, code, message) {
    const [touch] = touches;
    const single = touches.length === 1 ? touch : undefined;
    const failure = Object.freeze({
      key: String((this.#failed += 1)),
      id: single?.id ?? null,
      field: single?.field ?? null,
      value: single?.value,
      code,
      message,
      at: this.#clock.now(),
    });
    this.failures = [...this.failures, failure].slice(-MAX_FAILURES);
    return failure;
  }

  /**
   * @param {Touch[]} touches
   * @param {string} code
   * @param {string} message
   * @returns {Promise<Outcome>}
   */
  async #reject(touches, code, message) {
    const failure = this.#fail(touches, code, message);
    this.#handlers.changed([]);
    return { status: "failed", failure };
  }

  /** @param {string} key of a cell that is saved */
  #show(key) {
    this.#clock.clearTimeout(this.#saved.get(key));
    const timer = this.#clock.setTimeout(() => {
      this.#saved.delete(key);
      this.#handlers.changed([]);
    }, SAVED);
    this.#saved.set(key, timer);
  }

  /** @param {string} key of a cell: what was not accepted of it is of no interest any more */
  #forget(key) {
    this.conflicts.delete(key);
    this.#refused.delete(key);
    this.failures = this.failures.filter(
      ({ id, field }) => id === null || field === null || keyOf({ id, field }) !== key,
    );
  }

  /** @param {Iterable<number>} ids */
  #change(ids) {
    this.#save();
    this.#handlers.changed(ids);
  }

  #save() {
    this.#drafts.save([...this.#refused.values(), ...this.pending.edits]);
  }
}
