/** One client for a retreat and a user, however many components of a page use it. */
import { createLineup } from "./lineup.js";

/** @import { LineupClient, LineupOptions } from "./types.js" */

/** Milliseconds for which a client without users stays: the next page may use it again. */
const GRACE = 1_000;

/**
 * @typedef {object} Shared
 * @property {LineupClient} client
 * @property {number} users
 * @property {() => void} end
 */

/** @type {Map<string, Shared>} */
const shared = new Map();

/**
 * Return the client of a retreat for a user, connected by whoever asks first, with their options.
 *
 * @param {LineupOptions} options
 * @param {(client: LineupClient) => () => void} [started] called with a new client; returns what is
 *   called when it is closed
 * @returns {{ client: LineupClient, release: () => void }}
 */
export function shareLineup(options, started) {
  const key = `${options.url ?? ""} ${options.slug} ${options.user?.userId ?? ""}`;
  let entry = shared.get(key);
  if (entry === undefined) {
    const client = createLineup(options);
    entry = { client, users: 0, end: started?.(client) ?? (() => {}) };
    shared.set(key, entry);
  }
  const { client } = entry;
  const users = entry;
  users.users += 1;
  let released = false;
  return {
    client,
    release() {
      if (released) return;
      released = true;
      users.users -= 1;
      setTimeout(() => {
        if (users.users > 0 || shared.get(key) !== users) return;
        shared.delete(key);
        users.end();
        client.close();
      }, GRACE);
    },
  };
}
