import { Overlay } from "./overlay.js";

/** @typedef {import("./types.d.ts").Note} Note */

/** Elements of the owner below cells. */
export class Notes {
  element = document.createElement("div");
  /** @type {Map<HTMLElement, {note: Note, overlay: Overlay}>} */
  #shown = new Map();

  /**
   * Show these and no others; an element that is shown already stays in the document.
   *
   * @param {Iterable<Note>} notes
   */
  set(notes) {
    const given = new Map([...notes].map((note) => [note.element, note]));
    for (const [element, { overlay }] of this.#shown) {
      if (given.has(element)) continue;
      overlay.element.remove();
      this.#shown.delete(element);
    }
    for (const [element, note] of given) {
      const overlay = this.#shown.get(element)?.overlay ?? this.#make(element);
      this.#shown.set(element, { note, overlay });
    }
  }

  /** @param {(overlay: Overlay, id: import("./types.d.ts").RowId, key: string) => boolean} place */
  place(place) {
    for (const { note, overlay } of this.#shown.values()) {
      overlay.element.hidden = !place(overlay, note.id, note.key);
    }
  }

  /** @param {HTMLElement} element */
  #make(element) {
    const overlay = new Overlay("grid-note");
    overlay.content.append(element);
    this.element.append(overlay.element);
    return overlay;
  }
}
