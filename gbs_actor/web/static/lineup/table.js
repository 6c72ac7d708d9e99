/** The grid of the line-up: the model goes in, edits and selections come out. */
import { visible } from "../shared/format.js";
import { columnsOf, scheduleKey } from "./columns.js";
import { Editing } from "./editing.js";
import { NO_FILTERS } from "./filters.js";
import { createGrid } from "./grid/index.js";
import { columnHeader } from "./header.js";
import { colourOfUser } from "./palette.js";
import { reasonOf } from "./announcer.js";
import { texts } from "./strings.js";

/**
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {import("../../client/types.js").Snapshot} Snapshot
 * @typedef {import("./grid/types.d.ts").Column} Column
 */

const [ROW, TOUCHED_ROW] = [32, 44];
/** Of one change; more would only flicker. */
const MOST_FLASHES = 40;
const LONGEST_NAME = 16;
/** The columns that light up, by the field that was changed; figures of groups only follow. */
const LIT_UP = {
  gbsNumber: "gbsNumber", lineupMemo: "lineupMemo", lineupMemocolor: "lineupMemo", name: "name", currentLeader: "currentLeader", isLeader: "name",
  phoneNumber: "phoneNumber", userType: "userType",
};

export class Table {
  #page;
  #editing;
  #grid;
  #host;
  #narrow;
  #ends;
  #filters;
  /** What was shown last. @type {readonly unknown[]} */
  #marks = [];
  /** @type {ReadonlyMap<string, unknown>} */
  #cells = new Map();

  /**
   * @param {HTMLElement} host
   * @param {import("./page.js").Page} page
   * @param {boolean} narrow
   */
  constructor(host, page, narrow) {
    this.#page = page;
    this.#host = host;
    this.#narrow = narrow;
    this.#editing = new Editing(page);
    this.#filters = page.model.filters.value;
    const { model, client } = page;
    this.#grid = createGrid(host, {
      ...this.#editing.options,
      texts: texts.grid,
      columns: this.#columns(),
      rowHeight: narrow ? TOUCHED_ROW : ROW,
      readOnly: !page.canEdit,
      rowClass: classOf,
      onOpen: (row) => page.drawer.set(row.id),
      onSelect: ({ rows }) => {
        page.notice.set("");
        if (typeof page.drawer.value === "number") page.drawer.set(rows[0]?.id ?? null);
      },
    });
    this.#grid.setRows(model.shown.value.rows);
    this.#ends = [
      model.shown.subscribe(({ rows }) => this.#show(rows)),
      model.snapshot.subscribe((snapshot) => this.#decorate(snapshot)),
      page.retreat.subscribe(() => this.#setColumns()),
      ...[model.sort, page.hidden].map((store) => store.subscribe(() => this.#setColumns())),
      model.filters.subscribe((filters) => this.#setFilters(filters)),
      client.onChanges((change) => this.#flash(change)),
      listen(host, "keydown", (event) => this.#useKey(event), { capture: true }),
    ];
    page.goTo = (id, key, edit = false) => this.#goTo(id, key, edit);
    page.commitEdit = () => this.#grid.commit();
    this.#decorate(model.snapshot.value);
  }

  /** Puts elements beside cells, and takes all others away. @param {import("./grid/types.d.ts").Note[]} notes */
  setNotes(notes) {
    this.#grid.setNotes(notes);
  }

  destroy() {
    this.#page.commitEdit(); // a phone that is turned gets another table
    this.#page.commitEdit = () => true;
    this.#page.goTo = () => {};
    for (const end of this.#ends) end();
    this.#grid.destroy();
  }

  /**
   * @param {number} id
   * @param {string} key
   * @param {boolean} edit
   */
  #goTo(id, key, edit) {
    const { model, hidden } = this.#page;
    if (!model.shown.value.rows.some((row) => row.id === id)) model.filters.set(NO_FILTERS);
    if (hidden.value.has(key)) hidden.set(new Set([...hidden.value].filter((each) => each !== key)));
    this.#grid.focusCell(id, key, { edit });
  }

  /** @param {readonly Row[]} rows */
  #show(rows) {
    this.#grid.setRows(rows);
    // Behind the grid's own drawing, which is in the next frame.
    requestAnimationFrame(() => this.#page.client.painted());
  }

  /** @param {Snapshot} snapshot */
  #decorate({ marks, cells, connection }) {
    this.#setReadOnly();
    this.#host.classList.toggle("stale", connection.state !== "live");
    if (marks.length > 0 || this.#marks.length > 0) this.#grid.setMarks(marks.map(markOf));
    if (cells.size > 0 || this.#cells.size > 0) {
      this.#grid.setCells(new Map([...cells].map(([name, cell]) => [name, statusOf(cell)])));
    }
    [this.#marks, this.#cells] = [marks, cells];
  }

  /** @param {import("../../client/types.js").Change} change */
  #flash({ own, by, ids, fields }) {
    if (own) return;
    const { name, colour } = person(by.userId, by.userName);
    for (const id of ids.slice(0, MOST_FLASHES)) {
      const keys = new Set((fields.get(id) ?? []).flatMap((field) => LIT_UP[field] ?? []));
      for (const key of keys) this.#grid.flash(id, key, name, colour);
      const [key] = keys;
      if (key) this.#page.announcer.changed(by.userName, this.#page.client.row(id), key);
    }
  }

  /** @param {import("./filters.js").Filters} filters */
  #setFilters(filters) {
    const { values, schedules } = this.#filters;
    this.#filters = filters;
    if (filters.values !== values || filters.schedules !== schedules) this.#setColumns(); // not for each letter of a search
  }

  #setReadOnly() {
    const readOnly = !this.#page.canEdit;
    if (readOnly) this.#page.commitEdit(); // what is being typed is listed as not saved, and not lost
    this.#grid.setReadOnly(readOnly);
  }

  #setColumns() {
    this.#setReadOnly();
    this.#grid.setColumns(this.#columns());
  }

  /** @returns {Column[]} */
  #columns() {
    const { retreat, hidden, model, menu } = this.#page;
    const { key: sortKey, descending = false } = model.sort.value ?? {};
    const { values, schedules } = model.filters.value;
    const filtered = new Set([...values.keys(), ...[...schedules.keys()].map(scheduleKey)]);
    return columnsOf(retreat.value, this.#narrow)
      .filter(({ key }) => !hidden.value.has(key))
      .map((column) => {
        const sorted = column.key === sortKey ? (descending ? "descending" : "ascending") : undefined;
        return { ...column, sorted, renderHeader: columnHeader(column, sorted, filtered.has(column.key), menu) };
      });
  }

  /** @param {KeyboardEvent} event */
  #useKey(event) {
    if (this.#editing.useKey(event)) event.preventDefault();
    else if (event.altKey && event.key === "ArrowDown") {
      const column = this.#grid.selected()?.columns[0];
      const anchor = column && this.#host.querySelector(`[data-column="${CSS.escape(column.key)}"]`);
      if (!anchor) return;
      event.preventDefault();
      event.stopPropagation();
      this.#page.menu.set({ key: column.key, anchor });
    }
  }
}

/** @param {Row} row */
function classOf({ isLeader, gbsNumber }) {
  if (gbsNumber === null) return "unassigned";
  return isLeader ? "leader" : "";
}

/**
 * @param {number | null} userId
 * @param {string} userName
 */
function person(userId, userName) {
  return { name: visible(userName, LONGEST_NAME), colour: colourOfUser(userId) };
}

/** @param {import("../../client/types.js").EditingMark} mark */
function markOf({ id, field, userId, userName }) {
  return { id, key: field ?? "gbsNumber", ...person(userId, userName) };
}

/** @param {import("../../client/types.js").CellStatus} cell */
function statusOf({ status, reason }) {
  if (status === "conflict") return { status: "failed", reason: texts.grid.conflict };
  return { status, ...(reason && { reason: reasonOf(reason) }) };
}

/**
 * @param {HTMLElement} element
 * @param {string} type
 * @param {(event: any) => void} listener
 * @param {AddEventListenerOptions} options
 */
function listen(element, type, listener, options) {
  element.addEventListener(type, listener, options);
  return () => element.removeEventListener(type, listener, options);
}
