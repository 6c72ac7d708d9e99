/** Edits without an answer, kept over a reload of the page. */

/** @import { Edit } from "./pending.js" */

export class Drafts {
  #storage;
  #key;

  /**
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} storage
   * @param {string} key
   */
  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
  }

  /** @returns {Edit[]} */
  load() {
    try {
      const kept = JSON.parse(this.#storage?.getItem(this.#key) ?? "[]");
      return Array.isArray(kept) ? kept.filter(isEdit) : [];
    } catch {
      return []; // not ours, or there is no access
    }
  }

  /** @param {Edit[]} edits */
  save(edits) {
    try {
      if (edits.length === 0) this.#storage?.removeItem(this.#key);
      else this.#storage?.setItem(this.#key, JSON.stringify(edits));
    } catch {
      // It is full, or there is no access: the page itself still has them.
    }
  }
}

/** @param {any} kept */
const isEdit = (kept) => typeof kept?.commandId === "string" && Array.isArray(kept.touches);
