/** Numbers, times and texts as pages show them. A missing value is a dash. */

export const NOTHING = "–";

const whole = new Intl.NumberFormat("ko-KR", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("ko-KR", { maximumFractionDigits: 1 });
const twoDigits = new Intl.NumberFormat("ko-KR", { maximumFractionDigits: 2 });
const time = new Intl.DateTimeFormat("ko-KR", { timeStyle: "medium", hour12: false });
const dateTime = new Intl.DateTimeFormat("ko-KR", {
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** 12,345 */
export function count(value) {
  return known(value) ? whole.format(value) : NOTHING;
}

/** 0.42, 8.3, 120: as many digits as are of use. */
export function decimal(value) {
  if (!known(value)) return NOTHING;
  const digits = value < 1 ? twoDigits : value < 100 ? oneDigit : whole;
  return digits.format(value);
}

/** Seconds that are short: 0.8 ms, 12 ms, 1.2 s. */
export function latency(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds === 0) return "0 ms";
  if (seconds < 1) return `${decimal(seconds * 1000)} ms`;
  return `${decimal(seconds)} s`;
}

/** Seconds that are long: <1초, 12초, 3분 12초, 2시간 5분, 3일 4시간. */
export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds < 1) return seconds === 0 ? "0초" : "<1초";
  const total = Math.floor(seconds);
  const [days, hours] = [Math.floor(total / 86_400), Math.floor(total / 3600) % 24];
  const [minutes, rest] = [Math.floor(total / 60) % 60, total % 60];
  if (days) return `${days}일 ${hours}시간`;
  if (hours) return `${hours}시간 ${minutes}분`;
  return minutes ? `${minutes}분 ${rest}초` : `${rest}초`;
}

/** 512 B, 1.4 MiB */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  let [size, unit] = [value, 0];
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 ? whole.format(size) : oneDigit.format(size)} ${units[unit]}`;
}

/** 0.123 as 12% */
export function percent(share) {
  return known(share) ? `${decimal(share * 100)}%` : NOTHING;
}

/** A moment as a Date, from Unix time in seconds or an ISO date-time; null if it is neither. */
export function moment(value) {
  if (value === null || value === undefined) return null;
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** 14:03:22 today, else with the day. */
export function clock(value) {
  const date = moment(value);
  if (date === null) return NOTHING;
  const today = date.toDateString() === new Date().toDateString();
  return (today ? time : dateTime).format(date);
}

/** All of a moment, for a title. */
export function fullTime(value) {
  return moment(value)?.toLocaleString("ko-KR") ?? NOTHING;
}

// Control, zero-width and direction characters: they show nothing, or turn what is around them.
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]/g;

/**
 * A text from somebody else: what shows nothing is marked, and it is cut where it is long.
 *
 * @param {unknown} value
 * @param {number} longest characters
 */
export function visible(value, longest = 120) {
  if (value === null || value === undefined || value === "") return NOTHING;
  const text = String(value);
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  const marked = cut.replace(INVISIBLE, "\u00b7");
  return marked.toWellFormed?.() ?? marked;
}
