/** How long to wait before the next attempt. */

const FIRST = 2_000;
const LONGEST = 30_000;

/**
 * Return a waiting time in milliseconds: random up to a limit that doubles with each failure, so
 * that clients which were cut off together do not come back together, not even the first time.
 *
 * @param {number} failures so far, 0 at first
 * @param {() => number} random
 */
export function delay(failures, random) {
  return (0.1 + 0.9 * random()) * Math.min(FIRST * 2 ** failures, LONGEST);
}
