/**
 * @typedef {import("./types.d.ts").Row} Row
 * @typedef {import("./types.d.ts").RowId} RowId
 */

/** The rows in the order in which they are shown: as given, but for those that are pinned. */
export class Rows {
  /** @type {readonly Row[]} */
  list = [];
  /** @type {Map<RowId, number>} */
  #indexes = new Map();
  /** @type {readonly Row[]} */
  #given = [];
  /** @type {Map<string, RowId>} by who has pinned it */
  #pins = new Map();

  /** @param {readonly Row[]} rows */
  set(rows) {
    if (rows === this.#given) return;
    this.#given = rows;
    this.#arrange();
  }

  /**
   * Keep a row at its place, and in the list, until it is released.
   *
   * @param {string} holder who wants it
   * @param {RowId | null} id `null`: none any more
   */
  pin(holder, id) {
    if (id === (this.#pins.get(holder) ?? null)) return;
    if (id === null) this.#pins.delete(holder);
    else this.#pins.set(holder, id);
    this.#arrange();
  }

  /**
   * @param {RowId} id
   * @returns {number} -1: there is no such row
   */
  indexOf(id) {
    return this.#indexes.get(id) ?? -1;
  }

  /** @param {RowId} id */
  get(id) {
    return this.list[this.indexOf(id)];
  }

  #arrange() {
    const pinned = [...new Set(this.#pins.values())]
      .filter((id) => this.#indexes.has(id))
      .map((id) => ({ id, index: this.indexOf(id), last: this.get(id) }))
      .sort((one, other) => one.index - other.index);
    this.list = pinned.length ? withPinned(this.#given, pinned) : this.#given;
    this.#indexes = new Map(this.list.map((row, index) => [row.id, index]));
  }
}

/**
 * @param {readonly Row[]} given
 * @param {{id: RowId, index: number, last: Row}[]} pinned by their index
 */
function withPinned(given, pinned) {
  const held = new Map(pinned.map(({ id, last }) => [id, last]));
  const list = given.filter((row) => {
    if (!held.has(row.id)) return true;
    held.set(row.id, row);
    return false;
  });
  for (const { id, index } of pinned) {
    list.splice(Math.min(index, list.length), 0, /** @type {Row} */ (held.get(id)));
  }
  return list;
}
