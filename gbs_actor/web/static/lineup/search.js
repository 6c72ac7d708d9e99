/**
 * Search in Korean while it is typed: by the initial consonants of syllables, and by a last syllable
 * that is not complete yet. On the way to the next one an input method gives it a consonant too many.
 */

const INITIALS = [..."ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"];
/** Final consonants as single ones and pairs; the first is none. */
const FINALS = " ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ".split(" ");
const [FIRST, LAST] = [0xac00, 0xd7a3];
/** How many vowels behind ㅗ, ㅜ and ㅡ begin with it. */
const BEGINS = new Map([[8, 3], [13, 3], [18, 1]]);

/**
 * Whether a text contains each word that is searched for.
 *
 * @param {string} text as `searchable` makes it
 * @param {string} query likewise
 */
export function found(text, query) {
  return query.split(" ").every((word) => contains(text, word));
}

/** Bring a text into the form that is compared. @param {string} text */
export function searchable(text) {
  return text.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim();
}

/**
 * @param {string} text
 * @param {string} word
 */
function contains(text, word) {
  if (text.includes(word)) return true;
  for (let at = 0; at + word.length <= text.length; at += 1) if (startsAt(text, at, word)) return true;
  return false;
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string} word
 */
function startsAt(text, at, word) {
  const last = word.length - 1;
  for (let index = 0; index < last; index += 1) {
    if (word[index] !== text[at + index] && word[index] !== initialOf(text[at + index])) return false;
  }
  return isOnTheWay(word[last], text[at + last], text[at + last + 1] ?? "");
}

/**
 * Whether the syllable that is typed just now may become these.
 *
 * @param {string} typed
 * @param {string} syllable
 * @param {string} next
 */
function isOnTheWay(typed, syllable, next) {
  if (typed === syllable || typed === initialOf(syllable)) return true;
  const [one, other] = [partsOf(typed), partsOf(syllable)];
  if (!one || !other) return false;
  const further = other.body - one.body;
  if (one.final === "") return further >= 0 && further <= (BEGINS.get(one.body % 21) ?? 0);
  // The last consonant may become a pair, or belong to the next syllable.
  return further === 0 && (other.final + (initialOf(next) ?? "")).startsWith(one.final);
}

/** @param {string} letter @returns {string | undefined} */
function initialOf(letter) {
  return INITIALS[Math.floor((letter.charCodeAt(0) - FIRST) / 588)];
}

/** The number of what a syllable begins with, and its final consonants. @param {string} letter */
function partsOf(letter) {
  const code = letter.charCodeAt(0);
  if (!(code >= FIRST && code <= LAST)) return null;
  return { body: Math.floor((code - FIRST) / 28), final: FINALS[(code - FIRST) % 28] };
}
