import { useEffect, useRef, useState } from "preact/hooks";
import { HttpError, Unreachable } from "./http.js";
import { Store } from "./store.js";

/**
 * Whether the server answers: null while it does; else since when it does not, and when the next
 * attempt comes, both in milliseconds as of Date.now().
 */
export const outage = new Store(null);

const FIRST_PAUSE = 4_000;
const MAX_PAUSE = 30_000;

/**
 * Loads something again and again: one request at a time, none while the tab is hidden, ever
 * longer pauses while the server does not answer.
 */
export class Poller {
  #timer = null;
  #abort = null;
  #failures = 0;
  #stopped = false;
  #again = false;

  /**
   * @param {(signal: AbortSignal) => Promise<unknown>} load
   * @param {number} interval milliseconds between the end of one request and the next
   * @param {{done: (data: unknown) => void, failed: (error: Error) => void}} receiver
   */
  constructor(load, interval, receiver) {
    this.load = load;
    this.interval = interval;
    this.receiver = receiver;
  }

  start() {
    document.addEventListener("visibilitychange", this.#resume);
    window.addEventListener("online", this.#resume);
    this.now();
  }

  stop() {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.#resume);
    window.removeEventListener("online", this.#resume);
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  /** Load now; if a request is under way, once more behind it. */
  now() {
    clearTimeout(this.#timer);
    if (this.#stopped || document.hidden) return;
    if (this.#abort) this.#again = true;
    else this.#run();
  }

  #resume = () => {
    if (document.hidden) clearTimeout(this.#timer);
    else if (!this.#abort) this.now();
  };

  async #run() {
    this.#abort = new AbortController();
    let pause = this.interval;
    try {
      const data = await this.load(this.#abort.signal);
      if (this.#stopped) return;
      this.#failures = 0;
      outage.set(null);
      this.receiver.done(data);
    } catch (error) {
      if (this.#stopped) return;
      pause = this.#pauseAfter(error);
      this.receiver.failed(error);
    } finally {
      this.#abort = null;
    }
    if (this.#again) {
      this.#again = false;
      pause = 0;
    }
    if (!document.hidden && pause !== Infinity) {
      this.#timer = setTimeout(() => this.now(), pause);
    }
  }

  #pauseAfter(error) {
    if (error instanceof HttpError && error.status < 500) {
      if (error.status === 429) return Math.max(this.interval, 1000 * (error.retryAfter ?? 1));
      return error.status === 404 ? 5 * this.interval : Infinity;
    }
    // Also of what is loaded seldom: a server that is restarted is back in seconds.
    const pause = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    const spread = pause * (0.75 + Math.random() / 2);
    if (error instanceof HttpError || error instanceof Unreachable) {
      const since = outage.value?.since ?? Date.now();
      outage.set({ since, next: Date.now() + spread });
    }
    return spread;
  }
}

/**
 * Show what is loaded again and again.
 *
 * @param {(signal: AbortSignal) => Promise<unknown>} load
 * @param {number} interval milliseconds
 * @param {string} key of what is loaded; another one begins anew, and shows the old data until
 *   there is new data
 * @param {boolean} paused
 * @returns {{data: any, error: Error|null, loading: boolean, refresh: () => void}} loading: what
 *   is shown belongs to another key
 */
export function usePolling(load, interval, key = "", paused = false) {
  const [state, setState] = useState({ data: null, error: null, key: null });
  const latest = useRef(load);
  latest.current = load;
  const poller = useRef(null);
  useEffect(() => {
    if (paused) return undefined;
    const made = new Poller((signal) => latest.current(signal), interval, {
      done: (data) => setState({ data, error: null, key }),
      failed: (error) => setState((before) => ({ ...before, error, key })),
    });
    poller.current = made;
    made.start();
    return () => made.stop();
  }, [key, interval, paused]);
  const refresh = () => poller.current?.now();
  return { data: state.data, error: state.error, loading: state.key !== key, refresh };
}
