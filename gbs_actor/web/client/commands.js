/** Sends own edits until they are answered. */
import { Bases } from "./bases.js";
import { cellsOf, SavedCells } from "./cells.js";
import { Pause } from "./pause.js";
import { keyOf, Pending } from "./pending.js";
import { Rejected } from "./rejected.js";
import { requestOf } from "./requests.js";
import { randomUuid } from "./uuid.js";

/**
 * @import { Base, Clock, Conflict, Failure, Outcome, Row, Touch } from "./types.js"
 * @import { Reply } from "./calls.js"
 * @import { Drafts } from "./drafts.js"
 * @import { Edit } from "./pending.js"
 * @import { Replica } from "./replica.js"
 */

const MAX_IN_FLIGHT = 8;
const MAX_PENDING = 500;

/**
 * @typedef {object} CommandHandlers
 * @property {(event: string, argument: object, answered: (reply: Reply) => void) => void} send
 * @property {() => void} renewToken
 * @property {(row: Row, revision: number | null) => void} merge the row of an answer
 * @property {(ids: Iterable<number>) => void} changed rows may read differently, or cells
 * @property {(milliseconds: number) => void} answered
 */

/**
 * Every command has an id and names the revision that its author saw: sent again after a lost
 * connection it takes effect once, and it overwrites nothing its author did not see.
 */
export class Commands {
  pending = new Pending();
  rejected = new Rejected();
  bases;

  #saved;
  #replica;
  #drafts;
  #clock;
  #handlers;
  #pause;
  #live = false;
  /** @type {Set<Edit>} */
  #inFlight = new Set();
  /** @type {Map<Edit, (outcome: Outcome) => void>} */
  #waiting = new Map();

  /**
   * @param {{ replica: Replica, drafts: Drafts, clock: Clock, random: () => number }} parts
   * @param {CommandHandlers} handlers
   */
  constructor({ replica, drafts, clock, random }, handlers) {
    this.#replica = replica;
    this.#drafts = drafts;
    this.#clock = clock;
    this.#handlers = handlers;
    this.bases = new Bases(replica, this.pending);
    this.#saved = new SavedCells(clock, () => handlers.changed([]));
    this.#pause = new Pause(clock, random, () => {
      handlers.changed([]);
      this.#flush();
    });
    this.pending.edits = drafts.load();
  }

  /** By `id:field`. */
  get cells() {
    const sending = this.#live && !this.#pause.active;
    return cellsOf(this.#saved, this.rejected, this.pending.edits, sending);
  }

  /**
   * Set a cell, and show it at once.
   *
   * @param {Touch} touch
   * @param {Base} [base] what its author saw; default: what is seen now
   * @returns {Promise<Outcome>}
   */
  set(touch, base = this.bases.of(touch)) {
    if (base === undefined) return this.#refuse([touch], "NOT_FOUND", "There is no such row.");
    const key = keyOf(touch);
    this.rejected.forget(key);
    const { revision: baseRevision, epoch } = this.bases.withOwn(key, base);
    return this.#add({ commandId: randomUuid(), touches: [touch], baseRevision, epoch });
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
    const named = { epoch, ...argument, ...id };
    return this.#add({ commandId, touches, baseRevision: null, epoch, event, argument: named });
  }

  /**
   * @param {Conflict} conflict
   * @param {"mine" | "theirs"} choice
   */
  resolve({ key, id, field, mine, revision, epoch }, choice) {
    if (!this.rejected.conflicts.has(key)) return;
    if (choice === "mine") void this.set({ id, field, value: mine }, { revision, epoch });
    else this.rejected.forget(key);
    this.#change([id]);
  }

  /** @param {Failure} failure */
  dismiss({ key }) {
    this.rejected.dismiss(key);
    this.#handlers.changed([]);
  }

  /** @param {string | undefined} commandId */
  isOwn(commandId) {
    return this.pending.edits.some((edit) => edit.commandId === commandId);
  }

  /** The room was joined, or the token renewed: send what is pending, also what was sent before. */
  live() {
    this.#live = true;
    this.#flush();
  }

  /** Nothing that was sent will be answered. */
  lost() {
    this.#live = false;
    this.#inFlight.clear();
    this.#pause.end();
    this.#handlers.changed([]);
  }

  close() {
    this.lost();
    this.#saved.close();
  }

  /**
   * @param {Edit} edit
   * @returns {Promise<Outcome>}
   */
  #add(edit) {
    if (this.pending.edits.length >= MAX_PENDING) {
      return this.#refuse(edit.touches, "TOO_MANY_PENDING", "Too many edits are not saved yet.");
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
    if (!this.#live || this.#pause.active) return;
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
    if (reply.status === "ERROR" && reply.retryable) {
      this.#pause.begin();
      return this.#handlers.changed([]);
    }
    this.#pause.reset();
    if (reply.status === "OK") {
      const row = typeof reply.data?.id === "number" ? reply.data : null;
      return this.#accept(edit, row, reply.revision, reply.data);
    }
    if (reply.code === "TOKEN_EXPIRED") return this.#handlers.renewToken();
    if (reply.code === "NOT_FOUND" && this.#readdress(edit)) return;
    if (reply.data !== undefined) this.#handlers.merge(reply.data, null);
    const { conflict } = reply;
    if (conflict !== undefined && edit.touches.length === 1) return this.#conflict(edit, { ...reply, conflict });
    const failure = this.rejected.fail(edit.touches, reply, this.#clock.now());
    this.#end(edit, { status: "failed", failure });
  }

  /**
   * @param {Edit} edit
   * @param {Row | null} row
   * @param {number | null} revision that it made; `null`: none
   * @param {unknown} data
   */
  #accept(edit, row, revision, data) {
    if (row !== null) this.#handlers.merge(row, revision);
    for (const later of revision === null ? [] : this.pending.after(edit)) {
      later.baseRevision = revision;
      later.epoch = this.#replica.epoch;
    }
    for (const key of edit.touches.map(keyOf)) {
      this.#saved.add(key);
      if (revision !== null) this.bases.made(key, revision);
    }
    this.#end(edit, { status: "saved", row, data });
  }

  /**
   * @param {Edit} edit
   * @param {Parameters<Rejected["conflict"]>[2]} reply
   */
  #conflict(edit, reply) {
    const edits = [edit, ...this.pending.after(edit)];
    const [wanted] = /** @type {[Touch]} */ (edits.at(-1)?.touches);
    const conflict = this.rejected.conflict(edit, wanted, reply, this.#replica.epoch);
    for (const each of edits) this.#end(each, { status: "conflict", conflict });
  }

  /**
   * The memo that was addressed is gone, and perhaps there is another one: ask for the same of
   * what there is now, so that the server finds the conflict.
   *
   * @param {Edit} edit
   */
  #readdress(edit) {
    const { userRetreatRegistrationMemoId: memoId } = edit.argument ?? {};
    const row = this.#replica.rows.get(edit.touches[0]?.id ?? 0);
    if (memoId === undefined || row === undefined || memoId === row.lineupMemoId) return false;
    edit.commandId = randomUuid(); // since it is another command
    edit.event = edit.argument = undefined;
    return true;
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
   * @returns {Promise<Outcome>}
   */
  async #refuse(touches, code, message) {
    const failure = this.rejected.fail(touches, { code, message }, this.#clock.now());
    this.#handlers.changed([]);
    return { status: "failed", failure };
  }

  /** @param {Iterable<number>} ids */
  #change(ids) {
    this.#save();
    this.#handlers.changed(ids);
  }

  #save() {
    this.#drafts.save([...this.rejected.edits, ...this.pending.edits]);
  }
}
