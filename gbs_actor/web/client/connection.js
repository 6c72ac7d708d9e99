/** One socket that stays connected, and has joined its room before anything else is sent. */
import { delay } from "./backoff.js";
import { Calls } from "./calls.js";

/**
 * @import { Clock, ConnectionState, LineupOptions, SocketLike } from "./types.js"
 * @import { ErrorReply, Joined, Row, ServerEvents } from "./wire.js"
 * @import { Reply } from "./calls.js"
 */

/** Until there is an Engine.IO session, in milliseconds. */
const OPEN_TIMEOUT = 10_000;
/** From an attempt until the room is joined. */
const ATTEMPT_TIMEOUT = 30_000;
/** A connection that lasted so long counts as a good one. */
const STABLE = 10_000;

const AUTHENTICATION = new Set(["AUTH_REQUIRED", "INVALID_TOKEN", "TOKEN_EXPIRED"]);
const NO_ENTRY = new Set(["FORBIDDEN", "RETREAT_NOT_FOUND"]);

/**
 * What the owner does with what happens.
 *
 * @typedef {object} ConnectionHandlers
 * @property {() => object} joinArgument
 * @property {(answer: Joined<Row[]>) => void} joined
 * @property {{ [E in keyof ServerEvents]?: (payload: ServerEvents[E]) => void }} received
 * @property {() => void} live the room was joined, for the first time or again
 * @property {() => void} renewed the token was: what needed it may be sent again
 * @property {() => void} lost what was sent and not answered will not be answered
 * @property {() => void} changed the state has
 * @property {(success: boolean) => void} attempted
 */

/**
 * It reconnects by itself rather than by socket.io-client's manager, which says neither when it
 * tries again nor why not, and gives up after a CONNECT_ERROR. Missed changes come with the answer
 * to the join, from `since` on, so that Socket.IO's connection state recovery is not needed.
 */
export class Connection {
  /** @type {ConnectionState} */
  state = { state: "connecting" };

  #handlers;
  #clock;
  #random;
  #token;
  #transports;
  /** @type {SocketLike} */
  #socket;
  #calls;
  #wanted = false;
  #attempting = false;
  #online = true;
  #wasLive = false;
  #liveSince = 0;
  #failures = 0;
  /** Whether the next attempt needs a new token. */
  #refresh = false;
  /** The connection whose token is being renewed. */
  #renewing = -1;
  /** Code of the last `error` event: why the server ends the namespace. */
  #lastError = "";
  /** Counts connections: what an earlier one has begun is ignored. */
  #generation = 0;
  /** @type {unknown} */
  #timer;

  /**
   * @param {LineupOptions & { clock: Clock, random: () => number }} options
   * @param {ConnectionHandlers} handlers
   */
  constructor(options, handlers) {
    this.#handlers = handlers;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#token = options.token;
    this.#transports = options.transports ?? ["websocket", "polling"];
    this.#socket = options.io(`${options.url ?? ""}/gbs-lineup`, {
      path: options.path ?? "/socket.io/",
      withCredentials: true,
      tryAllTransports: true,
      timeout: OPEN_TIMEOUT,
      ...options.socketOptions,
      transports: this.#transports,
      forceNew: true,
      autoConnect: false,
      reconnection: false,
      auth: (/** @type {(data: object) => void} */ give) => this.#authenticate(give),
    });
    this.#calls = new Calls(this.#socket, options.clock, () => this.#retryLater("no answer"));
    this.#listen();
  }

  get live() {
    return this.state.state === "live";
  }

  /** Connect now, if not connected, whatever was in the way. */
  open() {
    this.#wanted = true;
    if (!this.#socket.connected && !this.#attempting) this.#attempt();
  }

  /** Make a new connection at once. */
  restart() {
    if (this.#wanted) this.#attempt();
  }

  /** @param {string} reason */
  close(reason) {
    this.#wanted = false;
    this.#drop();
    this.#become({ state: "offline", reason });
  }

  /** @param {boolean} online */
  setOnline(online) {
    this.#online = online;
    if (this.state.retryAt === undefined) return;
    if (online) this.open();
    else this.#become({ ...this.state, state: "offline" });
  }

  /**
   * Send an event. Not answered in time, the connection is given up: `lost` is called.
   *
   * @param {string} event
   * @param {object} argument
   * @param {(reply: Reply) => void} answered not called once the connection is lost
   */
  send(event, argument, answered) {
    this.#calls.send(event, argument, answered);
  }

  /** The server wants a new token: give it one, or make a new connection with a new cookie. */
  async renewToken() {
    if (this.#token === undefined) return this.#retryLater("TOKEN_EXPIRED");
    const generation = this.#generation;
    if (this.#renewing === generation) return;
    this.#renewing = generation;
    const token = await this.#askToken(true);
    if (generation !== this.#generation) return;
    this.#renewing = -1;
    if (token === null) return this.#stop("signed-out", "TOKEN_EXPIRED");
    this.send("authenticate", { token }, (reply) => {
      if (reply.status !== "OK") return this.#stop("signed-out", reply.code);
      this.#handlers.renewed();
    });
  }

  #listen() {
    const socket = this.#socket;
    socket.on("connect", () => {
      this.#handlers.attempted(true);
      this.#join();
    });
    socket.on("connect_error", (/** @type {Error & { data?: { code?: string } }} */ error) => {
      this.#refused(error.data?.code, error.message);
    });
    socket.on("disconnect", (/** @type {string} */ reason) => {
      if (reason === "io client disconnect") return; // by #drop
      this.#refused(reason === "io server disconnect" ? this.#lastError : undefined, reason);
    });
    socket.on("error", (/** @type {ErrorReply} */ error) => {
      this.#lastError = error.code;
      if (error.code === "TOKEN_EXPIRED") void this.renewToken();
    });
    for (const [name, receive] of Object.entries(this.#handlers.received)) socket.on(name, receive);
  }

  #attempt() {
    this.#drop();
    this.#attempting = true;
    this.#lastError = "";
    this.#handlers.attempted(false);
    this.#become({ state: this.#wasLive ? "reconnecting" : "connecting" });
    // Some networks swallow the handshakes of WebSockets: every other time begin with polling.
    const reverse = this.#failures % 2 === 1;
    this.#socket.io.opts.transports = reverse ? [...this.#transports].reverse() : [...this.#transports];
    this.#timer = this.#clock.setTimeout(() => this.#retryLater("timeout"), ATTEMPT_TIMEOUT);
    this.#socket.connect();
  }

  /** @param {(data: object) => void} give */
  async #authenticate(give) {
    const generation = this.#generation;
    const token = await this.#askToken(this.#refresh);
    if (generation === this.#generation) give({ updates: "batch", ...(token && { token }) });
  }

  /** @param {boolean} refresh */
  async #askToken(refresh) {
    try {
      return (await this.#token?.(refresh)) ?? null;
    } catch {
      return null; // the server then asks for one, and the state says so
    }
  }

  #join() {
    this.send("join-retreat", this.#handlers.joinArgument(), (reply) => {
      if (reply.status === "OK") this.#joined(/** @type {Joined<Row[]>} */ (/** @type {unknown} */ (reply)));
      else if (reply.retryable) this.#joinLater(reply.code);
      else this.#refused(reply.code, reply.code);
    });
  }

  /** @param {Joined<Row[]>} answer */
  #joined(answer) {
    this.#clearTimer();
    this.#handlers.joined(answer);
    this.#attempting = this.#refresh = false;
    this.#wasLive = true;
    this.#liveSince = this.#clock.now();
    this.#become({ state: "live" });
    this.#handlers.live();
  }

  /** @param {string} reason */
  #joinLater(reason) {
    this.#wait(reason, () => {
      this.#become({ state: "reconnecting" });
      this.#timer = this.#clock.setTimeout(() => this.#retryLater("timeout"), ATTEMPT_TIMEOUT);
      this.#join();
    });
  }

  /**
   * @param {string | undefined} code the server's, if it has refused
   * @param {string} reason
   */
  #refused(code, reason) {
    if (code !== undefined && NO_ENTRY.has(code)) this.#stop("forbidden", code);
    else if (code === undefined || !AUTHENTICATION.has(code)) this.#retryLater(reason);
    else if (this.#token === undefined || this.#refresh) this.#stop("signed-out", code);
    else {
      this.#refresh = true;
      this.#attempt();
    }
  }

  /**
   * Give the connection up and make a new one, later each time.
   *
   * @param {string} reason
   */
  #retryLater(reason) {
    if (this.live && this.#clock.now() - this.#liveSince > STABLE) this.#failures = 0;
    this.#drop();
    this.#wait(reason, () => this.#attempt());
  }

  /**
   * @param {string} reason
   * @param {() => void} then
   */
  #wait(reason, then) {
    this.#clearTimer();
    const wait = delay(this.#failures, this.#random);
    this.#failures += 1;
    const retryAt = this.#clock.now() + wait;
    this.#become({ state: this.#online ? "reconnecting" : "offline", retryAt, reason });
    this.#timer = this.#clock.setTimeout(then, wait);
  }

  /**
   * @param {"signed-out" | "forbidden"} state
   * @param {string} reason
   */
  #stop(state, reason) {
    this.#drop();
    this.#refresh = true; // whoever comes back needs another token
    this.#become({ state, reason });
  }

  #drop() {
    const wasLive = this.live;
    this.#generation += 1;
    this.#attempting = false;
    this.#clearTimer();
    this.#calls.drop();
    this.#socket.disconnect();
    if (wasLive) this.#handlers.lost();
  }

  #clearTimer() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {ConnectionState} state */
  #become(state) {
    this.state = Object.freeze(state);
    this.#handlers.changed();
  }
}
