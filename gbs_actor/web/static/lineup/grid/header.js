/**
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./columns.js").Columns} Columns
 */

const LEAST_WIDTH = 40;

/** The row of the columns' names. */
export class Header {
  element = document.createElement("div");
  #row = document.createElement("div");
  /** @type {HTMLElement[]} */
  #cells = [];

  /** @param {(column: number, width: number, done: boolean) => void} onResize */
  constructor(onResize) {
    this.onResize = onResize;
    this.element.className = "grid-header";
    this.element.setAttribute("role", "rowgroup");
    this.#row.className = "grid-header-row";
    this.#row.setAttribute("role", "row");
    this.#row.setAttribute("aria-rowindex", "1");
    this.element.append(this.#row);
  }

  /** @param {Columns} columns */
  set(columns) {
    this.#cells = columns.list.map((column, index) => this.#cell(column, index, columns));
    this.#row.replaceChildren(...this.#cells);
  }

  /**
   * Put the sticky cells where they stick.
   *
   * @param {Columns} columns
   */
  place(columns) {
    this.#cells.forEach((cell, index) => {
      if (columns.list[index].sticky) cell.style.left = `${columns.stuckLefts[index]}px`;
    });
  }

  /**
   * @param {Column} column
   * @param {number} index
   * @param {Columns} columns
   */
  #cell(column, index, columns) {
    const cell = document.createElement("div");
    const className = typeof column.className === "string" ? column.className : "";
    cell.className = `grid-head${column.sticky ? " sticky" : ""} ${column.align ?? ""} ${className}`;
    cell.setAttribute("role", "columnheader");
    cell.setAttribute("aria-colindex", String(index + 1));
    if (column.sorted) cell.setAttribute("aria-sort", column.sorted);
    const content = document.createElement("span");
    content.className = "grid-text";
    if (column.renderHeader) column.renderHeader(content);
    else content.textContent = column.title;
    cell.append(content, this.#handle(index, columns));
    return cell;
  }

  /**
   * @param {number} index
   * @param {Columns} columns
   */
  #handle(index, columns) {
    const handle = document.createElement("span");
    handle.className = "grid-handle";
    /** @type {number | null} */
    let grabbed = null;
    /** @param {PointerEvent} event */
    const resize = (event) => {
      if (grabbed === null) return;
      const width = Math.max(LEAST_WIDTH, event.clientX - grabbed);
      this.onResize(index, width, event.type !== "pointermove");
      if (event.type !== "pointermove") grabbed = null;
    };
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      grabbed = event.clientX - columns.widths[index];
    });
    handle.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays
    handle.addEventListener("pointermove", resize);
    handle.addEventListener("pointerup", resize);
    handle.addEventListener("pointercancel", resize);
    return handle;
  }
}
