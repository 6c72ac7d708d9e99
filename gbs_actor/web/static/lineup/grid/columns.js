/** @typedef {import("./types.d.ts").Column} Column */

/** Where the columns are. All lengths are CSS pixels. */
export class Columns {
  /** @param {Column[]} list */
  constructor(list) {
    this.list = [...list];
    /** @type {Map<string, number>} */
    this.indexOf = new Map(list.map((column, index) => [column.key, index]));
    /** @type {number[]} */
    this.widths = [];
    /** @type {number[]} the left edge of each column */
    this.lefts = [];
    /** @type {number[]} where a column sticks: the width of the sticky ones before it */
    this.stuckLefts = [];
    this.width = 0;
  }

  /**
   * Share out the room.
   *
   * @param {number} room what there is, at least
   */
  layOut(room) {
    const least = this.list.reduce((sum, column) => sum + column.width, 0);
    const growing = this.list.filter((column) => column.grow).length;
    const extra = growing ? Math.max(0, Math.floor((room - least) / growing)) : 0;
    this.widths = this.list.map((column) => column.width + (column.grow ? extra : 0));
    let left = 0;
    let stuck = 0;
    this.lefts = [];
    this.stuckLefts = [];
    this.list.forEach((column, index) => {
      this.lefts.push(left);
      this.stuckLefts.push(stuck);
      left += this.widths[index];
      if (column.sticky) stuck += this.widths[index];
    });
    this.width = left;
  }

  /** As CSS's `grid-template-columns`. */
  get template() {
    return this.widths.map((width) => `${width}px`).join(" ");
  }
}
