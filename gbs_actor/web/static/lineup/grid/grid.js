import { Actions } from "./actions.js";
import { Body } from "./body.js";
import { Decorations } from "./decorations.js";
import { Editing } from "./editing.js";
import { Notes } from "./notes.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { View } from "./view.js";

/**
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./types.d.ts").Row} Row
 */

let made = 0;

/** The parts of a grid, and what its owner can change. */
export class GridParts {
  rows = new Rows();
  decorations = new Decorations(() => this.view.schedule());
  selection = new Selection(this.rows, () => this.view.columns);
  notes = new Notes();
  /** @type {Editing | null} `null`: nothing can be edited */
  editing = null;
  #id = `grid-${++made}`;
  #help = document.createElement("div");
  #reported = "";
  #read = "";

  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.body = new Body(this.#id, options, this.rows, this.selection, this.decorations);
    this.view = new View(this.#id, options, this.rows, this.body, (revealed) => this.#drawAbove(revealed));
    this.actions = new Actions(this);
    this.#help.className = "unseen";
    this.#help.id = `${this.#id}-help`;
    this.#help.textContent = options.texts.help;
    host.classList.add("grid");
    host.append(this.#help, this.view.scroller);
    this.view.scroller.prepend(this.notes.element);
    this.view.setColumns(options.columns);
    this.#setEditing(!options.readOnly);
  }

  /** What has the focus. */
  get focusable() {
    return this.editing?.editor.field ?? this.view.canvas;
  }

  /** @returns {{row: Row, column: Column} | null} */
  get active() {
    const cell = this.selection.active;
    if (!cell) return null;
    const row = this.rows.list[cell.row];
    const column = this.view.columns.list[cell.column];
    return row && column ? { row, column } : null;
  }

  focus() {
    this.focusable.focus({ preventScroll: true });
  }

  /** @param {readonly Row[]} rows */
  setRows(rows) {
    this.rows.set(rows);
    this.update();
  }

  /** @param {Column[]} columns */
  setColumns(columns) {
    this.view.setColumns(columns);
    this.update();
  }

  /** @param {Iterable<import("./types.d.ts").Note>} notes */
  setNotes(notes) {
    this.notes.set(notes);
    this.view.schedule();
  }

  /** @param {import("./types.d.ts").RowId | null} id */
  pin(id) {
    this.rows.pin("owner", id);
    this.update();
  }

  /**
   * @param {import("./types.d.ts").RowId} id
   * @param {string} key
   * @param {boolean} edit
   */
  focusCell(id, key, edit) {
    const row = this.rows.indexOf(id);
    const column = this.view.columns.indexOf.get(key);
    if (row < 0 || column === undefined) return;
    this.actions.select({ row, column });
    if (edit) this.actions.edit();
  }

  /** @param {boolean} readOnly */
  setReadOnly(readOnly) {
    if (readOnly === (this.editing === null)) return;
    const focused = this.host.contains(document.activeElement);
    this.#setEditing(!readOnly);
    if (focused) this.focus();
  }

  /** Rows, their order, columns or the selection have changed, or the editor opened or closed. */
  update() {
    this.selection.update();
    this.editing?.update();
    this.view.schedule();
    this.#reportSelection();
  }

  destroy() {
    this.editing = null;
    this.body.destroy();
    this.view.destroy();
    this.decorations.destroy();
    this.#help.remove();
    this.host.classList.remove("grid");
  }

  /** @param {boolean} can */
  #setEditing(can) {
    const { canvas, scroller } = this.view;
    this.editing?.cancel();
    this.editing?.editor.overlay.element.remove();
    this.editing = can ? new Editing(`${this.#id}-editor`, this) : null;
    if (this.editing) {
      this.editing.editor.field.setAttribute("aria-controls", canvas.id);
      scroller.prepend(this.editing.editor.overlay.element);
    }
    canvas.setAttribute("aria-readonly", String(!can));
    canvas.removeAttribute("tabindex");
    canvas.removeAttribute("aria-activedescendant");
    this.focusable.tabIndex = 0;
    this.focusable.setAttribute("aria-describedby", this.#help.id);
    this.#read = "";
    this.update();
  }

  #reportSelection() {
    const { selected, range, active } = this.selection;
    const report = JSON.stringify([range, active && this.rows.list[active.row]?.id]);
    if (!selected || report === this.#reported) return;
    this.#reported = report;
    this.options.onSelect?.(selected);
  }

  /**
   * @param {boolean} revealed whether the selection was brought into view
   */
  #drawAbove(revealed) {
    const cell = this.selection.active;
    const { editor } = this.editing ?? {};
    // What is typed is read from the field.
    const read = cell && !editor?.mode ? this.body.idOf(cell) : "";
    if (read !== this.#read) this.focusable.setAttribute("aria-activedescendant", read);
    this.#read = read;
    this.notes.place((overlay, id, key) => {
      const row = this.rows.indexOf(id);
      const column = this.view.columns.indexOf.get(key);
      if (row < 0 || column === undefined) return false;
      this.#place(overlay, column, row + 1);
      return true;
    });
    if (!editor || !cell) return;
    this.#place(editor.overlay, cell.column, cell.row);
    if (revealed && editor.mode) editor.reveal();
  }

  /**
   * @param {import("./overlay.js").Overlay} overlay
   * @param {number} column
   * @param {number} row
   */
  #place(overlay, column, row) {
    const { list, stuckLefts } = this.view.columns;
    overlay.place(column, list[column]?.sticky ? stuckLefts[column] : null, this.view.topOf(row));
  }
}
