import { Columns } from "./columns.js";
import { Header } from "./header.js";
import { NOT_SELECTED, RowElement } from "./row.js";

/**
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./decorations.js").Decorations} Decorations
 * @typedef {import("./rows.js").Rows} Rows
 * @typedef {import("./selection.js").Selection} Selection
 * @typedef {import("./selection.js").Cell} Cell
 */

/** Rows that are drawn above and below those in view, so that a scroll finds them. */
const BEYOND = 8;
/** Milliseconds without a scroll after which rows get their order in the document. */
const SETTLED = 200;

/**
 * Draws the rows that are in view, once a frame at most: it reads all that it must know of the
 * document first, and writes then, so that the browser makes one layout.
 */
export class View {
  /** @type {Map<RowId, RowElement>} */
  #drawn = new Map();
  /** @type {RowElement[]} */
  #free = [];
  #made = 0;
  #frame = 0;
  #rowCount = -1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;
  /** @type {Cell | null} */
  #revealed = null;
  #laidOutFor = -1;
  #viewHeight = 0;

  /**
   * @param {string} id
   * @param {Options} options
   * @param {Rows} rows
   * @param {Decorations} decorations
   * @param {() => void} onDrawn
   */
  constructor(id, options, rows, decorations, onDrawn) {
    this.id = id;
    this.options = options;
    this.rows = rows;
    this.decorations = decorations;
    this.onDrawn = onDrawn;
    this.rowHeight = options.rowHeight ?? 32;
    this.header = new Header((column, width, done) => this.#resize(column, width, done));
    this.body = element("grid-body", "rowgroup");
    const head = element("grid-head-group", "rowgroup");
    head.append(this.header.element);
    this.canvas = element("grid-canvas", "grid");
    this.canvas.id = `${id}-cells`;
    this.canvas.setAttribute("aria-multiselectable", "true");
    this.canvas.setAttribute("aria-label", options.texts.label);
    this.canvas.append(head, this.body);
    this.scroller = element("grid-scroller");
    this.scroller.style.setProperty("--row-height", `${this.rowHeight}px`);
    this.scroller.append(this.canvas);
    this.scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.resizes = new ResizeObserver(() => this.schedule());
    this.resizes.observe(this.scroller);
    this.columns = new Columns([]);
    /** @type {Selection | undefined} */
    this.selection = undefined;
  }

  /** @param {Column[]} list */
  setColumns(list) {
    this.columns = new Columns(list);
    this.header.set(this.columns);
    this.canvas.setAttribute("aria-colcount", String(list.length));
    for (const { element } of [...this.#drawn.values(), ...this.#free]) element.remove();
    this.#drawn.clear();
    this.#free = [];
    this.#laidOutFor = -1;
    this.schedule();
  }

  /** Draw in the next frame. */
  schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /**
   * Bring a cell into view with the next frame.
   *
   * @param {Cell} cell
   */
  reveal(cell) {
    this.#revealed = cell;
    this.schedule();
  }

  /** Whole rows in view. */
  get pageRows() {
    return Math.max(1, Math.floor(this.#viewHeight / this.rowHeight) - 1);
  }

  /**
   * @param {number} row
   * @returns {number} CSS pixels below the top of the canvas; the header is above
   */
  topOf(row) {
    return (row + 1) * this.rowHeight;
  }

  /**
   * @param {Cell} cell
   * @returns {string} the id of its element; empty: it is not drawn
   */
  idOf({ row, column }) {
    return this.#drawn.get(this.rows.list[row]?.id)?.idOf(column) ?? "";
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#settling);
    this.resizes.disconnect();
    this.scroller.remove();
  }

  #draw() {
    let { scrollTop, scrollLeft, clientWidth, clientHeight } = this.scroller;
    this.#viewHeight = clientHeight;
    if (clientWidth !== this.#laidOutFor) this.#layOut(clientWidth);
    this.#countRows();
    if (this.#revealed) {
      scrollTop = this.#scrolledTo(this.#revealed.row, scrollTop);
      scrollLeft = this.#scrolledSidewaysTo(this.#revealed.column, scrollLeft, clientWidth);
      this.#revealed = null;
      this.scroller.scrollTo(scrollLeft, scrollTop);
    }
    this.#drawRows(scrollTop);
    this.onDrawn();
  }

  /** @param {number} width of what is in view */
  #layOut(width) {
    this.#laidOutFor = width;
    this.columns.layOut(width);
    this.scroller.style.setProperty("--columns", this.columns.template);
    this.scroller.style.setProperty("--width", `${this.columns.width}px`);
    this.header.place(this.columns);
    for (const row of [...this.#drawn.values(), ...this.#free]) row.place();
  }

  #countRows() {
    const count = this.rows.list.length;
    if (count === this.#rowCount) return;
    this.#rowCount = count;
    this.canvas.setAttribute("aria-rowcount", String(count + 1));
    this.canvas.style.height = `${this.topOf(count)}px`;
  }

  /**
   * @param {number} row
   * @param {number} scrolled
   */
  #scrolledTo(row, scrolled) {
    const top = this.topOf(row);
    return Math.max(Math.min(scrolled, top - this.rowHeight), top + this.rowHeight - this.#viewHeight);
  }

  /**
   * @param {number} column
   * @param {number} scrolled
   * @param {number} width of what is in view
   */
  #scrolledSidewaysTo(column, scrolled, width) {
    const { list, lefts, stuckLefts, widths } = this.columns;
    if (list[column].sticky) return scrolled;
    const most = Math.max(0, lefts[column] - stuckLefts[column]);
    return Math.min(most, Math.max(scrolled, lefts[column] + widths[column] - width));
  }

  /** @param {number} scrollTop */
  #drawRows(scrollTop) {
    const { list } = this.rows;
    const active = this.selection?.active ?? null;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - BEYOND);
    const last = Math.min(list.length, Math.ceil((scrollTop + this.#viewHeight) / this.rowHeight) + BEYOND);
    const indexes = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
    // The active row is drawn wherever it is: assistive technology reads its cell.
    if (active && list[active.row] && (active.row < first || active.row >= last)) indexes.push(active.row);
    const needed = new Set(indexes.map((index) => list[index].id));
    for (const [id, row] of this.#drawn) {
      if (needed.has(id)) continue;
      this.#drawn.delete(id);
      this.#free.push(row);
    }
    for (const index of indexes) this.#drawRow(index);
    for (const row of this.#free) row.show(false);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLED);
  }

  /** @param {number} index */
  #drawRow(index) {
    const row = this.rows.list[index];
    let drawn = this.#drawn.get(row.id);
    if (!drawn) {
      drawn = this.#free.pop() ?? this.#make();
      drawn.show(true);
      this.#drawn.set(row.id, drawn);
    }
    const selected = this.selection?.inRow(index) ?? NOT_SELECTED;
    drawn.draw(row, index, this.topOf(index), selected, this.decorations.of(row.id));
  }

  #make() {
    const { texts, rowClass } = this.options;
    const row = new RowElement(`${this.id}-${this.#made++}`, this.columns, texts, rowClass);
    this.body.append(row.element);
    return row;
  }

  /** Put the rows into their order in the document, in which assistive technology reads them. */
  #settle() {
    const rows = [...this.#drawn.values()].sort((one, other) => one.index - other.index);
    /** @type {Element | null} */
    let next = null;
    for (const { element } of rows.reverse()) {
      const inPlace = element.nextElementSibling === next;
      if (!inPlace && !element.contains(document.activeElement)) this.body.insertBefore(element, next);
      next = element;
    }
  }

  /**
   * @param {number} column
   * @param {number} width
   * @param {boolean} done
   */
  #resize(column, width, done) {
    this.columns.list[column] = { ...this.columns.list[column], width };
    this.#laidOutFor = -1;
    this.schedule();
    if (done) this.options.onResize?.(this.columns.list[column], width);
  }
}

/**
 * @param {string} className
 * @param {string} [role]
 */
function element(className, role) {
  const made = document.createElement("div");
  made.className = className;
  if (role) made.setAttribute("role", role);
  return made;
}
