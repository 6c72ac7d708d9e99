/**
 * @typedef {import("./grid.js").GridController} GridController
 * @typedef {import("./selection.js").Cell} Cell
 */

/** What acts by itself within a cell. */
const ACTIVE = "a, button, input, select, textarea, label";

/**
 * Select by the pointer: a click, or a drag with a mouse; a finger scrolls.
 *
 * @param {HTMLElement} canvas
 * @param {GridController} grid
 */
export function listenToPointer(canvas, grid) {
  let dragging = false;
  let finger = false;

  canvas.addEventListener("pointerdown", (event) => {
    finger = event.pointerType !== "mouse";
  });
  canvas.addEventListener("mousedown", (event) => {
    if (isActive(event)) return;
    event.preventDefault(); // the focus stays where it is
    const cell = cellAt(event, grid);
    if (!cell || finger || event.button !== 0) return;
    dragging = true;
    grid.selectCell(cell.row, cell.column, event.shiftKey);
  });
  canvas.addEventListener("mousemove", (event) => {
    if (!dragging) return;
    dragging = (event.buttons & 1) === 1;
    const cell = cellAt(event, grid);
    if (dragging && cell && !same(cell, grid.selection.corner)) grid.selectCell(cell.row, cell.column, true);
  });
  canvas.addEventListener("click", (event) => {
    dragging = false;
    const cell = cellAt(event, grid);
    if (!finger || !cell || isActive(event)) return;
    // A keyboard on the screen takes half of it: it comes with the second touch.
    if (same(cell, grid.selection.active)) grid.edit({ touch: true }) || grid.open();
    else grid.selectCell(cell.row, cell.column, false, { touch: true });
  });
  canvas.addEventListener("dblclick", (event) => {
    if (finger || !cellAt(event, grid) || isActive(event)) return;
    if (!grid.edit()) grid.open();
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
 * @param {GridController} grid
 */
function cellAt(event, grid) {
  const cell = event.target instanceof Element ? event.target.closest(".grid-cell") : null;
  const row = cell?.parentElement;
  if (!cell || !row) return null;
  const index = Number(row.getAttribute("aria-rowindex")) - 2;
  const column = Number(cell.getAttribute("aria-colindex")) - 1;
  return grid.rows.list[index] ? { row: index, column } : null;
}
