/** Events that wait for their acknowledgement. */

/**
 * @import { Clock, SocketLike } from "./types.js"
 * @import { ErrorReply, Ok } from "./wire.js"
 */

/** @typedef {Ok<any> | (ErrorReply & { status: "ERROR" })} Reply */

/** The server acknowledges every event; if it takes longer, the connection is dead. */
const TIMEOUT = 20_000;

/**
 * Rather than socket.io-client's own buffer and repeats, which know no order: nothing may be sent
 * before the join, and nothing that belongs to an earlier connection may call back.
 */
export class Calls {
  #socket;
  #clock;
  #onTimeout;
  /** Of this connection; another object for the next one. @type {Set<unknown>} */
  #timers = new Set();

  /**
   * @param {SocketLike} socket
   * @param {Clock} clock
   * @param {() => void} onTimeout
   */
  constructor(socket, clock, onTimeout) {
    this.#socket = socket;
    this.#clock = clock;
    this.#onTimeout = onTimeout;
  }

  /**
   * @param {string} event
   * @param {object} argument
   * @param {(reply: Reply) => void} answered not called behind `drop`
   */
  send(event, argument, answered) {
    const timers = this.#timers;
    const timer = this.#clock.setTimeout(this.#onTimeout, TIMEOUT);
    timers.add(timer);
    this.#socket.emit(event, argument, (/** @type {Reply} */ reply) => {
      if (!timers.delete(timer)) return;
      this.#clock.clearTimeout(timer);
      answered(reply);
    });
  }

  /** The connection is lost: nothing will be answered. */
  drop() {
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
    this.#timers.clear();
  }
}
