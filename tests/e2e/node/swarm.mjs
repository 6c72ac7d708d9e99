// Stock clients, and plain WebSockets, in one process that edit all the time: node swarm.mjs
// Reads one JSON object a line: first what is to be done, then commands; see ../../cluster/swarm.py.
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { io } from "socket.io-client";
import WebSocket from "ws"; // socket.io-client has it with it

const NAMESPACE = "/gbs-lineup";
const ANSWER = 10_000; // ms that a client waits for an acknowledgement before it repeats its edit
const AGAIN = 100; // ms before the repetition of what is to be repeated

const print = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const pick = (from) => from[Math.floor(Math.random() * from.length)];
/** The same text for equal rows, whatever the order of their fields. */
const text = (row) => JSON.stringify(row, Object.keys(row).sort());

/** JSON over a WebSocket, with as much of the stock client's interface as is used here. */
class PlainSocket {
  #handlers = {};
  #waiting = new Map();
  #next = 0;

  constructor(url, token) {
    const address = url.replace(/^http/, "ws");
    const dial = () => {
      const socket = (this.#socket = new WebSocket(address, {
        headers: { authorization: `Bearer ${token}` },
        handshakeTimeout: ANSWER,
      }));
      socket.on("error", () => {}); // its end follows
      socket.on("open", () => {
        this.id = `plain ${(this.#next += 1)}`;
        this.#handlers.connect();
      });
      socket.on("message", (data) => {
        const { id, event, data: argument, ...answer } = JSON.parse(data);
        if (id === undefined) this.#handlers[event]?.(argument);
        else this.#answer(id, null, { data: argument, ...answer });
      });
      socket.on("close", (code) => {
        this.id = undefined;
        this.#handlers.disconnect(code >= 4400 && code < 4500 ? "io server disconnect" : `closed ${code}`);
        for (const id of [...this.#waiting.keys()]) this.#answer(id, new Error("disconnected"));
        setTimeout(dial, 200 + Math.random() * 300);
      });
    };
    setImmediate(dial); // when the handlers are there
  }

  #socket;

  on(event, handler) {
    this.#handlers[event] = handler;
  }

  timeout(ms) {
    return {
      emit: (event, data, done) => {
        const id = (this.#next += 1);
        this.#waiting.set(id, done);
        setTimeout(() => this.#answer(id, new Error("timeout")), ms);
        if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ id, event, data }));
        else this.#answer(id, new Error("disconnected"));
      },
    };
  }

  #answer(id, error, answer) {
    const done = this.#waiting.get(id);
    this.#waiting.delete(id);
    done?.(error, answer);
  }
}

let stopping = false;
let hurry; // ends the pauses between edits
const nextHurry = () => new Promise((done) => (hurry = done));
let hurried = nextHurry();
let acknowledged = 0;

class Client {
  rows = new Map();
  edits = [];
  violations = [];
  joins = 0;
  #since = 0; // what a join may be given
  #joinedAt = 0;
  #last = 0; // the latest revision on this connection
  #joined = false;
  #waiting = [];

  constructor({ url, transports, token, numbers, memoOf, interval }, slug) {
    Object.assign(this, { slug, numbers, memoOf, interval });
    this.socket = transports
      ? io(url + NAMESPACE, {
          transports,
          forceNew: true,
          auth: { token, presence: false },
          reconnectionDelay: 200,
          reconnectionDelayMax: 2_000,
          timeout: ANSWER,
        })
      : new PlainSocket(`${url}/ws/retreats/${slug}?presence=false`, token);
    this.socket.on("connect", () => this.#join());
    this.socket.on("disconnect", (reason) => {
      this.#joined = false;
      // A page would not come back from these by itself.
      if (reason === "io server disconnect") this.violations.push(`ended by the server`);
    });
    this.socket.on("connect_error", ({ message, data }) => {
      if (data) this.violations.push(`refused: ${message}`);
    });
    this.socket.on("lineup-updated", (row) => {
      const { revision } = row;
      if (revision < this.#last && revision > this.#joinedAt)
        this.violations.push(`update ${revision} behind ${this.#last}`);
      if (revision < (this.rows.get(row.id)?.revision ?? 0))
        this.violations.push(`row ${row.id} went back to ${revision}`);
      this.#last = Math.max(this.#last, revision);
      this.#since = Math.max(this.#since, revision);
      this.rows.set(row.id, row);
    });
  }

  #join() {
    const { id } = this.socket;
    this.#last = this.#joinedAt = 0;
    const since = this.epoch ? { since: this.#since, epoch: this.epoch } : {};
    this.socket.timeout(ANSWER).emit("join-retreat", { retreatSlug: this.slug, ...since }, (error, ack) => {
      if (this.socket.id !== id) return; // another connection has begun
      if (error || ack.status !== "OK") {
        if (!error && !ack.retryable) this.violations.push(`join: ${ack.code}`);
        setTimeout(() => this.socket.id === id && this.#join(), AGAIN);
        return;
      }
      if (ack.full) this.rows.clear();
      for (const row of ack.data) this.rows.set(row.id, row);
      this.epoch = ack.epoch;
      this.#since = Math.max(ack.full ? 0 : this.#since, ack.revision);
      this.#last = this.#joinedAt = ack.revision;
      this.#joined = true;
      this.joins += 1;
      for (const done of this.#waiting.splice(0)) done();
    });
  }

  async joined() {
    while (!this.#joined) await new Promise((done) => this.#waiting.push(done));
  }

  /** Gives an edit until there is a final answer. */
  async #give(event, person, value, argument) {
    const commandId = randomUUID();
    const edit = { commandId, event, person, value, attempts: 0, took: null, revision: null, refused: null };
    const began = performance.now();
    this.edits.push(edit);
    for (;;) {
      await this.joined();
      edit.attempts += 1;
      const ack = await new Promise((done) =>
        this.socket.timeout(ANSWER).emit(event, { ...argument, commandId }, (error, ack) => {
          if (ack?.status === "OK") this.#acknowledged(edit, ack);
          done(error ? null : ack);
        }),
      );
      if (ack?.status === "OK") {
        edit.took = performance.now() - began;
        return;
      }
      if (ack && !ack.retryable) {
        edit.refused = `${ack.code}: ${ack.message}`;
        return;
      }
      await pause(AGAIN);
    }
  }

  /** Takes an answer before anything else that came with it is taken. */
  #acknowledged(edit, { revision, data }) {
    edit.revision = revision;
    acknowledged += 1;
    this.rows.set(data.id, data);
    if (edit.attempts > 1) return; // the answer to a repeat may be that to the first attempt
    if (revision < this.#last) this.violations.push(`answer ${revision} behind ${this.#last}`);
    this.#last = Math.max(this.#last, revision);
  }

  async #editOnce(turn) {
    const memoId = this.rows.get(this.memoOf)?.lineupMemoId;
    if (this.memoOf !== null && turn % 3 === 0) {
      const memo = `메모 ${this.memoOf} ${turn}`;
      if (memoId === null) await this.#give("create-lineup-memo", this.memoOf, memo, { lineupId: this.memoOf, memo });
      else if (turn % 2) await this.#give("update-lineup-memo", this.memoOf, memo, { memoId, memo });
      else await this.#give("delete-lineup-memo", this.memoOf, null, { memoId });
      return;
    }
    const { id } = pick([...this.rows.values()].filter((row) => !row.isLeader));
    const gbsNumber = this.numbers[turn % this.numbers.length];
    if (this.rows.get(id).gbsNumber === gbsNumber) return;
    await this.#give("update-gbs-number", id, gbsNumber, { lineupId: id, gbsNumber });
  }

  async run() {
    await this.joined();
    await Promise.race([pause(Math.random() * this.interval), hurried]);
    for (let turn = 0; !stopping; turn += 1) {
      const next = performance.now() + this.interval;
      await this.#editOnce(turn);
      await Promise.race([pause(Math.max(0, next - performance.now())), hurried]);
    }
  }

  differences(rows) {
    const wrong = rows.filter((row) => !this.rows.has(row.id) || text(this.rows.get(row.id)) !== text(row));
    return wrong.map((row) => ({ expected: row, found: this.rows.get(row.id) ?? null }));
  }
}

let clients;
let running;

const operations = {
  async start({ slug, clients: given }) {
    clients = given.map((each) => new Client(each, slug));
    await Promise.all(clients.map((client) => client.joined()));
    running = Promise.all(clients.map((client) => client.run()));
    return {};
  },
  async acknowledged() {
    return { acknowledged };
  },
  /** Lets all give their next edit now. */
  async hurry() {
    hurry();
    hurried = nextHurry();
    return {};
  },
  /** Finishes the edits under way. */
  async stop() {
    stopping = true;
    hurry();
    await running;
    return {};
  },
  /** Waits until every client has these rows and no others. */
  async compare({ rows, patience }) {
    let different;
    for (const end = performance.now() + patience; ; ) {
      different = clients.flatMap((client, at) =>
        client.rows.size !== rows.length ? [{ at, size: client.rows.size }] : client.differences(rows).map((found) => ({ at, ...found })),
      );
      if (different.length === 0 || performance.now() > end) return { different: different.slice(0, 5) };
      await pause(50);
    }
  },
  async report() {
    return { clients: clients.map(({ edits, violations, joins }) => ({ edits, violations, joins })) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...argument } = JSON.parse(line);
  print(await operations[op](argument));
}
process.exit();
