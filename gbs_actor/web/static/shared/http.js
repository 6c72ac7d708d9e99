/** The server has refused a request. */
export class HttpError extends Error {
  /**
   * @param {number} status
   * @param {string} code such as FORBIDDEN
   * @param {string} message the server's sentence
   * @param {number|null} retryAfter seconds
   */
  constructor(status, code, message, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The server has not answered: no connection, no JSON, or not in time. */
export class Unreachable extends Error {}

const TIMEOUT = 15_000;

/**
 * Send a request and return the JSON of its response; null for an empty one.
 *
 * @param {string} method
 * @param {string} path relative to the page
 * @param {{body?: unknown, headers?: Record<string, string>, signal?: AbortSignal,
 *          timeout?: number}} options timeout in milliseconds
 * @throws {HttpError} the server refuses it
 * @throws {Unreachable}
 * @throws {DOMException} AbortError: the signal was aborted
 */
export async function request(method, path, options = {}) {
  const { body, headers = {}, signal, timeout = TIMEOUT } = options;
  const sent = { Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(timeout);
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(String(error));
  }
  return decoded(response, text);
}

/** @returns {any} */
function decoded(response, text) {
  /** @type {any} */
  let value = null;
  try {
    if (text !== "") value = JSON.parse(text);
  } catch {
    throw new Unreachable(`${response.status} ${response.statusText}`);
  }
  if (response.ok) return value;
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  throw new HttpError(response.status, value?.code ?? "", value?.message ?? "", retryAfter);
}

/** A path with a query; undefined, null and "" are left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
