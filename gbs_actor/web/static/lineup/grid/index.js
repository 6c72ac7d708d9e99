/**
 * A grid of many rows that others change while one edits: it draws the rows in view only, is used
 * by keys as a spreadsheet is, and takes text from input methods. It knows its columns, rows and
 * cells, and nothing of what they mean.
 */
import { listenToClipboard } from "./clipboard.js";
import { GridParts } from "./grid.js";
import { useKey } from "./keys.js";
import { listenToPointer } from "./pointer.js";

/**
 * @param {HTMLElement} element with a height of its own
 * @param {import("./types.d.ts").Options} options
 * @returns {import("./types.d.ts").Grid}
 */
export function createGrid(element, options) {
  const grid = new GridParts(element, options);
  const { scroller, canvas } = grid.view;
  scroller.addEventListener("keydown", (event) => {
    if (event.target === grid.focusable && useKey(event, grid.actions)) event.preventDefault();
  });
  scroller.addEventListener("focusin", (event) => {
    if (event.target === grid.focusable) grid.actions.takeFocus();
  });
  listenToPointer(canvas, grid.actions);
  listenToClipboard(scroller, {
    selected: () => grid.selection.selected,
    isEditing: () => Boolean(grid.editing?.mode),
    paste: (selected, text) => grid.editing && options.onPaste?.(selected, text),
  });
  return {
    setRows: (rows) => grid.setRows(rows),
    setColumns: (columns) => grid.setColumns(columns),
    setReadOnly: (readOnly) => grid.setReadOnly(readOnly),
    setMarks: (marks) => grid.decorations.setMarks(marks),
    setCells: (cells) => grid.decorations.setCells(cells),
    setNotes: (notes) => grid.setNotes(notes),
    flash: (id, key, name, colour) => grid.decorations.flash({ id, key, name, colour }),
    pin: (id) => grid.pin(id),
    focusCell: (id, key, { edit = false } = {}) => grid.focusCell(id, key, edit),
    selected: () => grid.selection.selected,
    commit() {
      grid.editing?.commit();
      return !grid.editing?.mode;
    },
    destroy: () => grid.destroy(),
  };
}
