/**
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./view.js").View} View
 * @typedef {{id: RowId, key: string, element: HTMLElement}} Callout
 */

/** CSS pixels between a callout and the edge of what is in view. */
const MARGIN = 8;

/** Elements of the grid's owner that lie beside a cell, and go where it goes. */
export class Callouts {
  /** @type {Set<Callout>} */
  #attached = new Set();
  #view;

  /** @param {View} view */
  constructor(view) {
    this.#view = view;
  }

  /**
   * @param {RowId} id
   * @param {string} key
   * @param {HTMLElement} element
   * @returns {() => void} takes it away
   */
  attach(id, key, element) {
    const callout = { id, key, element };
    element.classList.add("grid-callout");
    this.#attached.add(callout);
    this.#view.scroller.append(element);
    this.#view.schedule();
    return () => {
      this.#attached.delete(callout);
      element.remove();
    };
  }

  /** Put each beside its cell where there is room, else below or above, within what is in view. */
  place() {
    if (this.#attached.size === 0) return;
    const { scroller } = this.#view;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = scroller;
    const view = { left: scrollLeft, right: scrollLeft + clientWidth, top: scrollTop + this.#view.rowHeight, bottom: scrollTop + clientHeight };
    const places = [...this.#attached].map((callout) => this.#placeOf(callout, view)); // reads, then writes
    [...this.#attached].forEach(({ element }, index) => {
      element.classList.toggle("out", places[index] === null);
      if (places[index] !== null) element.style.transform = places[index];
    });
  }

  /**
   * @param {Callout} callout
   * @param {{left: number, right: number, top: number, bottom: number}} view
   * @returns {string | null} `null`: the cell is not shown
   */
  #placeOf({ id, key, element }, view) {
    const { rows, columns, rowHeight } = this.#view;
    const [row, column] = [rows.indexOf(id), columns.indexOf.get(key)];
    if (row < 0 || column === undefined) return null;
    const { offsetWidth: width, offsetHeight: height } = element;
    const left = columns.list[column].sticky ? Math.max(columns.lefts[column], view.left + columns.stuckLefts[column]) : columns.lefts[column];
    const right = left + columns.widths[column];
    const top = this.#view.topOf(row);
    if (right + MARGIN + width <= view.right) return at(right + MARGIN, upTo(top, view, height));
    if (left - MARGIN - width >= view.left) return at(left - MARGIN - width, upTo(top, view, height));
    const isAbove = top + rowHeight + height > view.bottom && top - height > view.top;
    return at(within(left, view.left + MARGIN, view.right - MARGIN - width), isAbove ? top - height : top + rowHeight);
  }
}

/**
 * @param {number} left
 * @param {number} top
 */
const at = (left, top) => `translate(${left}px, ${top}px)`;

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
const within = (value, least, most) => Math.max(least, Math.min(value, most));

/**
 * Beside the cell, and a little higher if it would not be seen whole otherwise.
 *
 * @param {number} top of the cell
 * @param {{top: number, bottom: number}} view
 * @param {number} height
 */
function upTo(top, view, height) {
  const isSeen = top >= view.top && top < view.bottom;
  return isSeen ? within(top, view.top, Math.max(view.top, view.bottom - height)) : top;
}
