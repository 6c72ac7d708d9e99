/** What the page shows of the line-up: the client's snapshot, filtered and in an order that stays. */
import { Store } from "../shared/store.js";
import { comparing } from "./fields.js";
import { matching, NO_FILTERS } from "./filters.js";
import { arrange, keep } from "./order.js";

/**
 * @typedef {import("../../client/types.js").LineupClient} LineupClient
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {{key: string, descending: boolean}} Sort
 * @typedef {object} Shown
 * @property {readonly Row[]} rows
 * @property {number} displaced rows that would be elsewhere, see `order.js`
 * @property {{all: number, assigned: number}} totals of the retreat
 */

/** Edits go to the client, its snapshots come in, and what is shown goes out: never back. */
export class Model {
  /** @type {Store<Filters>} */
  filters = new Store(NO_FILTERS);
  /** `null`: as the server sorts. */
  sort = new Store(/** @type {Sort | null} */ (null));

  #client;
  #compareRows;
  /** @type {import("./order.js").Rule} */
  #rule;
  /** @type {import("./order.js").Arrangement} */
  #arrangement;
  #epoch;
  /** @type {readonly Row[]} */
  #rows;

  /**
   * @param {LineupClient} client
   * @param {(one: Row, other: Row) => number} compareRows the server's order
   */
  constructor(client, compareRows) {
    this.#client = client;
    this.#compareRows = compareRows;
    const snapshot = client.getSnapshot();
    /** The client's. */
    this.snapshot = new Store(snapshot);
    this.#rows = snapshot.rows;
    this.#epoch = snapshot.epoch;
    this.#rule = this.#makeRule();
    this.#arrangement = arrange(this.#rows, this.#rule);
    /** @type {Store<Shown>} */
    this.shown = new Store(this.#look());
    const ends = [client.subscribe(() => this.#update())];
    for (const store of [this.filters, this.sort]) ends.push(store.subscribe(() => this.rearrange()));
    this.close = () => ends.forEach((end) => end());
  }

  /** Put all rows where they belong by now. */
  rearrange = () => {
    this.#rule = this.#makeRule();
    this.#arrangement = arrange(this.#rows, this.#rule);
    this.shown.set(this.#look());
  };

  #update() {
    const snapshot = this.#client.getSnapshot();
    const { rows, epoch } = snapshot;
    const first = epoch !== this.#epoch;
    const changed = rows !== this.#rows;
    [this.#rows, this.#epoch] = [rows, epoch];
    this.snapshot.set(snapshot);
    if (first) this.rearrange();
    else if (changed) this.shown.set(this.#look());
  }

  #makeRule() {
    const sort = this.sort.value;
    const compare = sort ? comparing(sort.key, sort.descending) : this.#compareRows;
    return { matches: matching(this.filters.value), compare };
  }

  /** @returns {Shown} */
  #look() {
    const { rows, displaced } = keep(this.#arrangement, this.#rows, this.#rule);
    const assigned = this.#rows.reduce((sum, { gbsNumber }) => sum + Number(gbsNumber !== null), 0);
    return { rows: /** @type {Row[]} */ (rows), displaced, totals: { all: this.#rows.length, assigned } };
  }
}
