import { Editor } from "./editor.js";

/**
 * @typedef {import("./types.d.ts").Row} Row
 * @typedef {import("./types.d.ts").RowId} RowId
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./grid.js").GridParts} GridParts
 */

/**
 * The edit of one cell, from the first letter to its commit or its end without one.
 *
 * The row is pinned meanwhile, and may be changed by others, which the editor does not show.
 */
export class Editing {
  /** Whether a keyboard on the screen may come up for a closed editor. */
  keyboard = true;
  /** @type {{id: RowId, column: Column, forced: boolean} | null} */
  #edit = null;

  /**
   * @param {string} id of the field
   * @param {GridParts} grid
   */
  constructor(id, grid) {
    this.grid = grid;
    this.options = grid.options;
    this.editor = new Editor(id, {
      onTyping: () => this.#begin(),
      onEnter: () => grid.actions.enter(1),
      // Not for another window: the text stays as it is until the page is shown again.
      onBlur: () => document.hasFocus() && this.commit(),
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
    const at = this.grid.active;
    if (this.editor.composing || this.mode || !at?.column.editable?.(at.row)) return;
    this.editor.open(at.column.text(at.row));
    this.#begin();
  }

  /**
   * Report the text, and close the editor, unless the text cannot be taken.
   *
   * @param {() => void} [then] what the commit leads to, while the row is still at its place
   */
  commit(then) {
    this.editor.whenComposed(() => {
      if (this.#take()) this.#end(then);
    });
  }

  /** Close the editor, and leave the cell as it is. */
  cancel() {
    this.editor.whenComposed(() => this.#end());
  }

  /** Prepare the field for the active cell. */
  update() {
    const at = this.grid.active;
    if (this.mode || this.editor.composing) return;
    const inputMode = at?.column.editor === "number" ? "numeric" : "text";
    this.editor.prepare({
      readOnly: !at?.column.editable?.(at.row),
      inputMode: this.keyboard ? inputMode : "none",
      className: at?.column.align ?? "",
      wrap: at?.column.editor === "memo" ? "soft" : "off",
      ariaLabel: at ? this.#labelOf(at.row, at.column) : this.options.texts.label,
    });
  }

  /**
   * @param {Row} row
   * @param {Column} column
   */
  #labelOf(row, column) {
    return [this.options.rowLabel?.(row), column.title].filter(Boolean).join(", ");
  }

  #begin() {
    const at = this.grid.active;
    if (!at) return;
    const { row, column } = at;
    this.#edit = { id: row.id, column, forced: false };
    this.grid.rows.pin("edit", row.id);
    this.options.onEditing?.(row, column, true);
    this.#showPanel(row, column);
    this.grid.actions.leaving = false;
    this.grid.update();
    this.grid.view.reveal();
  }

  /** @returns {boolean} false: the text cannot be taken */
  #take() {
    if (!this.#edit) return true;
    const { id, column, forced } = this.#edit;
    const row = this.grid.rows.get(id);
    const { text, touched } = this.editor;
    const changed = touched && text !== column.text(row);
    const reason = changed && column.validate?.(text, row);
    if (reason) {
      this.editor.refuse(reason);
      return false;
    }
    if (changed || forced) this.options.onEdit?.(row, column, text);
    return true;
  }

  /** @param {() => void} [then] */
  #end(then) {
    if (this.#edit) {
      const { id, column } = this.#edit;
      this.#edit = null;
      this.editor.close();
      this.options.onEditing?.(this.grid.rows.get(id), column, false);
    }
    then?.();
    this.grid.rows.pin("edit", null);
    this.grid.update();
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
    const commit = () => this.commit();
    panel.hidden = !this.options.renderPanel?.(panel, { row, column, change, commit });
  }
}
