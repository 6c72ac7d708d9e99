/** The public types of the client; what goes over the wire is in wire.d.ts. */
import type { ChangeSummary, Memo, PresentUser, Row } from "./wire.js";

export type { ChangeSummary, Memo, PresentUser, Row };

export interface LineupOptions {
  /** Of the retreat. */
  slug: string;
  /** `io` of socket.io-client 4.8 or later. */
  io: (url: string, options: object) => SocketLike;
  /** Origin of the server; "": that of the page. */
  url?: string;
  /** Path of the Engine.IO server. */
  path?: string;
  /** Gives the JWT; without it the browser's cookie authenticates. */
  token?: TokenSource;
  /** Who is signed in: edits kept in `storage` are theirs, and their own marks are not shown. */
  user?: { userId: number };
  /** Keeps unanswered edits over a reload: `sessionStorage`. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  clock?: Clock;
  /** As `Math.random`: the source of jitter. */
  random?: () => number;
  /** In the order in which they are tried. */
  transports?: ("websocket" | "polling")[];
  /** Further options of socket.io-client, such as `extraHeaders`. */
  socketOptions?: object;
}

/**
 * `null`: there is none. If it throws, it is asked again later.
 *
 * @param refresh the last token was refused or has expired: give a new one.
 */
export type TokenSource = (refresh: boolean) => string | null | Promise<string | null>;

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: any): void;
}

/** What is used of a socket of socket.io-client. */
export interface SocketLike {
  connected: boolean;
  io: { opts: { transports?: any }; engine?: { transport?: { name?: string } } };
  on(event: string, listener: (...args: any[]) => void): unknown;
  emit(event: string, ...args: any[]): unknown;
  connect(): unknown;
  disconnect(): unknown;
}

// -- what the client shows

/** Everything there is to show; another object whenever any of it has changed. */
export interface Snapshot {
  connection: ConnectionState;
  /** In list order, with own unanswered edits laid over. A row that has not changed is the same object. */
  rows: readonly Row[];
  /** Of the room, as far as it has arrived; 0 before the first list. */
  revision: number;
  epoch: string | null;
  presence: { users: readonly PresentUser[]; total: number };
  marks: readonly EditingMark[];
  /** By `id:field`: cells that have a state to show. */
  cells: ReadonlyMap<string, CellStatus>;
  conflicts: readonly Conflict[];
  failures: readonly Failure[];
  /** Own edits that the server has not answered yet. */
  unsent: number;
  metrics: MetricsSummary;
}

export interface ConnectionState {
  /**
   * connecting: for the first time. live: the list is current.
   * reconnecting: it is not, next attempt at `retryAt`. offline: so is the device, or the client is
   * closed. signed-out: the server wants another token or cookie. forbidden: this user may not
   * read this retreat, or there is none; `reason` is the code.
   */
  state: "connecting" | "live" | "reconnecting" | "offline" | "signed-out" | "forbidden";
  /** Milliseconds since 1970; absent while an attempt is under way. */
  retryAt?: number;
  /** The server's code, or what happened to the connection. */
  reason?: string;
}

/** Fields that are edited by themselves. */
export type Field = "gbsNumber" | "lineupMemo";

/** What a memo is set to; `null`: no memo. */
export type MemoValue = { memo: string; color: string } | null;

export interface CellStatus {
  /** waiting: for a connection, or since the server is busy. */
  status: "saving" | "saved" | "waiting" | "failed" | "conflict";
  /** The code of the failure. */
  reason?: string;
}

/** Somebody else has set the field that one's own edit would overwrite. */
export interface Conflict {
  key: string;
  id: number;
  field: Field;
  mine: number | MemoValue;
  theirs: number | MemoValue;
  changedBy: string;
  /** ISO 8601; `null`: not known. */
  changedAt: string | null;
  /** At which they set it, in this epoch. */
  revision: number;
  epoch: string | null;
  /** As it is on the server. */
  row: Row | null;
}

/** An edit that the server has refused for good; it was taken back. */
export interface Failure {
  /** Another one for each. */
  key: string;
  /** `null`: not of one cell. */
  id: number | null;
  field: Field | null;
  value: unknown;
  code: string;
  /** The server's sentence, for developers. */
  message: string;
  at: number;
}

/** What the author of an edit saw when they began: what others have set since is a conflict. */
export interface Base {
  revision: number;
  epoch: string | null;
}

/** What became of an edit. */
export type Outcome =
  | { status: "saved"; row: Row | null; data: unknown }
  | { status: "conflict"; conflict: Conflict }
  | { status: "failed"; failure: Failure }
  /** A later edit of the same cell took its place before it was sent. */
  | { status: "superseded" };

export interface EditingMark {
  id: number;
  field: string | null;
  userId: number;
  userName: string;
}

/** A change as it arrived; also what an own edit has changed. */
export interface Change extends ChangeSummary {
  /** Whether it was made here. */
  own: boolean;
  /** By row id: the fields that read differently now. */
  fields: ReadonlyMap<number, readonly (keyof Row)[]>;
}

/** Values that a command is expected to have, shown until it is answered. */
export interface Touch {
  id: number;
  field: Field;
  value: number | MemoValue;
}

export interface MetricsSummary {
  attempts: number;
  successes: number;
  reconnects: number;
  reconnectsPerHour: number;
  /** Milliseconds from sending a command to its answer. */
  answers: Quantiles;
  /** Milliseconds from an edit until the screen shows it; see `painted()`. */
  screens: Quantiles;
}

export interface Quantiles {
  count: number;
  p50: number;
  p95: number;
  p99: number;
}

/** What happened since the last report; the body of `POST /api/v1/client-metrics`. */
export interface MetricsReport {
  /** That this is about, in seconds. */
  seconds: number;
  attempts: number;
  successes: number;
  reconnects: number;
  answers: HistogramReport;
  screens: HistogramReport;
}

export interface HistogramReport {
  /** Upper ones of the buckets, in milliseconds, ascending; the last bucket has none. */
  bounds: number[];
  /** One per bucket, not cumulative: one more than there are bounds. */
  counts: number[];
  /** Of all values, in milliseconds. */
  sum: number;
}

// -- the client

export interface LineupClient {
  /** Call a listener after each change. Returns a function that ends it. */
  subscribe(listener: () => void): () => void;
  getSnapshot(): Snapshot;
  /** One row as `rows` has it; the same object while it is unchanged. */
  row(id: number): Row | undefined;
  subscribeRow(id: number, listener: () => void): () => void;
  /** Call a listener with each change that arrives while connected, own ones too. */
  onChanges(listener: (change: Change) => void): () => void;

  /** What whoever looks at a cell now sees of it: for the edit of an editor that opens now. */
  base(id: number, field: Field): Base | undefined;
  /** @param options.base what its author saw; default: what is seen now. So for all three. */
  assignNumber(id: number, number: number | null, options?: { base?: Base }): Promise<Outcome>;
  /** Write the memo of a person, whether there is one or not. */
  saveMemo(id: number, memo: { memo: string; color?: string | null }, options?: { base?: Base }): Promise<Outcome>;
  deleteMemo(id: number, options?: { base?: Base }): Promise<Outcome>;
  /** Send any command, with an id of its own; shown by `touches` until it is answered. */
  command(event: string, payload: object, options?: { touches?: Touch[] }): Promise<Outcome>;

  /** Show others that a cell is edited, until it is ended; renewed by itself. */
  editing(id: number, field: Field | null, on: boolean): void;
  /** Send one's own value again, over theirs; or leave theirs. */
  resolve(conflict: Conflict, choice: "mine" | "theirs"): void;
  dismiss(failure: Failure): void;

  /** The page is hidden for long: close the connection, keep everything. */
  hidden(): void;
  /** The page is shown again: connect at once, if not connected. Also tries again after signed-out. */
  shown(): void;
  /** The device has slept: the connection is dead, whatever it seems. */
  woke(): void;
  /** Whether the device has a network, as far as it knows. */
  online(online: boolean): void;
  /** The screen shows all edits made so far. */
  painted(): void;
  /** Take what happened since the last time; `null`: nothing. */
  takeMetrics(): MetricsReport | null;
  /** End for good. What is unanswered stays in the storage. */
  close(): void;
}
