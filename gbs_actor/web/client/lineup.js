/** The line-up as a page sees it: edits in, rows and their changes out. */
import { Commands } from "./commands.js";
import { Connection } from "./connection.js";
import { Drafts } from "./drafts.js";
import { Metrics } from "./metrics.js";
import { Presence } from "./presence.js";
import { differences, Replica } from "./replica.js";
import { ShownRows } from "./rows.js";

/**
 * @import { Base, Change, Clock, Conflict, Failure, Field, LineupClient, LineupOptions } from "./types.js"
 * @import { Row, Snapshot, Touch } from "./types.js"
 * @import { Joined, LineupsUpdate } from "./wire.js"
 * @import { Former } from "./replica.js"
 */

/** @type {Clock} */
const SYSTEM_CLOCK = {
  now: () => Date.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer),
};

/**
 * Connect to the line-up of a retreat, and stay connected until it is closed.
 *
 * @param {LineupOptions} options
 * @returns {LineupClient}
 */
export function createLineup(options) {
  return new Lineup(options);
}

/** @implements {LineupClient} */
class Lineup {
  #slug;
  #clock;
  #replica = new Replica();
  #commands;
  #rows;
  #presence;
  #metrics;
  #connection;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {Set<(change: Change) => void>} */
  #changeListeners = new Set();
  /** `null`: outdated. @type {Snapshot | null} */
  #snapshot = null;
  #notifying = false;
  /** When own edits were made that the screen does not show yet. @type {number[]} */
  #unpainted = [];

  /** @param {LineupOptions} options */
  constructor({ clock = SYSTEM_CLOCK, random = Math.random, storage = null, ...options }) {
    const { slug, url = "", user } = options;
    this.#slug = slug;
    this.#clock = clock;
    this.#metrics = new Metrics(() => clock.now());
    const drafts = new Drafts(storage, `gbs-lineup:${url}:${slug}:${user?.userId ?? ""}`);
    this.#commands = new Commands({ replica: this.#replica, drafts, clock, random }, {
      send: (event, argument, answered) => this.#connection.send(event, argument, answered),
      renewToken: () => void this.#connection.renewToken(),
      merge: (row, revision) => this.#update(this.#replica.mergeAnswer(row, revision)),
      changed: (ids) => this.#show(ids),
      answered: (milliseconds) => this.#metrics.answers.add(milliseconds),
    });
    this.#rows = new ShownRows(this.#replica, this.#commands.pending);
    this.#presence = new Presence(clock, () => this.#changed(), (argument) => {
      if (this.#connection.live) this.#connection.send("user-editing", argument, () => {});
    });
    this.#connection = new Connection({ ...options, clock, random }, {
      joinArgument: () => this.#joinArgument(),
      joined: (answer) => this.#joined(answer),
      received: {
        "lineups-updated": (update) => this.#apply(update),
        "lineup-updated": (row) => this.#update(this.#replica.merge([row])),
        "user-editing": (payload) => this.#presence.receiveEditing(payload),
        "room-presence": (payload) => this.#presence.receive(payload),
      },
      live: () => {
        this.#presence.joined();
        this.#commands.live();
      },
      renewed: () => {
        if (this.#connection.live) this.#commands.live();
      },
      lost: () => this.#commands.lost(),
      changed: () => this.#changed(),
      attempted: (success) => {
        if (success) this.#metrics.successes += 1;
        else this.#metrics.attempts += 1;
      },
    });
    this.#connection.open();
  }

  /** @param {() => void} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  getSnapshot = () => {
    this.#snapshot ??= Object.freeze({
      connection: this.#connection.state,
      rows: this.#rows.list,
      revision: this.#replica.revision,
      epoch: this.#replica.epoch,
      presence: this.#presence.shown,
      marks: this.#presence.marks,
      cells: this.#commands.cells,
      conflicts: [...this.#commands.rejected.conflicts.values()],
      failures: this.#commands.rejected.failures,
      unsent: this.#commands.pending.edits.length,
      metrics: this.#metrics.summary,
    });
    return this.#snapshot;
  };

  /** @param {number} id */
  row(id) {
    return this.#rows.get(id);
  }

  /**
   * @param {number} id
   * @param {() => void} listener
   */
  subscribeRow(id, listener) {
    return this.#rows.subscribe(id, listener);
  }

  /** @param {(change: Change) => void} listener */
  onChanges(listener) {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  /**
   * @param {number} id
   * @param {Field} field
   */
  base(id, field) {
    return this.#commands.bases.of({ id, field });
  }

  /**
   * @param {number} id
   * @param {number | null} number
   * @param {{ base?: Base }} [options]
   */
  assignNumber(id, number, { base } = {}) {
    return this.#set({ id, field: "gbsNumber", value: number }, base);
  }

  /**
   * @param {number} id
   * @param {{ memo: string, color?: string | null }} memo
   * @param {{ base?: Base }} [options]
   */
  saveMemo(id, { memo, color }, { base } = {}) {
    const value = { memo: memo.trim(), color: color && color !== "transparent" ? color : "" };
    return this.#set({ id, field: "lineupMemo", value }, base);
  }

  /**
   * @param {number} id
   * @param {{ base?: Base }} [options]
   */
  deleteMemo(id, { base } = {}) {
    return this.#set({ id, field: "lineupMemo", value: null }, base);
  }

  /**
   * @param {string} event
   * @param {object} argument
   * @param {{ touches?: Touch[] }} [options]
   */
  command(event, argument, { touches = [] } = {}) {
    return this.#commands.command(event, argument, touches);
  }

  /**
   * @param {number} id
   * @param {Field | null} field
   * @param {boolean} on
   */
  editing(id, field, on) {
    this.#presence.edit(id, field, on);
  }

  /**
   * @param {Conflict} conflict
   * @param {"mine" | "theirs"} choice
   */
  resolve(conflict, choice) {
    this.#commands.resolve(conflict, choice);
  }

  /** @param {Failure} failure */
  dismiss(failure) {
    this.#commands.dismiss(failure);
  }

  hidden() {
    this.#connection.close("hidden");
  }

  shown() {
    this.#connection.open();
  }

  woke() {
    this.#connection.restart();
  }

  /** @param {boolean} online */
  online(online) {
    this.#connection.setOnline(online);
  }

  painted() {
    const now = this.#clock.now();
    for (const made of this.#unpainted.splice(0)) this.#metrics.screens.add(now - made);
  }

  takeMetrics() {
    return this.#metrics.take();
  }

  close() {
    this.#connection.close("closed");
    this.#presence.close();
    this.#commands.close();
  }

  /**
   * @param {Touch} touch
   * @param {Base} [base]
   */
  #set(touch, base) {
    if (this.#unpainted.length < 100) this.#unpainted.push(this.#clock.now());
    return this.#commands.set(touch, base);
  }

  #joinArgument() {
    const { since, epoch } = this.#replica;
    return epoch === null ? { retreatSlug: this.#slug } : { retreatSlug: this.#slug, since, epoch };
  }

  /** @param {Joined<Row[]>} answer */
  #joined(answer) {
    this.#update(this.#replica.join(answer.data, answer));
  }

  /** @param {LineupsUpdate} update */
  #apply(update) {
    const former = this.#replica.apply(update);
    this.#update(former);
    const fields = new Map();
    for (const [id, row] of former) {
      const now = this.#replica.rows.get(id);
      if (row !== undefined && now !== undefined) fields.set(id, differences(row, now));
    }
    for (const summary of update.changes) {
      const change = { ...summary, own: this.#commands.isOwn(summary.commandId), fields };
      for (const listener of [...this.#changeListeners]) listener(change);
    }
  }

  /** @param {Former} former */
  #update(former) {
    this.#show(former.keys());
  }

  /** @param {Iterable<number>} ids rows that may read differently */
  #show(ids) {
    this.#rows.update(ids);
    this.#changed();
  }

  #changed() {
    this.#snapshot = null;
    if (this.#notifying) return;
    this.#notifying = true;
    queueMicrotask(() => {
      this.#notifying = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
