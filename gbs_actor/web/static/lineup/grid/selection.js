import { NOT_SELECTED } from "./row.js";

/**
 * @typedef {import("./types.d.ts").CellRef} CellRef
 * @typedef {import("./rows.js").Rows} Rows
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {{row: number, column: number}} Cell indexes
 */

/**
 * One cell that is typed into, and the rectangle between it and a corner.
 *
 * Both are held by id and key, so that they stay with their row when the order changes.
 */
export class Selection {
  /** @type {CellRef | null} */
  #active = null;
  /** @type {CellRef | null} */
  #corner = null;
  /** @type {Cell} where they were last */
  #lastActive = { row: 0, column: 0 };
  #lastCorner = { row: 0, column: 0 };

  /**
   * @param {Rows} rows
   * @param {() => Columns} columns
   */
  constructor(rows, columns) {
    this.rows = rows;
    this.columns = columns;
  }

  /** @returns {Cell | null} */
  get active() {
    return this.#active && { ...this.#lastActive };
  }

  /** @returns {Cell | null} the end that moves */
  get corner() {
    return this.#corner && { ...this.#lastCorner };
  }

  get range() {
    if (!this.#active) return null;
    const [one, other] = [this.#lastActive, this.#lastCorner];
    return {
      top: Math.min(one.row, other.row),
      bottom: Math.max(one.row, other.row),
      left: Math.min(one.column, other.column),
      right: Math.max(one.column, other.column),
    };
  }

  /**
   * @param {number} row
   * @returns {import("./row.js").Selected} its columns that are selected
   */
  inRow(row) {
    const range = this.range;
    if (!range || row < range.top || row > range.bottom) return NOT_SELECTED;
    const active = row === this.#lastActive.row ? this.#lastActive.column : -1;
    return { active, left: range.left, right: range.right };
  }

  /** @returns {import("./types.d.ts").Selected | null} */
  get selected() {
    const range = this.range;
    return range && {
      rows: this.rows.list.slice(range.top, range.bottom + 1),
      columns: this.columns().list.slice(range.left, range.right + 1),
    };
  }

  /**
   * Select the cell that is nearest to these indexes.
   *
   * @param {number} row
   * @param {number} column
   * @param {boolean} [extend] move the corner only
   */
  select(row, column, extend = false) {
    const cell = this.#nearest({ row, column });
    const ref = this.#refOf(cell);
    if (!extend || !this.#active) {
      this.#active = ref;
      this.#lastActive = cell;
    }
    this.#corner = ref;
    this.#lastCorner = cell;
  }

  /**
   * @param {1 | -1} step
   * @returns {Cell | null} the next cell, at the end of a row the first of the next row
   */
  beside(step) {
    const count = this.columns().list.length;
    const next = this.#lastActive.row * count + this.#lastActive.column + step;
    if (!this.#active || next < 0 || next >= count * this.rows.list.length) return null;
    return { row: Math.floor(next / count), column: next % count };
  }

  /** After rows or columns have changed: what is selected stays so, where it is now. */
  update() {
    if (!this.#active || !this.#corner) return;
    const active = this.#where(this.#active, this.#lastActive);
    const corner = this.#where(this.#corner, this.#lastCorner);
    const asBefore = active.row - corner.row === this.#lastActive.row - this.#lastCorner.row;
    this.select(active.row, active.column);
    if (asBefore) this.select(corner.row, corner.column, true);
  }

  /**
   * @param {CellRef} ref
   * @param {Cell} last
   */
  #where(ref, last) {
    const row = this.rows.indexOf(ref.id);
    const column = this.columns().indexOf.get(ref.key) ?? last.column;
    return { row: row < 0 ? last.row : row, column };
  }

  /** @param {Cell} cell */
  #nearest({ row, column }) {
    return {
      row: Math.max(0, Math.min(row, this.rows.list.length - 1)),
      column: Math.max(0, Math.min(column, this.columns().list.length - 1)),
    };
  }

  /**
   * @param {Cell} cell
   * @returns {CellRef | null} `null`: the grid is empty
   */
  #refOf({ row, column }) {
    const found = this.rows.list[row];
    const { key } = this.columns().list[column] ?? {};
    return found && key !== undefined ? { id: found.id, key } : null;
  }
}
