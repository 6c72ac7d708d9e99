/** The difference of two texts, word by word. */

/** Longer texts are compared as a whole: the work grows with the product of the lengths. */
const MOST_WORDS = 400;

/**
 * @param {string} before
 * @param {string} after
 * @returns {{kind: "same" | "removed" | "added", text: string}[]} joined, the same and the added
 *   ones are `after`, the same and the removed ones `before`
 */
export function wordDiff(before, after) {
  const [one, other] = [wordsOf(before), wordsOf(after)];
  if (one.length > MOST_WORDS || other.length > MOST_WORDS) return whole(before, after);
  const lengths = commonLengths(one, other);
  /** @type {{kind: "same" | "removed" | "added", text: string}[]} */
  const parts = [];
  const put = (/** @type {"same" | "removed" | "added"} */ kind, /** @type {string} */ text) => {
    const last = parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else parts.push({ kind, text });
  };
  let [i, j] = [0, 0];
  while (i < one.length || j < other.length) {
    if (i < one.length && j < other.length && one[i] === other[j]) {
      put("same", one[i]);
      [i, j] = [i + 1, j + 1];
    } else if (j >= other.length || (i < one.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      put("removed", one[i++]);
    } else put("added", other[j++]);
  }
  return parts;
}

/** @param {string} text @returns {string[]} words, and what is between them */
function wordsOf(text) {
  return text.match(/\s+|[^\s]+/g) ?? [];
}

/**
 * @param {string} before
 * @param {string} after
 * @returns {{kind: "removed" | "added", text: string}[]}
 */
function whole(before, after) {
  return [{ kind: "removed", text: before }, { kind: "added", text: after }];
}

/**
 * How many words the ends of both have in common, from each pair of places on.
 *
 * @param {string[]} one
 * @param {string[]} other
 */
function commonLengths(one, other) {
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}
