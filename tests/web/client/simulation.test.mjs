// Whatever the network does: nothing is lost, done twice, or written over what nobody saw.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareRows, keyOf } from "../../../gbs_actor/web/client/index.js";
import { Room } from "./room.mjs";
import { error, row, Storage, World } from "./world.mjs";

const SEEDS = 500;
const STEPS = 120;

class Simulation {
  room = new Room([1, 2, 3].map((id) => row(id)));
  storage = new Storage();
  /** Frames on their way to the client. */
  frames = [];
  joined = false;
  /** Whether the token has, and how many events were refused for it. */
  expired = false;
  refused = 0;
  /** The last one to connect. */
  attempt = 0;
  /** By value: what its author had seen, and what became of it. */
  edits = new Map();
  /** By cell: what was seen when its editor opened. */
  opened = new Map();
  /** Values that were shown as conflicts or failures. */
  reported = new Set();
  #last = 0;

  constructor(seed) {
    this.state = seed;
    this.load();
  }

  random = () => {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };

  chance = (share) => this.random() < share;
  pick = (from) => from[Math.floor(this.random() * from.length)];
  value = (field) => ((this.#last += 1), field === "gbsNumber" ? this.#last : `메모 ${this.#last}`);

  load() {
    const token = (refresh) => {
      if (this.chance(0.1)) throw new Error("no network");
      const given = refresh ? "new" : "old";
      const { clock } = this.world;
      return this.chance(0.5) ? given : new Promise((give) => clock.setTimeout(() => give(given), 3_000));
    };
    this.world = new World({ storage: this.storage, token });
    this.world.client.subscribe(() => this.report());
    this.frames = [];
    this.joined = false;
    this.attempt = 0;
    this.opened.clear();
  }

  report() {
    const { conflicts, failures } = this.world.snapshot;
    for (const { mine } of conflicts) this.reported.add(mine?.memo ?? mine);
    for (const { value } of failures) this.reported.add(value?.memo ?? value);
  }

  // -- what may happen

  connect = async () => {
    const { socket, clock } = this.world;
    if (socket.connected) return;
    if (this.world.snapshot.connection.retryAt !== undefined) await clock.advance(30_000);
    const { state, retryAt } = this.world.snapshot.connection;
    if (state === "offline" || retryAt !== undefined) return; // hidden, or there is no token
    if (this.attempt === socket.attempts) return;
    this.attempt = socket.attempts;
    this.renew();
    void socket.open();
  };

  /** The next event reaches the server, or is answered by a server that is busy. */
  receive = async () => {
    const { socket } = this.world;
    const sent = socket.connected ? socket.sent.shift() : undefined;
    if (sent === undefined) return;
    if (sent.event === "authenticate") this.renew();
    if (this.expired && sent.argument.commandId !== undefined) {
      this.refused += 1;
      return void this.frames.push(() => sent.reply(error("TOKEN_EXPIRED")));
    }
    if (this.chance(0.1)) return void this.frames.push(() => sent.reply(error("ROOM_BUSY", { retryable: true })));
    const { update, reply } = this.room.answer(sent.event, sent.argument);
    if (sent.event === "join-retreat") this.joined = true;
    if (update !== undefined) this.broadcast(update);
    const unknown = sent.event !== "join-retreat" && this.chance(0.05);
    this.frames.push(() => sent.reply(unknown ? error("OUTCOME_UNKNOWN", { retryable: true }) : reply));
  };

  broadcast(update) {
    if (this.joined) this.frames.push(() => this.world.socket.receive("lineups-updated", structuredClone(update)));
  }

  deliver = () => this.frames.shift()?.();

  others = () => {
    const field = this.pick(["gbsNumber", "lineupMemo"]);
    const value = field === "lineupMemo" && this.chance(0.3) ? null : this.value(field);
    this.broadcast(this.room.write(this.pick([1, 2, 3]), field, value));
  };

  open = () => {
    const cell = { id: this.pick([1, 2, 3]), field: this.pick(["gbsNumber", "lineupMemo"]) };
    const known = this.world.client.row(cell.id);
    if (known !== undefined) this.opened.set(keyOf(cell), this.seen(cell));
  };

  /** What is on the screen, in a cell without an edit under way. */
  seen(cell) {
    const { revision, epoch, cells } = this.world.snapshot;
    const state = cells.get(keyOf(cell))?.status;
    const own = [...this.edits.values()].findLast((edit) => edit.key === keyOf(cell));
    const base = this.world.client.base(cell.id, cell.field);
    return state === "saving" || state === "waiting" ? { ...own, base } : { revision, epoch, base };
  }

  edit = () => {
    const cell = { id: this.pick([1, 2, 3]), field: this.pick(["gbsNumber", "lineupMemo"]) };
    const key = keyOf(cell);
    if (this.world.client.row(cell.id) === undefined) return;
    const opened = this.opened.get(key);
    this.opened.delete(key);
    const { revision, epoch, base } = opened ?? this.seen(cell);
    const options = opened === undefined ? {} : { base };
    const value = this.value(cell.field);
    const made = { key, revision, epoch, status: "pending" };
    const { client } = this.world;
    const outcome = cell.field === "gbsNumber" ? client.assignNumber(cell.id, value, options) : client.saveMemo(cell.id, { memo: value }, options);
    this.edits.set(value, made);
    void outcome.then(({ status }) => (made.status = status));
  };

  resolve = () => {
    const found = this.pick(this.world.snapshot.conflicts);
    if (found === undefined) return;
    const choice = this.pick(["mine", "theirs"]);
    const value = found.mine?.memo ?? found.mine;
    if (choice === "mine" && value !== null) {
      this.edits.set(value, { ...this.edits.get(value), revision: found.revision, epoch: found.epoch, status: "resolved" });
    }
    this.world.client.resolve(found, choice);
  };

  cut = async () => {
    this.frames = [];
    this.joined = false;
    if (this.world.socket.connected) await this.world.socket.cut();
  };

  reload = async () => {
    this.report();
    this.world.client.close();
    for (const edit of this.edits.values()) if (edit.status === "pending") edit.status = "reloaded";
    this.load();
  };

  restore = async () => {
    await this.cut();
    this.room.startAnew(`epoch ${this.value("gbsNumber")}`);
  };

  expire = () => (this.expired = true);

  /** There is a new token. */
  renew() {
    assert.ok(this.refused <= 8, "what is refused for a token that has expired is not sent again at once");
    this.expired = false;
    this.refused = 0;
  }

  hide = () => this.leave(() => this.world.client.hidden());
  show = () => this.world.client.shown();
  wake = () => this.leave(() => this.world.client.woke());

  leave(how) {
    this.frames = [];
    this.joined = false;
    how();
  }

  wait = () => this.world.clock.advance(1_000);

  async run() {
    const often = [this.receive, this.deliver, this.connect];
    const now = [this.edit, this.edit, this.others, this.open, this.resolve, this.wait];
    const seldom = [this.cut, this.cut, this.reload, this.restore, this.expire, this.expire, this.hide, this.show, this.wake];
    for (let step = 0; step < STEPS; step += 1) {
      const kind = this.random();
      await this.pick(kind < 0.6 ? often : kind < 0.96 ? now : seldom)();
      await this.world.settle();
    }
    for (let step = 0; step < 2_000 && !this.quiet; step += 1) {
      for (const each of this.world.snapshot.conflicts) this.world.client.resolve(each, "theirs");
      this.show();
      await this.connect();
      await this.receive();
      await this.deliver();
      if (step % 10 === 9) await this.world.clock.advance(2_000);
      await this.world.settle();
    }
    this.report();
  }

  get quiet() {
    const { connection, unsent, conflicts } = this.world.snapshot;
    return connection.state === "live" && unsent + conflicts.length + this.frames.length === 0;
  }

  check() {
    assert.ok(this.quiet, "it comes to rest");
    assert.deepEqual(this.world.snapshot.rows, this.room.rows.sort(compareRows));
    for (const [value, edit] of this.edits) {
      const applied = this.room.log.filter((entry) => entry.value === value);
      const before = this.room.formerly.filter((entry) => entry.value === value);
      const told = `${value}: ${JSON.stringify({ edit, applied })}`;
      assert.ok(applied.length <= 1, `twice: ${told}`);
      if (edit.status === "saved") assert.ok(applied.length + before.length > 0, `not done: ${told}`);
      if (["failed", "conflict", "superseded"].includes(edit.status)) assert.equal(applied.length, 0, `done: ${told}`);
      // Of several edits of a cell that wait for an answer, the last one is the user's.
      const last = [...this.edits].findLast(([, { key }]) => key === edit.key)?.[0] === value;
      assert.ok(!last || applied.length + before.length > 0 || this.reported.has(value), `lost: ${told}`);
      for (const { replaced } of applied) {
        if (replaced.by !== "other") continue;
        assert.equal(edit.epoch, this.room.epoch, `overwritten unseen: ${told}`);
        assert.ok(replaced.revision <= edit.revision, `overwritten unseen: ${told}`);
      }
    }
  }
}

test(`${SEEDS} runs of ${STEPS} steps`, async () => {
  const statuses = {};
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const simulation = new Simulation(seed);
    await simulation.run();
    try {
      simulation.check();
    } catch (failure) {
      failure.message = `seed ${seed}: ${failure.message}`;
      throw failure;
    }
    for (const { status } of simulation.edits.values()) statuses[status] = (statuses[status] ?? 0) + 1;
  }
  for (const status of ["saved", "conflict", "superseded", "reloaded"]) assert.ok(statuses[status] > SEEDS / 10, JSON.stringify(statuses));
});
