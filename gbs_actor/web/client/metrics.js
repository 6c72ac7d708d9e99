/** What a client counts of itself. */
import { Histogram } from "./histogram.js";

/** @import { MetricsReport, MetricsSummary } from "./types.js" */

const HOUR = 3_600_000;

export class Metrics {
  attempts = 0;
  successes = 0;
  answers = new Histogram();
  screens = new Histogram();

  #now;
  #since;
  #reported = { at: 0, attempts: 0, successes: 0, reconnects: 0 };

  /** @param {() => number} now milliseconds */
  constructor(now) {
    this.#now = now;
    this.#since = this.#reported.at = now();
  }

  get reconnects() {
    return Math.max(this.successes - 1, 0);
  }

  /** @returns {MetricsSummary} */
  get summary() {
    const { attempts, successes, reconnects } = this;
    // Of a client's first minutes a rate says nothing.
    const hours = Math.max((this.#now() - this.#since) / HOUR, 0.1);
    return {
      attempts,
      successes,
      reconnects,
      reconnectsPerHour: reconnects / hours,
      answers: this.answers.quantiles,
      screens: this.screens.quantiles,
    };
  }

  /** Return what happened since the last time; `null`: nothing. @returns {MetricsReport | null} */
  take() {
    const { attempts, successes, reconnects } = this;
    const last = this.#reported;
    const [answers, screens] = [this.answers.take(), this.screens.take()];
    const counted = [...answers.counts, ...screens.counts].some((each) => each > 0);
    if (!counted && attempts === last.attempts && successes === last.successes) return null;
    const at = this.#now();
    this.#reported = { at, attempts, successes, reconnects };
    return {
      seconds: Math.max(at - last.at, 0) / 1_000,
      attempts: attempts - last.attempts,
      successes: successes - last.successes,
      reconnects: reconnects - last.reconnects,
      answers,
      screens,
    };
  }
}
