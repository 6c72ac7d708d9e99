/**
 * @typedef {import("./actions.js").Actions} Actions
 * @typedef {import("./selection.js").Cell} Cell
 */

/** What acts by itself within a cell. */
const ACTIVE = "a, button, input, select, textarea, label";

/**
 * Select by the pointer: a click, or a drag with a mouse; a finger scrolls.
 *
 * @param {HTMLElement} canvas
 * @param {Actions} actions
 */
export function listenToPointer(canvas, actions) {
  const { selection } = actions.grid;
  let dragging = false;
  let finger = false;

  canvas.addEventListener("pointerdown", (event) => {
    finger = event.pointerType !== "mouse";
  });
  canvas.addEventListener("mousedown", (event) => {
    if (isActive(event)) return;
    event.preventDefault(); // the focus stays where it is
    const cell = cellAt(event);
    if (!cell || finger || event.button !== 0) return;
    dragging = true;
    actions.select(cell, { extend: event.shiftKey });
  });
  canvas.addEventListener("mousemove", (event) => {
    if (!dragging) return;
    dragging = (event.buttons & 1) === 1;
    const cell = cellAt(event);
    if (dragging && cell && !same(cell, selection.corner)) actions.select(cell, { extend: true });
  });
  canvas.addEventListener("click", (event) => {
    dragging = false;
    const cell = cellAt(event);
    if (!finger || !cell || isActive(event)) return;
    // A keyboard on the screen takes half of it: it comes with the second touch.
    if (same(cell, selection.active)) actions.edit({ touch: true }) || actions.open();
    else actions.select(cell, { touch: true });
  });
  canvas.addEventListener("dblclick", (event) => {
    if (finger || !cellAt(event) || isActive(event)) return;
    if (!actions.edit()) actions.open();
  });
}

/**
 * @param {Cell} cell
 * @param {Cell | null} other
 */
function same(cell, other) {
  return cell.row === other?.row && cell.column === other.column;
}

/** @param {MouseEvent} event */
function isActive(event) {
  return event.target instanceof Element && event.target.closest(ACTIVE) !== null;
}

/**
 * @param {MouseEvent} event
 * @returns {Cell | null} in whose element it happened
 */
function cellAt(event) {
  const cell = event.target instanceof Element ? event.target.closest(".grid-cell") : null;
  const row = cell?.parentElement;
  if (!cell || !row) return null;
  return { row: Number(row.ariaRowIndex) - 2, column: Number(cell.ariaColIndex) - 1 };
}
