import { Columns } from "./columns.js";
import { Header } from "./header.js";

/**
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./body.js").Body} Body
 * @typedef {import("./rows.js").Rows} Rows
 */

/** Rows that are drawn above and below those in view, so that a scroll finds them. */
const BEYOND = 8;

/**
 * What scrolls: the header, and the body below it.
 *
 * It draws once a frame at most, and reads all that it must know of the document before it writes,
 * so that the browser makes one layout.
 */
export class View {
  columns = new Columns([]);
  scroller = document.createElement("div");
  canvas = document.createElement("div");
  #frame = 0;
  #rowCount = -1;
  #reveals = false;
  #laidOutFor = -1;
  #height = 0;

  /**
   * @param {string} id
   * @param {Options} options
   * @param {Rows} rows
   * @param {Body} body
   * @param {(revealed: boolean) => void} onDrawn called within each drawing
   */
  constructor(id, options, rows, body, onDrawn) {
    this.options = options;
    this.rows = rows;
    this.body = body;
    this.onDrawn = onDrawn;
    this.rowHeight = options.rowHeight ?? 32;
    this.header = new Header((column, width, done) => this.#resize(column, width, done));
    this.canvas.className = "grid-canvas";
    this.canvas.id = `${id}-cells`;
    this.canvas.setAttribute("role", "grid");
    this.canvas.setAttribute("aria-multiselectable", "true");
    this.canvas.setAttribute("aria-label", options.texts.label);
    this.canvas.append(this.header.element, body.element);
    this.scroller.className = "grid-scroller";
    this.scroller.style.setProperty("--row-height", `${this.rowHeight}px`);
    this.scroller.append(this.canvas);
    this.scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.resizes = new ResizeObserver(() => this.schedule());
    this.resizes.observe(this.scroller);
  }

  /** @param {Column[]} list */
  setColumns(list) {
    this.columns = new Columns(list);
    this.header.set(this.columns);
    this.canvas.setAttribute("aria-colcount", String(list.length));
    this.body.clear();
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

  /** Bring the selection, or the end of it that moves, into view with the next frame. */
  reveal() {
    this.#reveals = true;
    this.schedule();
  }

  /** Whole rows in view. */
  get pageRows() {
    return Math.max(1, Math.floor(this.#height / this.rowHeight) - 1);
  }

  /** Where cells are to be seen, in CSS pixels of the window. */
  edges() {
    const { left, top } = this.scroller.getBoundingClientRect();
    const { clientWidth, clientHeight } = this.scroller;
    return { left, top: top + this.rowHeight, right: left + clientWidth, bottom: top + clientHeight };
  }

  /**
   * @param {number} row
   * @returns {number} CSS pixels below the top of the canvas; the header is above
   */
  topOf(row) {
    return (row + 1) * this.rowHeight;
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.resizes.disconnect();
    this.scroller.remove();
  }

  #draw() {
    let { scrollTop, scrollLeft, clientWidth, clientHeight } = this.scroller;
    this.#height = clientHeight;
    if (clientWidth !== this.#laidOutFor) this.#layOut(clientWidth);
    this.#countRows();
    const cell = this.#reveals ? this.body.selection.corner : null;
    this.#reveals = false;
    if (cell) {
      scrollTop = this.#scrolledTo(cell.row, scrollTop);
      scrollLeft = this.#scrolledSidewaysTo(cell.column, scrollLeft, clientWidth);
      this.scroller.scrollTo(scrollLeft, scrollTop);
    }
    const first = Math.floor(scrollTop / this.rowHeight) - BEYOND;
    const end = Math.ceil((scrollTop + clientHeight) / this.rowHeight) + BEYOND;
    const last = Math.min(this.rows.list.length, end);
    this.body.draw(Math.max(0, first), last, this.columns, (row) => this.topOf(row));
    this.onDrawn(cell !== null);
  }

  /** @param {number} width of what is in view */
  #layOut(width) {
    this.#laidOutFor = width;
    this.columns.layOut(width);
    this.scroller.style.setProperty("--columns", this.columns.template);
    this.scroller.style.setProperty("--width", `${this.columns.width}px`);
    this.header.place(this.columns);
    this.body.place();
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
    return nearest(scrolled, top - this.rowHeight, top + this.rowHeight - this.#height);
  }

  /**
   * @param {number} column
   * @param {number} scrolled
   * @param {number} width of what is in view
   */
  #scrolledSidewaysTo(column, scrolled, width) {
    const { list, lefts, stuckLefts, widths } = this.columns;
    if (list[column]?.sticky) return scrolled;
    return nearest(scrolled, lefts[column] - stuckLefts[column], lefts[column] + widths[column] - width);
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
 * @param {number} scrolled
 * @param {number} most above, the beginning of what is to be seen is hidden
 * @param {number} least below, its end is hidden
 */
function nearest(scrolled, most, least) {
  return Math.min(most, Math.max(scrolled, least));
}
