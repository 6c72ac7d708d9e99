/** @typedef {import("./grid.js").GridController} GridController */

/** @type {Record<string, [rows: number, columns: number]>} */
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Do what a key asks for, as a spreadsheet would.
 *
 * @param {KeyboardEvent} event
 * @param {GridController} grid
 * @returns {boolean} whether the grid has used the key
 */
export function useKey(event, grid) {
  // 229: an input method has the key. Safari ends the composition before such a key is reported.
  if (event.isComposing || event.keyCode === 229) return false;
  const mode = grid.editing?.mode ?? null;
  return mode === null ? useInGrid(event, grid) : useInEditor(event, grid, mode);
}

/**
 * @param {KeyboardEvent} event
 * @param {GridController} grid
 */
function useInGrid(event, grid) {
  const { key, shiftKey } = event;
  const control = event.ctrlKey || event.metaKey;
  if (key === "Tab") return !control && grid.tab(shiftKey ? -1 : 1);
  if (key === "Escape") return grid.collapse();
  if (control && key.toLowerCase() === "a") return grid.selectAll();
  if (control && key === "Enter") return grid.open();
  if (event.altKey || (control && !(key in ARROWS) && key !== "Home" && key !== "End")) return false;
  if (key === "Enter") return grid.enter(shiftKey ? -1 : 1);
  if (key === "F2") return grid.edit() || true;
  if (key === " ") return !grid.editable; // else the page would scroll
  if (key === "Delete" || key === "Backspace") return grid.erase();
  return useToMove(event, grid);
}

/**
 * @param {KeyboardEvent} event
 * @param {GridController} grid
 */
function useToMove({ key, shiftKey, ctrlKey, metaKey }, grid) {
  const far = ctrlKey || metaKey ? Infinity : 1;
  if (key in ARROWS) {
    const [rows, columns] = ARROWS[key];
    return grid.move(rows && rows * far, columns && columns * far, shiftKey);
  }
  if (key === "Home") return grid.move(far === 1 ? 0 : -far, -Infinity, shiftKey);
  if (key === "End") return grid.move(far === 1 ? 0 : far, Infinity, shiftKey);
  if (key === "PageUp") return grid.move(-grid.pageRows, 0, shiftKey);
  if (key === "PageDown") return grid.move(grid.pageRows, 0, shiftKey);
  return false;
}

/**
 * @param {KeyboardEvent} event
 * @param {GridController} grid
 * @param {"typing" | "editing"} mode
 */
function useInEditor(event, grid, mode) {
  const { key, shiftKey } = event;
  const { editing } = grid;
  if (!editing) return false;
  if (key === "Escape") editing.cancel();
  else if (key === "ArrowDown" && event.altKey) return editing.editor.focusPanel();
  else if (key === "Tab") editing.commit(() => grid.tab(shiftKey ? -1 : 1));
  else if (key === "Enter" && event.altKey && editing.multiline) editing.editor.breakLine();
  else if (key === "Enter") grid.enter(shiftKey ? -1 : 1);
  else if (mode === "typing" && key in ARROWS && !shiftKey) {
    editing.commit(() => useToMove(event, grid));
  } else return false;
  return true;
}
