/** The line-up in React. */
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { io } from "socket.io-client";
import { shareLineup } from "./shared.js";
import { watchPage } from "./visibility.js";

/**
 * @import { LineupClient, LineupOptions, MemoValue, Outcome, Row, Snapshot } from "./types.js"
 */

/** @type {Snapshot} */
const EMPTY = Object.freeze({
  connection: Object.freeze({ state: "connecting" }),
  rows: Object.freeze([]),
  revision: 0,
  epoch: null,
  presence: { users: [], total: 0 },
  marks: [],
  cells: new Map(),
  conflicts: [],
  failures: [],
  unsent: 0,
  metrics: {
    attempts: 0,
    successes: 0,
    reconnects: 0,
    reconnectsPerHour: 0,
    answers: { count: 0, p50: 0, p95: 0, p99: 0 },
    screens: { count: 0, p50: 0, p95: 0, p99: 0 },
  },
});

const nothing = () => () => {};

/** @typedef {Partial<Omit<LineupOptions, "slug">> & { reportTo?: string | null }} HookOptions */

/**
 * The line-up of a retreat, live while a component shows it. All components of a page share one
 * connection, made with the options of the first.
 *
 * @param {string} slug
 * @param {HookOptions} [options]
 * @returns {Snapshot & { client: LineupClient | null }} `client` is `null` in the first rendering
 */
export function useGbsLineup(slug, options = {}) {
  const [client, setClient] = useState(/** @type {LineupClient | null} */ (null));
  const url = options.url ?? "";
  useEffect(() => {
    const { reportTo = `${url}/api/v1/client-metrics`, ...rest } = options;
    const given = { io, storage: sessionStorage, ...rest, url, slug };
    const watch = (/** @type {LineupClient} */ made) => watchPage(made, { window, document, reportTo });
    const shared = shareLineup(given, watch);
    setClient(shared.client);
    return shared.release;
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the other options are the first one's
  }, [url, slug]);
  const read = client?.getSnapshot ?? (() => EMPTY);
  const snapshot = useSyncExternalStore(client?.subscribe ?? nothing, read, () => EMPTY);
  return useMemo(() => ({ ...snapshot, client }), [snapshot, client]);
}

/**
 * One row; the component is rendered again only if that row has changed.
 *
 * @param {LineupClient | null} client
 * @param {number} id
 * @returns {Row | undefined}
 */
export function useGbsRow(client, id) {
  const subscribe = useCallback(
    (/** @type {() => void} */ listener) => client?.subscribeRow(id, listener) ?? (() => {}),
    [client, id],
  );
  const read = () => client?.row(id);
  return useSyncExternalStore(subscribe, read, () => undefined);
}

/** An edit that was not saved. */
export class LineupError extends Error {
  /** @param {Exclude<Outcome, { status: "saved" | "superseded" }>} outcome */
  constructor(outcome) {
    super(outcome.status === "conflict" ? "Somebody else has set it." : outcome.failure.message);
    this.code = outcome.status === "conflict" ? "CONFLICT" : outcome.failure.code;
    this.outcome = outcome;
  }
}

/**
 * A row, or an argument as the events have it: `lineupId` or `userRetreatRegistrationId`, `memoId`
 * or `userRetreatRegistrationMemoId`, `gbsNumber`, `memo`, `color`.
 *
 * @typedef {{ id?: number, lineupId?: number, userRetreatRegistrationId?: number, memoId?: number,
 *   userRetreatRegistrationMemoId?: number, gbsNumber?: number | null, memo?: string,
 *   color?: string | null }} Target
 */

/**
 * What the line-up page of the admin uses, in place of its own socket code. Each function takes a
 * row and the new values, or one object as the events have it, and returns the saved row.
 *
 * @param {string} slug
 * @param {HookOptions} [options]
 */
export function useWebSocketGbsLineup(slug, options) {
  const { client, rows, connection, epoch, unsent, ...rest } = useGbsLineup(slug, options);
  const actions = useMemo(() => actionsOf(client), [client]);
  return {
    ...rest,
    ...actions,
    client,
    data: rows,
    isConnected: connection.state === "live",
    isLoading: epoch === null,
    isMutating: unsent > 0,
  };
}

/** @param {LineupClient | null} client */
function actionsOf(client) {
  /**
   * @param {Target} target
   * @param {(client: LineupClient, id: number) => Promise<Outcome>} act
   */
  const perform = async (target, act) => {
    const id = client === null ? undefined : idOf(client, target);
    if (client === null || id === undefined) throw new Error("There is no such row.");
    const outcome = await act(client, id);
    if (outcome.status === "conflict" || outcome.status === "failed") throw new LineupError(outcome);
    return client.row(id);
  };
  /** @param {Target} target @param {string} [memo] @param {string | null} [color] */
  const saveMemo = (target, memo = target.memo ?? "", color = target.color) =>
    perform(target, (client, id) => client.saveMemo(id, { memo, color }));
  return {
    /** @param {Target} target @param {number | null} [number] */
    saveGbsNumber: (target, number = target.gbsNumber ?? null) =>
      perform(target, (client, id) => client.assignNumber(id, number)),
    saveLineupMemo: saveMemo,
    updateLineupMemo: saveMemo,
    /** @param {Target} target */
    deleteLineupMemo: (target) => perform(target, (client, id) => client.deleteMemo(id)),
  };
}

/**
 * @param {LineupClient} client
 * @param {Target} target
 */
function idOf(client, target) {
  const id = target.id ?? target.lineupId ?? target.userRetreatRegistrationId;
  if (id !== undefined) return id;
  const memoId = target.memoId ?? target.userRetreatRegistrationMemoId;
  return client.getSnapshot().rows.find((row) => memoId !== undefined && row.lineupMemoId === memoId)?.id;
}
