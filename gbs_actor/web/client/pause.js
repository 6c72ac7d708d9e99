/** A server that is too busy is sent nothing for a while, longer each time. */
import { delay } from "./backoff.js";

/** @import { Clock } from "./types.js" */

export class Pause {
  #clock;
  #random;
  #over;
  /** @type {unknown} */
  #timer;
  #times = 0;

  /**
   * @param {Clock} clock
   * @param {() => number} random
   * @param {() => void} over called when it has ended by itself
   */
  constructor(clock, random, over) {
    this.#clock = clock;
    this.#random = random;
    this.#over = over;
  }

  get active() {
    return this.#timer !== undefined;
  }

  begin() {
    if (this.active) return;
    const wait = delay(this.#times, this.#random);
    this.#times += 1;
    this.#timer = this.#clock.setTimeout(() => {
      this.end();
      this.#over();
    }, wait);
  }

  end() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The server answers: the next one is short. */
  reset() {
    this.#times = 0;
  }
}
