import { RowElement } from "./row.js";

/**
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {import("./decorations.js").Decorations} Decorations
 * @typedef {import("./rows.js").Rows} Rows
 * @typedef {import("./selection.js").Selection} Selection
 * @typedef {import("./selection.js").Cell} Cell
 */

/** Milliseconds without a drawing after which rows get their order in the document. */
const SETTLED = 200;

/** The elements of the rows in view; those of rows that leave it are used for others. */
export class Body {
  element = document.createElement("div");
  /** @type {Map<RowId, RowElement>} */
  #drawn = new Map();
  /** @type {RowElement[]} */
  #free = [];
  #made = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;

  /**
   * @param {string} id
   * @param {Options} options
   * @param {Rows} rows
   * @param {Selection} selection
   * @param {Decorations} decorations
   */
  constructor(id, options, rows, selection, decorations) {
    this.id = id;
    this.options = options;
    this.rows = rows;
    this.selection = selection;
    this.decorations = decorations;
    this.element.className = "grid-body";
    this.element.setAttribute("role", "rowgroup");
  }

  /** Begin anew, because the columns are others. */
  clear() {
    this.element.replaceChildren();
    this.#drawn.clear();
    this.#free = [];
  }

  /** Put the sticky cells where they stick. */
  place() {
    for (const row of [...this.#drawn.values(), ...this.#free]) row.place();
  }

  /**
   * Draw the rows of a part of the list, and the active one wherever it is: assistive technology
   * reads its cell.
   *
   * @param {number} first
   * @param {number} end behind the last
   * @param {Columns} columns
   * @param {(index: number) => number} topOf
   */
  draw(first, end, columns, topOf) {
    const { list } = this.rows;
    const indexes = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
    const active = this.selection.active?.row ?? first;
    if ((active < first || active >= end) && list[active]) indexes.push(active);
    const needed = new Set(indexes.map((index) => list[index].id));
    for (const [id, row] of this.#drawn) {
      if (needed.has(id)) continue;
      this.#drawn.delete(id);
      this.#free.push(row);
    }
    for (const index of indexes) {
      const row = list[index];
      const selected = this.selection.inRow(index);
      this.#elementOf(row.id, columns).draw(row, index, topOf(index), selected, this.decorations.of(row.id));
    }
    for (const row of this.#free) row.show(false);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLED);
  }

  /**
   * @param {Cell} cell
   * @returns {string} the id of its element; empty: it is not drawn
   */
  idOf({ row, column }) {
    return this.#drawn.get(this.rows.list[row]?.id)?.idOf(column) ?? "";
  }

  destroy() {
    clearTimeout(this.#settling);
  }

  /**
   * @param {RowId} id
   * @param {Columns} columns
   */
  #elementOf(id, columns) {
    const drawn = this.#drawn.get(id);
    if (drawn) return drawn;
    const row = this.#free.pop() ?? this.#make(columns);
    row.show(true);
    this.#drawn.set(id, row);
    return row;
  }

  /** @param {Columns} columns */
  #make(columns) {
    const { texts, rowClass } = this.options;
    const row = new RowElement(`${this.id}-${this.#made++}`, columns, texts, rowClass);
    this.element.append(row.element);
    return row;
  }

  /** Put the rows into their order in the document, in which assistive technology reads them. */
  #settle() {
    const rows = [...this.#drawn.values()].sort((one, other) => other.index - one.index);
    /** @type {Element | null} */
    let next = null;
    for (const { element } of rows) {
      const inPlace = element.nextElementSibling === next;
      if (!inPlace && !element.contains(document.activeElement)) this.element.insertBefore(element, next);
      next = element;
    }
  }
}
