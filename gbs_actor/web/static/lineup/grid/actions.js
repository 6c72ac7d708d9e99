/**
 * @typedef {import("./grid.js").GridParts} GridParts
 * @typedef {import("./selection.js").Cell} Cell
 */

/** What can be done in the grid by keys and by the pointer. */
export class Actions {
  /** Whether the next Tab leaves the grid. */
  leaving = false;

  /** @param {GridParts} grid */
  constructor(grid) {
    this.grid = grid;
  }

  get editing() {
    return this.grid.editing;
  }

  /** Whole rows in view. */
  get pageRows() {
    return this.grid.view.pageRows;
  }

  /** Whether the active cell can be edited. */
  get editable() {
    const at = this.grid.active;
    return this.editing !== null && at !== null && Boolean(at.column.editable?.(at.row));
  }

  /**
   * Select a cell, if what is edited can be committed.
   *
   * @param {Cell} cell
   * @param {{extend?: boolean, touch?: boolean}} [how] extend: from the active cell to this one
   */
  select(cell, how) {
    if (this.editing?.mode) this.editing.commit(() => this.#select(cell, how));
    else this.#select(cell, how);
  }

  /**
   * Select the cell so far from the active one, or from the corner of the range.
   *
   * @param {number} rows
   * @param {number} columns
   * @param {boolean} [extend]
   * @returns {boolean} false: no cell is active
   */
  move(rows, columns, extend = false) {
    const { active, corner } = this.grid.selection;
    const from = extend ? corner : active;
    if (from) this.#select({ row: from.row + rows, column: from.column + columns }, { extend });
    return from !== null;
  }

  /**
   * @param {1 | -1} step
   * @returns {boolean} false: there is no next cell, or the grid is to be left
   */
  tab(step) {
    const next = this.leaving ? null : this.grid.selection.beside(step);
    if (next) this.#select(next);
    return next !== null;
  }

  selectAll() {
    this.grid.selection.select(0, 0);
    this.grid.selection.select(Infinity, Infinity, true);
    this.grid.update();
    return true;
  }

  /** Select the active cell only, and let the next Tab leave the grid. */
  collapse() {
    const { active } = this.grid.selection;
    if (active) this.grid.selection.select(active.row, active.column);
    this.leaving = true;
    this.grid.update();
    return true;
  }

  /** The grid has got the focus: there must be a cell that has it. */
  takeFocus() {
    this.leaving = false;
    if (!this.grid.selection.active) this.#select({ row: 0, column: 0 });
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
    if (touch) this.grid.focusable.blur(); // else the keyboard would not come
    editing.keyboard = true;
    editing.update();
    editing.open();
    this.grid.focus();
    return true;
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

  open() {
    const at = this.grid.active;
    if (at) this.grid.options.onOpen?.(at.row, at.column);
    return at !== null;
  }

  erase() {
    const { selected } = this.grid.selection;
    if (this.editing && selected) this.grid.options.onDelete?.(selected);
    return true;
  }

  /**
   * @param {Cell} cell
   * @param {{extend?: boolean, touch?: boolean}} [how]
   */
  #select({ row, column }, { extend = false, touch = false } = {}) {
    const { selection, view } = this.grid;
    selection.select(row, column, extend);
    this.leaving = false;
    if (this.editing) this.editing.keyboard = !touch;
    this.grid.update();
    this.grid.focus();
    view.reveal();
  }
}
