/**
 * Something that lies over a cell, or hangs below it, and scrolls with it.
 *
 * It is a row of its own above the others, so that its column is where theirs is, and sticks when
 * theirs sticks. It never moves in the document: what has the focus in it keeps it.
 */
export class Overlay {
  element = document.createElement("div");
  content = document.createElement("div");
  #placed = "";

  /** @param {string} className */
  constructor(className) {
    this.element.className = `grid-overlay ${className}`;
    this.element.append(this.content);
  }

  /**
   * @param {number} column its index
   * @param {number | null} stuck where the column sticks, CSS pixels; `null`: it does not
   * @param {number} top CSS pixels
   */
  place(column, stuck, top) {
    const placed = `${column} ${stuck} ${top}`;
    if (placed === this.#placed) return;
    this.#placed = placed;
    this.element.style.transform = `translateY(${top}px)`;
    this.content.style.gridColumn = String(column + 1);
    this.content.style.position = stuck === null ? "relative" : "sticky";
    this.content.style.left = `${stuck ?? 0}px`;
  }
}
