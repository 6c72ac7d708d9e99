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

  /** Put each below its cell, or above if there is no room, and within what is in view. */
  place() {
    if (this.#attached.size === 0) return;
    const { scroller, rows, columns, rowHeight } = this.#view;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = scroller;
    const placed = [...this.#attached].map(({ id, key, element }) => {
      const [row, column] = [rows.indexOf(id), columns.indexOf.get(key)];
      if (row < 0 || column === undefined) return { element, place: null };
      const { offsetWidth: width, offsetHeight: height } = element;
      const stuck = columns.list[column].sticky ? scrollLeft + columns.stuckLefts[column] : 0;
      const most = scrollLeft + clientWidth - width - MARGIN;
      const left = Math.max(scrollLeft + MARGIN, Math.min(Math.max(columns.lefts[column], stuck), most));
      const top = this.#view.topOf(row);
      const below = top + rowHeight;
      const above = below + height > scrollTop + clientHeight && top - height > scrollTop + rowHeight;
      return { element, place: `translate(${left}px, ${above ? top - height : below}px)` };
    });
    for (const { element, place } of placed) {
      element.classList.toggle("out", place === null);
      if (place !== null) element.style.transform = place;
    }
  }
}
