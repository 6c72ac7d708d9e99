import { Overlay } from "./overlay.js";

/**
 * @typedef {object} Hooks
 * @property {() => void} onTyping text came in while the editor was closed; it is open now
 * @property {() => void} onEnter a line break was entered otherwise than by the key
 * @property {() => void} onBlur
 */

/**
 * The one field in which all cells are edited.
 *
 * It has the focus while a cell is selected, invisible, so that an input method (IME) meets it
 * from the first letter on. While a text is composed nothing sets its value or moves it in the
 * document: the input method would repeat or lose letters (UI Events, "Composition Events").
 */
export class Editor {
  /**
   * How it was opened: by typing, so that arrows leave the cell, or by a command, so that they
   * move within the text. `null`: it is closed.
   *
   * @type {"typing" | "editing" | null}
   */
  mode = null;
  overlay = new Overlay("grid-editor");
  composing = false;
  /** Whether the text was changed since the editor was opened. */
  touched = false;
  /** @type {(() => void) | null} */
  #afterComposition = null;
  #prepared = "";

  /**
   * @param {string} id
   * @param {Hooks} hooks
   */
  constructor(id, hooks) {
    this.hooks = hooks;
    this.field = document.createElement("textarea");
    this.field.rows = 1;
    Object.assign(this.field, { id, autocomplete: "off", autocapitalize: "off", spellcheck: false, enterKeyHint: "done" });
    this.problem = document.createElement("div");
    this.problem.className = "grid-problem";
    this.problem.id = `${id}-problem`;
    this.problem.setAttribute("role", "alert");
    this.field.setAttribute("aria-errormessage", this.problem.id);
    this.panel = document.createElement("div");
    this.panel.className = "grid-panel";
    this.panel.hidden = true;
    this.overlay.content.append(this.field, this.problem, this.panel);
    this.field.addEventListener("compositionstart", () => {
      this.composing = true;
      this.#typed();
    });
    this.field.addEventListener("compositionend", () => this.#composed());
    this.field.addEventListener("beforeinput", (event) => this.#beforeInput(event));
    this.field.addEventListener("input", () => this.#typed());
    this.overlay.element.addEventListener("focusout", ({ relatedTarget }) => {
      const within = relatedTarget instanceof Node && this.overlay.element.contains(relatedTarget);
      if (!within && !this.#afterComposition) this.hooks.onBlur();
    });
    this.panel.addEventListener("mousedown", (event) => {
      if (!(event.target instanceof HTMLInputElement)) event.preventDefault(); // the focus stays in the field
    });
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.focus();
    });
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  get text() {
    return this.field.value;
  }

  /**
   * Fit a cell. Not to be called while a text is composed.
   *
   * @param {{readOnly: boolean, inputMode: string, className: string, wrap: string, ariaLabel: string}} properties
   */
  prepare(properties) {
    const prepared = JSON.stringify(properties);
    if (prepared === this.#prepared) return;
    this.#prepared = prepared;
    Object.assign(this.field, properties);
  }

  /**
   * Edit a text. Not to be called while one is composed.
   *
   * @param {string} text
   */
  open(text) {
    this.field.value = text;
    this.field.setSelectionRange(text.length, text.length);
    this.touched = false;
    this.#setMode("editing");
  }

  /** Become invisible again. Not to be called while a text is composed. */
  close() {
    if (this.panel.contains(document.activeElement)) this.focus();
    this.field.value = "";
    this.refuse("");
    this.panel.hidden = true;
    this.#setMode(null);
  }

  /**
   * Show why the text cannot be taken.
   *
   * @param {string} reason empty: it can
   */
  refuse(reason) {
    this.problem.textContent = reason;
    this.field.setAttribute("aria-invalid", String(reason !== ""));
    if (reason) this.reveal();
  }

  /** Bring into view what is below the field. */
  reveal() {
    const below = this.panel.hidden ? this.problem : this.panel;
    below.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @returns {boolean} whether there is something beside the field that takes the focus */
  focusPanel() {
    const first = this.panel.hidden ? null : this.panel.querySelector("button, input, select, [tabindex]");
    if (first instanceof HTMLElement) first.focus();
    return first !== null;
  }

  /** Put a line break where the caret is. */
  breakLine() {
    const { selectionStart, selectionEnd } = this.field;
    this.field.setRangeText("\n", selectionStart, selectionEnd, "end");
    this.touched = true;
  }

  /**
   * Do something as soon as no text is composed, and end the composition if there is one.
   *
   * @param {() => void} action
   */
  whenComposed(action) {
    if (!this.composing) {
      action();
      return;
    }
    this.#afterComposition = action;
    this.field.blur();
    this.focus();
  }

  #composed() {
    this.composing = false;
    const action = this.#afterComposition;
    this.#afterComposition = null;
    action?.();
  }

  #typed() {
    if (this.field.readOnly) return;
    this.refuse("");
    this.touched = true;
    if (this.mode !== null || (this.text === "" && !this.composing)) return;
    this.#setMode("typing");
    this.hooks.onTyping();
  }

  /** @param {InputEvent} event */
  #beforeInput(event) {
    const { inputType } = event;
    // Keyboards of phones, and input methods, enter a line break without the key "Enter".
    const isEnter = inputType === "insertLineBreak" || inputType === "insertParagraph";
    // A closed editor takes letters only: there is no text of it to undo or to drop something on.
    const isLetters = inputType === "insertText" || inputType === "insertCompositionText";
    if (isEnter || (this.mode === null && !isLetters)) event.preventDefault();
    if (isEnter) this.hooks.onEnter();
  }

  /** @param {"typing" | "editing" | null} mode */
  #setMode(mode) {
    this.mode = mode;
    this.overlay.element.classList.toggle("open", mode !== null);
  }
}
