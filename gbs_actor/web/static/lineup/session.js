/**
 * Who uses this window.
 *
 * Mostly the cookie says it. In the demo a window may have a token of its own, so that two windows
 * are two people: it is kept in sessionStorage, which lasts over a reload.
 */
import { request } from "../shared/http.js";
import { root } from "./server.js";

const KEY = "gbs-token";

/** The token of this window; null: the cookie counts. It is what the client core takes, too. */
export function token() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is forbidden
  }
}

/** Read a path of the API, as whoever uses this window. */
export function read(path, signal) {
  const own = token();
  /** @type {Record<string, string>} */
  const headers = own === null ? {} : { Authorization: `Bearer ${own}` };
  return request("GET", new URL(path, root).href, { headers, signal });
}

/**
 * Use this window as one of the demo's people.
 *
 * @param {number} person from 1; the first one has the cookie, and needs no token of the window
 */
export async function enterDemo(person) {
  const url = new URL("demo/session", root).href;
  const session = await request("POST", url, { body: { person } });
  if (person === 1) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, session.token);
}
