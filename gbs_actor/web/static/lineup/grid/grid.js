import { Callouts } from "./callouts.js";
import { Decorations } from "./decorations.js";
import { Editing } from "./editing.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { View } from "./view.js";

/**
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./types.d.ts").Row} Row
 * @typedef {import("./selection.js").Cell} Cell
 */

let made = 0;

/** What can be done in the grid, by keys, by the pointer and by its owner. */
export class GridController {
  /** @type {Editing | null} `null`: nothing can be edited */
  editing = null;
  /** Whether the next Tab leaves the grid. */
  leaving = false;
  #reported = "";

  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, options) {
    this.id = `grid-${++made}`;
    this.host = host;
    this.options = options;
    this.rows = new Rows();
    this.decorations = new Decorations(() => this.view.schedule());
    this.view = new View(this.id, options, this.rows, this.decorations, () => this.#afterDrawing());
    this.selection = new Selection(this.rows, () => this.view.columns);
    this.view.selection = this.selection;
    this.callouts = new Callouts(this.view);
    this.help = document.createElement("div");
    this.help.className = "unseen";
    this.help.id = `${this.id}-help`;
    this.help.textContent = options.texts.help;
    host.classList.add("grid");
    host.append(this.help, this.view.scroller);
    this.view.setColumns(options.columns);
    this.setReadOnly(options.readOnly ?? false);
  }

  /** What has the focus. */
  get focusable() {
    return this.editing?.editor.field ?? this.view.canvas;
  }

  get pageRows() {
    return this.view.pageRows;
  }

  /** @returns {{row: Row, column: Column} | null} */
  get active() {
    const cell = this.selection.active;
    if (!cell) return null;
    const row = this.rows.list[cell.row];
    const column = this.view.columns.list[cell.column];
    return row && column ? { row, column } : null;
  }

  /** Whether the active cell can be edited. */
  get editable() {
    const at = this.active;
    return this.editing !== null && at !== null && Boolean(at.column.editable?.(at.row));
  }

  /** @param {boolean} readOnly */
  setReadOnly(readOnly) {
    const { canvas, scroller } = this.view;
    if (readOnly === (this.editing === null) && canvas.hasAttribute("aria-readonly")) return;
    const focused = this.host.contains(document.activeElement);
    canvas.setAttribute("aria-readonly", String(readOnly));
    if (readOnly) {
      this.editing?.cancel();
      this.editing?.editor.element.remove();
      this.editing = null;
      canvas.tabIndex = 0;
    } else {
      this.editing = new Editing(`${this.id}-editor`, this.rows, this.options, {
        active: () => this.active,
        onChange: () => {
          this.leaving = false;
          this.#arranged();
        },
        onEnter: () => this.enter(1),
      });
      scroller.prepend(this.editing.editor.element);
      canvas.removeAttribute("tabindex");
      canvas.removeAttribute("aria-activedescendant");
    }
    this.focusable.setAttribute("aria-describedby", this.help.id);
    if (focused) this.focus();
    this.view.schedule();
  }

  focus() {
    this.focusable.focus({ preventScroll: true });
  }

  /** @param {readonly Row[]} rows */
  setRows(rows) {
    this.rows.set(rows);
    this.#arranged();
  }

  /** @param {Column[]} columns */
  setColumns(columns) {
    this.view.setColumns(columns);
    this.#arranged();
  }

  /**
   * @param {number} row
   * @param {number} column
   * @param {boolean} [extend]
   * @param {{touch?: boolean}} [how]
   */
  selectCell(row, column, extend = false, { touch = false } = {}) {
    if (!this.editing?.mode) this.#select(row, column, extend, touch);
    else this.editing.commit(() => this.#select(row, column, extend, touch));
  }

  /**
   * Select the cell so far from the active one, or from the corner.
   *
   * @param {number} rows
   * @param {number} columns
   * @param {boolean} [extend]
   */
  move(rows, columns, extend = false) {
    const from = extend ? this.selection.corner : this.selection.active;
    if (from) this.#select(from.row + rows, from.column + columns, extend);
    return from !== null;
  }

  /**
   * Select the next cell, at the end of a row the first of the next row.
   *
   * @param {1 | -1} step
   * @returns {boolean} false: there is none, or the grid is to be left
   */
  tab(step) {
    const cell = this.selection.active;
    const count = this.view.columns.list.length;
    if (this.leaving || !cell) return false;
    const next = cell.row * count + cell.column + step;
    if (next < 0 || next >= count * this.rows.list.length) return false;
    this.#select(Math.floor(next / count), next % count);
    return true;
  }

  selectAll() {
    this.selection.select(0, 0);
    this.selection.select(Infinity, Infinity, true);
    this.#arranged();
    return true;
  }

  /** Select the active cell only; if it is so, let the next Tab leave the grid. */
  collapse() {
    const cell = this.selection.active;
    this.leaving = true;
    if (cell) this.selection.select(cell.row, cell.column);
    this.#arranged();
    return true;
  }

  /**
   * Edit the active cell.
   *
   * @param {{touch?: boolean}} [how] touch: bring the keyboard onto the screen
   * @returns {boolean} false: it cannot be edited
   */
  edit({ touch = false } = {}) {
    const { editing } = this;
    if (!editing || !this.editable) return false;
    if (touch) this.focusable.blur(); // else the keyboard would not come
    editing.keyboard = true;
    editing.update();
    editing.open();
    this.focus();
    return true;
  }

  /**
   * Select a cell by id and key, wherever it is.
   *
   * @param {import("./types.d.ts").RowId} id
   * @param {string} key
   * @param {boolean} edit
   */
  focusCell(id, key, edit) {
    const row = this.rows.indexOf(id);
    const column = this.view.columns.indexOf.get(key);
    if (row < 0 || column === undefined) return;
    this.selectCell(row, column);
    if (edit) this.edit();
  }

  /** @param {import("./types.d.ts").RowId | null} id */
  pin(id) {
    this.rows.pin("owner", id);
    this.#arranged();
  }

  /**
   * Do what Enter does: commit and go on, or begin to edit, or open what cannot be edited.
   *
   * @param {1 | -1} step to the next row, or to the one before
   */
  enter(step) {
    if (this.editing?.mode) this.editing.commit(() => this.move(step, 0));
    else if (step < 0) this.move(step, 0);
    else if (!this.edit()) this.open();
    return true;
  }

  /** The grid has got the focus: there must be a cell that has it. */
  takeFocus() {
    this.leaving = false;
    if (!this.selection.active) this.#select(0, 0);
  }

  /** @returns {boolean} */
  open() {
    const at = this.active;
    if (at) this.options.onOpen?.(at.row, at.column);
    return at !== null;
  }

  erase() {
    const { selected } = this.selection;
    if (this.editing && selected) this.options.onDelete?.(selected);
    return true;
  }

  destroy() {
    this.editing = null;
    this.view.destroy();
    this.decorations.destroy();
    this.help.remove();
  }

  /**
   * @param {number} row
   * @param {number} column
   * @param {boolean} [extend]
   * @param {boolean} [touch]
   */
  #select(row, column, extend = false, touch = false) {
    this.leaving = false;
    this.selection.select(row, column, extend);
    if (this.editing) {
      this.editing.keyboard = !touch;
      this.editing.update();
    }
    this.focus();
    const cell = this.selection.corner;
    if (cell) this.view.reveal(cell);
    this.#reportSelection();
  }

  /** Rows, their order or columns are other ones, or the editor was opened or closed. */
  #arranged() {
    this.selection.update();
    this.editing?.update();
    this.view.schedule();
    this.#reportSelection();
  }

  #reportSelection() {
    const { selected, range, active } = this.selection;
    const report = JSON.stringify([range, active && this.rows.list[active.row]?.id]);
    if (!selected || report === this.#reported) return;
    this.#reported = report;
    this.options.onSelect?.(selected);
  }

  #afterDrawing() {
    this.callouts.place();
    const cell = this.selection.active;
    const { editor } = this.editing ?? {};
    const described = cell && !editor?.mode ? this.view.idOf(cell) : "";
    setOrRemove(this.focusable, "aria-activedescendant", described);
    if (!editor || !cell) return;
    const column = this.view.columns.list[cell.column];
    const stuck = column.sticky ? this.view.columns.stuckLefts[cell.column] : null;
    editor.place(cell.column, stuck, this.view.topOf(cell.row));
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} attribute
 * @param {string} value empty: none
 */
function setOrRemove(element, attribute, value) {
  if ((element.getAttribute(attribute) ?? "") === value) return;
  if (value) element.setAttribute(attribute, value);
  else element.removeAttribute(attribute);
}
