/** @typedef {import("./actions.js").Actions} Actions */

/** @type {Record<string, [rows: number, columns: number]>} */
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Do what a key asks for, as a spreadsheet would.
 *
 * @param {KeyboardEvent} event
 * @param {Actions} actions
 * @returns {boolean} whether the grid has used the key
 */
export function useKey(event, actions) {
  // 229: an input method has the key. Safari ends the composition before such a key is reported.
  if (event.isComposing || event.keyCode === 229) return false;
  const mode = actions.editing?.mode ?? null;
  return mode === null ? useInGrid(event, actions) : useInEditor(event, actions, mode);
}

/**
 * @param {KeyboardEvent} event
 * @param {Actions} actions
 */
function useInGrid(event, actions) {
  const { key, shiftKey } = event;
  const control = event.ctrlKey || event.metaKey;
  if (key === "Tab") return !control && actions.tab(shiftKey ? -1 : 1);
  if (key === "Escape") return actions.collapse();
  if (control && key.toLowerCase() === "a") return actions.selectAll();
  if (control && key === "Enter") return actions.open();
  if (event.altKey || (control && !(key in ARROWS) && key !== "Home" && key !== "End")) return false;
  if (key === "Enter") return actions.enter(shiftKey ? -1 : 1);
  if (key === "F2") return actions.edit() || true;
  if (key === " ") return !actions.editable; // else the page would scroll
  if (key === "Delete" || key === "Backspace") return actions.erase();
  return useToMove(event, actions);
}

/**
 * @param {KeyboardEvent} event
 * @param {Actions} actions
 */
function useToMove({ key, shiftKey, ctrlKey, metaKey }, actions) {
  const far = ctrlKey || metaKey ? Infinity : 1;
  if (key in ARROWS) {
    const [rows, columns] = ARROWS[key];
    return actions.move(rows && rows * far, columns && columns * far, shiftKey);
  }
  if (key === "Home") return actions.move(far === 1 ? 0 : -far, -Infinity, shiftKey);
  if (key === "End") return actions.move(far === 1 ? 0 : far, Infinity, shiftKey);
  if (key === "PageUp") return actions.move(-actions.pageRows, 0, shiftKey);
  if (key === "PageDown") return actions.move(actions.pageRows, 0, shiftKey);
  return false;
}

/**
 * @param {KeyboardEvent} event
 * @param {Actions} actions
 * @param {"typing" | "editing"} mode
 */
function useInEditor(event, actions, mode) {
  const { key, shiftKey } = event;
  const { editing } = actions;
  if (!editing) return false;
  if (key === "Escape") editing.cancel();
  else if (key === "ArrowDown" && event.altKey) return editing.editor.focusPanel();
  else if (key === "Tab") editing.commit(() => actions.tab(shiftKey ? -1 : 1));
  else if (key === "Enter" && event.altKey && editing.multiline) editing.editor.breakLine();
  else if (key === "F2") editing.editor.mode = "editing";
  else if (key === "Enter") actions.enter(shiftKey ? -1 : 1);
  else if (mode === "typing" && key in ARROWS && !shiftKey) {
    editing.commit(() => useToMove(event, actions));
  } else return false;
  return true;
}
