/** What the parts of a retreat's page share. */
import { compareRows } from "../client/index.js";
import { Store } from "../shared/store.js";
import { Announcer } from "./announcer.js";
import { hiddenColumns } from "./hidden_columns.js";
import { connectTo } from "./live.js";
import { Model } from "./model.js";
import { read } from "./session.js";

/**
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {import("./columns.js").Retreat & {slug: string, title: string, canEdit: boolean,
 *   isOperator: boolean, user: {userId: number, name: string}}} Retreat
 */

/** Phones may send only the second one. */
const LEAVES = ["beforeunload", "pagehide"];

export class Page {
  /** What is shown in the drawer: a row's id, "status", or nothing. */
  drawer = new Store(/** @type {number | "status" | null} */ (null));
  /** The column whose menu is open, and the element that it belongs to; "": that of all columns. */
  menu = new Store(/** @type {{key: string, anchor: Element} | null} */ (null));
  /** Why the last key had no effect; "": it had one. */
  notice = new Store("");
  announcer = new Announcer();
  hidden = hiddenColumns();
  /** Selects a cell, and edits it if wanted. @type {(id: number, key: string, edit?: boolean) => void} */
  goTo = () => {};
  /** Ends the edit of a cell by its commit; `false`: it cannot be. @type {() => boolean} */
  commitEdit = () => true;
  /** When the list was current last; milliseconds since 1970. */
  currentAt = NaN;

  #ends;
  #lastState = "connecting";
  #refreshing = false;
  /** @type {Set<string>} */
  #seenFailures = new Set();

  /** @param {Retreat} retreat */
  constructor(retreat) {
    this.retreat = new Store(retreat);
    const { client, close } = connectTo(retreat.slug, retreat.user);
    this.client = client;
    this.model = new Model(client, compareRows);
    for (const type of LEAVES) window.addEventListener(type, this.#leave);
    this.#ends = [
      this.model.snapshot.subscribe(() => this.#look()),
      this.model.filters.subscribe(() => this.announcer.found(() => this.model.shown.value.rows.length)),
      this.model.close,
      close,
      () => this.announcer.close(),
      () => LEAVES.forEach((type) => window.removeEventListener(type, this.#leave)),
    ];
  }

  /** What is not saved outlives a reload, but not the end of the window: ask. @param {Event} event */
  #leave = (event) => {
    if (!this.commitEdit() || this.client.getSnapshot().unsent > 0) event.preventDefault();
  };

  close() {
    for (const end of this.#ends) end();
  }

  /** Whether cells can be edited; what is typed while offline waits. */
  get canEdit() {
    return this.retreat.value.canEdit && this.model.snapshot.value.connection.state !== "forbidden";
  }

  /** A new failure or connection may mean that the user's rights are other ones. */
  #look() {
    const { connection, failures } = this.model.snapshot.value;
    const { state } = connection;
    const fresh = failures.filter(({ key }) => !this.#seenFailures.has(key));
    for (const failure of fresh) {
      this.#seenFailures.add(failure.key);
      this.announcer.failed(failure, failure.id === null ? undefined : this.client.row(failure.id));
    }
    const back = state === "live" && this.#lastState !== "live" && !Number.isNaN(this.currentAt);
    if (this.#lastState === "live" || state === "live") this.currentAt = Date.now();
    if (state !== this.#lastState) this.announcer.connection(state);
    this.#lastState = state;
    if (back || fresh.some(({ code }) => code === "FORBIDDEN")) void this.#refresh();
  }

  async #refresh() {
    if (this.#refreshing) return;
    this.#refreshing = true;
    try {
      const { slug } = this.retreat.value;
      this.retreat.set(await read(`api/v1/retreat/${encodeURIComponent(slug)}`));
    } catch {
      // The connection says what is wrong.
    } finally {
      this.#refreshing = false;
    }
  }
}
