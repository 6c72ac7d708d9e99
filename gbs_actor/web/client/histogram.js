/** Times in a few buckets, as Prometheus counts them. */

/** @import { HistogramReport, Quantiles } from "./types.js" */

/** Upper bounds of the buckets, in milliseconds; the last bucket has none. */
export const BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

export class Histogram {
  #counts = new Array(BOUNDS.length + 1).fill(0);
  #sum = 0;
  /** What the last report had. */
  #reported = { counts: new Array(BOUNDS.length + 1).fill(0), sum: 0 };

  /** @param {number} milliseconds */
  add(milliseconds) {
    const at = BOUNDS.findIndex((bound) => milliseconds <= bound);
    this.#counts[at < 0 ? BOUNDS.length : at] += 1;
    this.#sum += Math.max(milliseconds, 0);
  }

  /** @returns {Quantiles} of all values */
  get quantiles() {
    const count = this.#counts.reduce((sum, each) => sum + each, 0);
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => this.#quantile(share, count));
    return { count, p50: p50 ?? 0, p95: p95 ?? 0, p99: p99 ?? 0 };
  }

  /** Return what was added since the last time. @returns {HistogramReport} */
  take() {
    const { counts, sum } = this.#reported;
    this.#reported = { counts: [...this.#counts], sum: this.#sum };
    return {
      bounds: BOUNDS,
      counts: this.#counts.map((each, at) => each - counts[at]),
      sum: this.#sum - sum,
    };
  }

  /**
   * @param {number} share
   * @param {number} count
   */
  #quantile(share, count) {
    let missing = share * count;
    for (const [at, inside] of this.#counts.entries()) {
      const [low, high] = [BOUNDS[at - 1] ?? 0, BOUNDS[at] ?? Number(BOUNDS.at(-1))];
      if (inside >= missing && inside > 0) return low + ((high - low) * missing) / inside;
      missing -= inside;
    }
    return 0;
  }
}
