import { Editor } from "./editor.js";

/**
 * @typedef {import("./types.d.ts").Row} Row
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Options} Options
 * @typedef {import("./rows.js").Rows} Rows
 */

/**
 * The edit of one cell, from the first letter to its commit or its end without one.
 *
 * The row is pinned meanwhile, and may be changed by others, which the editor does not show.
 */
export class Editing {
  /** @type {{id: RowId, column: Column, forced: boolean} | null} */
  #edit = null;

  /**
   * @param {string} id of the field
   * @param {Rows} rows
   * @param {Options} options
   * @param {() => {row: Row, column: Column} | null} active
   * @param {() => void} changed called when the editor was opened or closed
   */
  constructor(id, rows, options, active, changed) {
    this.rows = rows;
    this.options = options;
    this.active = active;
    this.changed = changed;
    this.editor = new Editor(id, {
      onTyping: () => this.#begin(),
      onEnter: () => (this.mode ? this.commit(() => {}) : this.open()),
      // Not for another window: the text stays as it is until the page is shown again.
      onBlur: () => document.hasFocus() && this.commit(() => {}),
    });
  }

  get mode() {
    return this.editor.mode;
  }

  /** Whether line breaks are part of the text. */
  get multiline() {
    return this.#edit?.column.editor === "memo";
  }

  /** Edit the text of the active cell. */
  open() {
    const at = this.active();
    if (this.editor.composing || this.mode || !at?.column.editable?.(at.row)) return;
    this.editor.open(at.column.text(at.row));
    this.#begin();
  }

  /** @param {() => void} then called if the text was taken, or there was none */
  commit(then) {
    this.editor.whenComposed(() => {
      if (this.#take()) then();
    });
  }

  /** Close the editor, and leave the cell as it is. */
  cancel() {
    this.editor.whenComposed(() => this.#end());
  }

  /** Prepare the field for the active cell. */
  update() {
    const at = this.active();
    const { field } = this.editor;
    if (this.mode || this.editor.composing) return;
    field.readOnly = !at?.column.editable?.(at.row);
    field.inputMode = at?.column.editor === "number" ? "numeric" : "text";
    field.className = at?.column.align ?? "";
    field.wrap = at?.column.editor === "memo" ? "soft" : "off";
  }

  #begin() {
    const at = this.active();
    if (!at) return;
    const { row, column } = at;
    this.#edit = { id: row.id, column, forced: false };
    this.rows.pin("edit", row.id);
    this.options.onEditing?.(row, column, true);
    this.#showPanel(row, column);
    this.changed();
  }

  /** @returns {boolean} whether the editor is closed */
  #take() {
    if (!this.#edit) return true;
    const { id, column, forced } = this.#edit;
    const row = this.rows.get(id);
    const { text, touched } = this.editor;
    const changed = touched && text !== column.text(row);
    const reason = changed && column.validate?.(text, row);
    if (reason) {
      this.editor.refuse(reason);
      return false;
    }
    if (changed || forced) this.options.onEdit?.(row, column, text);
    this.#end();
    return true;
  }

  #end() {
    if (!this.#edit) return;
    const { id, column } = this.#edit;
    const row = this.rows.get(id);
    this.#edit = null;
    this.editor.close();
    this.rows.pin("edit", null);
    this.options.onEditing?.(row, column, false);
    this.changed();
  }

  /**
   * @param {Row} row
   * @param {Column} column
   */
  #showPanel(row, column) {
    const { panel } = this.editor;
    panel.replaceChildren();
    const change = () => {
      if (this.#edit) this.#edit.forced = true;
    };
    const commit = () => this.commit(() => {});
    panel.hidden = !this.options.renderPanel?.(panel, { row, column, change, commit });
  }
}
