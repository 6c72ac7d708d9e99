/**
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./types.d.ts").Mark} Mark
 * @typedef {import("./types.d.ts").CellStatus} CellStatus
 * @typedef {{name: string, colour: string}} Person
 * @typedef {{mark?: Person, status?: CellStatus, flash?: Person & {started: number}}} Decoration
 *   what a cell shows besides its text
 * @typedef {ReadonlyMap<string, Decoration>} RowDecorations by column; another one once it changes
 */

/** Milliseconds. */
const FLASH = 2000;

/** Who edits which cell, what became of edits, and what has just been changed by whom. */
export class Decorations {
  /** @type {Map<string, Map<string, Decoration>>} by row */
  #rows = new Map();
  /** @type {Set<ReturnType<typeof setTimeout>>} */
  #timers = new Set();
  #changed;

  /** @param {() => void} changed called at any change */
  constructor(changed) {
    this.#changed = changed;
  }

  /**
   * @param {RowId} id
   * @returns {RowDecorations | undefined}
   */
  of(id) {
    return this.#rows.get(String(id));
  }

  /** @param {Iterable<Mark>} marks */
  setMarks(marks) {
    this.#replace("mark", [...marks].map((mark) => [String(mark.id), mark.key, mark]));
  }

  /** @param {ReadonlyMap<string, CellStatus>} cells by `id:key` */
  setCells(cells) {
    this.#replace("status", [...cells].map(([name, status]) => {
      const colon = name.indexOf(":");
      return [name.slice(0, colon), name.slice(colon + 1), status];
    }));
  }

  /** @param {Mark} mark */
  flash({ id, key, name, colour }) {
    const flash = { name, colour, started: performance.now() };
    this.#put(String(id), key, "flash", flash);
    this.#changed();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.of(id)?.get(key)?.flash !== flash) return;
      this.#put(String(id), key, "flash", undefined);
      this.#changed();
    }, FLASH);
    this.#timers.add(timer);
  }

  destroy() {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /**
   * @param {"mark" | "status"} kind
   * @param {[id: string, key: string, value: any][]} entries all there are of this kind
   */
  #replace(kind, entries) {
    const names = new Set(entries.map(([id, key]) => `${id}:${key}`));
    for (const [id, row] of [...this.#rows]) {
      for (const [key, decoration] of row) {
        if (decoration[kind] && !names.has(`${id}:${key}`)) this.#put(id, key, kind, undefined);
      }
    }
    for (const [id, key, value] of entries) this.#put(id, key, kind, value);
    this.#changed();
  }

  /**
   * @param {string} id
   * @param {string} key
   * @param {keyof Decoration} kind
   * @param {any} value
   */
  #put(id, key, kind, value) {
    const before = this.#rows.get(id);
    const decoration = { ...before?.get(key), [kind]: value };
    if (same(before?.get(key)?.[kind], value)) return;
    const row = new Map(before);
    if (decoration.mark || decoration.status || decoration.flash) row.set(key, decoration);
    else row.delete(key);
    if (row.size) this.#rows.set(id, row);
    else this.#rows.delete(id);
  }
}

/**
 * @param {any} one
 * @param {any} other
 */
function same(one, other) {
  if (one === other || !one || !other) return one === other;
  return ["name", "colour", "status", "reason", "started"].every((field) => one[field] === other[field]);
}
