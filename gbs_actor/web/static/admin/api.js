/** The operations of the admin API that the dashboard uses. */
import { HttpError, request, withQuery } from "../shared/http.js";
import { Store } from "../shared/store.js";

/**
 * Who is logged in: undefined until that is known, null if nobody is.
 * @type {Store}
 */
export const session = new Store(undefined);

/** Whether a session has ended while the page was open. */
export const ended = new Store(false);

/** The servers on which the last session may go on, as they have not answered its end. */
export const unended = new Store([]);

/** Find out whether this browser has a session. */
export async function findSession() {
  try {
    session.set(await request("GET", "session"));
  } catch (error) {
    if (error instanceof HttpError && [401, 403].includes(error.status)) session.set(null);
    else throw error;
  }
}

/** Begin a session; the token is kept nowhere but in this request. */
export async function logIn(token) {
  session.set(await request("POST", "session", { headers: { Authorization: `Bearer ${token}` } }));
  ended.set(false);
  unended.set([]);
}

/** End the session; if the server does not answer, the page forgets it all the same. */
export async function logOut() {
  const headers = csrfHeader();
  ended.set(false);
  session.set(null);
  const end = await request("DELETE", "session", { headers });
  if (session.value === null) unended.set(end?.missing ?? []);
}

/** Whether somebody sees the whole server, or the rooms of some retreats only. */
export function isUnrestricted(operator) {
  return operator.retreats === null;
}

/**
 * Read something.
 *
 * @param {string} path below /admin/
 * @param {Record<string, unknown>} query
 */
export function read(path, query = {}, options = {}) {
  return watched(request("GET", withQuery(path, query), options));
}

/** The path of an action on one of several servers; undefined: there is only one. */
export function onNode(path, node) {
  return withQuery(path, { node });
}

/**
 * Perform an action, or find out what it would do.
 *
 * @param {string} path below /admin/; may have a query
 * @param {Record<string, unknown>} body with a reason
 * @param {{dryRun?: boolean, timeout?: number}} options
 */
export function act(path, body, { dryRun = false, timeout } = {}) {
  const target = dryRun ? `${path}${path.includes("?") ? "&" : "?"}dry_run` : path;
  return watched(request("POST", target, { body, headers: csrfHeader(), timeout }));
}

function csrfHeader() {
  const token = session.value?.csrfToken;
  return token ? { "X-CSRF-Token": token } : {};
}

async function watched(response) {
  try {
    return await response;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401 && session.value) {
      ended.set(true);
      session.set(null);
    }
    throw error;
  }
}

/**
 * The path of an object whose name somebody else has chosen.
 *
 * @throws {RangeError} a browser would take a part for a step to another folder, so that
 *   rooms/../drain would stop the server
 */
export function pathOf(...parts) {
  if (parts.some((part) => part === "." || part === "..")) throw new RangeError(parts.join("/"));
  return parts.map((part) => encodeURIComponent(part)).join("/");
}
