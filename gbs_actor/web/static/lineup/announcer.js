/** What a screen reader is told: what matters at once, what others do only now and then. */
import { visible } from "../shared/format.js";
import { Store } from "../shared/store.js";
import { texts } from "./strings.js";

/** Milliseconds in which changes of others are added up. */
const PAUSE = 5_000;
/** Milliseconds after which whoever searches has stopped to type. */
const REST = 800;
const SHORT = 30;

/** @typedef {import("../../client/types.js").Row} Row */

export class Announcer {
  /** The sentence in the live region. */
  said = new Store("");
  /** @type {string[]} */
  #changes = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #searching;

  /** @param {string} sentence */
  say(sentence) {
    // The same sentence again has to be another one, or it is not read.
    this.said.set(this.said.value === sentence ? `${sentence}\u00a0` : sentence);
  }

  /**
   * @param {string} who
   * @param {Row | undefined} row
   * @param {string} field
   */
  changed(who, row, field) {
    this.#changes.push(texts.announcements.one(visible(who, SHORT), nameOf(row), texts.columns[field] ?? field));
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const [only, ...more] = this.#changes.splice(0);
      this.say(more.length === 0 ? only : texts.announcements.many(more.length + 1));
    }, PAUSE);
  }

  /**
   * @param {import("../../client/types.js").Failure} failure
   * @param {Row | undefined} row
   */
  failed({ code }, row) {
    this.say(texts.announcements.failure(nameOf(row), reasonOf(code)));
  }

  /**
   * @param {Row | undefined} row
   * @param {string} field
   */
  conflict(row, field) {
    this.say(texts.announcements.conflict(nameOf(row), texts.columns[field]));
  }

  /** How many rows are left, once the search has come to rest. @param {() => number} count */
  found(count) {
    clearTimeout(this.#searching);
    this.#searching = setTimeout(() => this.say(texts.announcements.found(count())), REST);
  }

  /** @param {string} state of the connection */
  connection(state) {
    this.say(texts.status[state]);
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#searching);
  }
}

/** @param {Row | undefined} row */
const nameOf = (row) => (row ? visible(row.name, SHORT) : texts.problems.unknownRow);

/** Why something was not saved. @param {string} code */
export const reasonOf = (code) => texts.reasons[code] ?? texts.reasons.other(code);
