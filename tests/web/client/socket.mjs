// Stands in for socket.io-client's socket; a test is the server.
import { settle } from "./clock.mjs";

export class FakeSocket {
  connected = false;
  io = { opts: {} };
  attempts = 0;
  auth = null;
  /** What was emitted, and not taken by `next` so far. */
  sent = [];
  #listeners = new Map();

  constructor(url, options) {
    this.url = url;
    this.options = options;
  }

  on(event, listener) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  emit(event, argument, acknowledge) {
    this.sent.push({ event, argument, reply: (reply) => (acknowledge(reply), settle()) });
  }

  connect() {
    this.attempts += 1;
  }

  disconnect() {
    if (!this.connected) return;
    this.connected = false;
    this.#fire("disconnect", "io client disconnect");
  }

  // -- the server's side

  /** The namespace is connected. */
  async open() {
    await new Promise((done) => this.options.auth((auth) => done((this.auth = auth))));
    this.connected = true;
    this.sent = [];
    return this.#fire("connect");
  }

  refuse(code) {
    return this.#fire("connect_error", Object.assign(new Error("refused"), { data: { code } }));
  }

  fail() {
    return this.#fire("connect_error", new Error("xhr poll error"));
  }

  cut(reason = "transport close") {
    this.connected = false;
    return this.#fire("disconnect", reason);
  }

  receive(event, payload) {
    return this.#fire(event, payload);
  }

  /** The next event that was emitted, marks aside. */
  next(event) {
    const at = this.sent.findIndex((each) => each.event === event);
    if (at < 0) throw new Error(`no ${event} among ${this.sent.map((each) => each.event)}`);
    return this.sent.splice(at, 1)[0];
  }

  #fire(event, ...args) {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args);
    return settle();
  }
}
