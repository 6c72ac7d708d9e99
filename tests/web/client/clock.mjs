// A clock that only moves when it is told to.
export class FakeClock {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  setTimeout = (callback, milliseconds) => {
    this.#last += 1;
    this.#timers.set(this.#last, { callback, at: this.#now + milliseconds });
    return this.#last;
  };

  clearTimeout = (timer) => void this.#timers.delete(timer);

  get timers() {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer. */
  get next() {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at)) - this.#now;
  }

  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      const [timer, { callback, at }] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.#timers.delete(timer);
      this.#now = at;
      callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Let everything run that waits for nothing. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
