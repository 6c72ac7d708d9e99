/**
 * @typedef {import("./actions.js").Actions} Actions
 * @typedef {import("./selection.js").Cell} Cell
 */

/** What acts by itself within a cell. */
const ACTIVE = "a, button, input, select, textarea, label";
/** Milliseconds for each row that a drag goes on beyond the edge. */
const BEYOND = 50;

/**
 * Select by the pointer: a click, or a drag with a mouse; a finger scrolls.
 *
 * @param {HTMLElement} canvas
 * @param {Actions} actions
 */
export function listenToPointer(canvas, actions) {
  const { selection } = actions.grid;
  let finger = false;
  canvas.addEventListener("pointerdown", (event) => {
    finger = event.pointerType !== "mouse";
  });
  canvas.addEventListener("mousedown", (event) => {
    if (isActive(event)) return;
    event.preventDefault(); // the focus stays where it is
    const cell = cellAt(event);
    if (!cell || finger || event.button !== 0) return;
    actions.select(cell, { extend: event.shiftKey });
    drag(actions);
  });
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(event);
    const byPointer = event.detail > 0; // assistive technology clicks without one
    if (!cell || isActive(event) || (byPointer && !finger)) return;
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
 * Extend the selection to where the mouse is until its button is released.
 *
 * @param {Actions} actions
 */
function drag(actions) {
  const { selection, view } = actions.grid;
  const released = new AbortController();
  const edges = view.edges();
  let beyond = { rows: 0, columns: 0 };
  const timer = setInterval(() => {
    if (beyond.rows || beyond.columns) actions.move(beyond.rows, beyond.columns, true);
  }, BEYOND);
  /** @param {MouseEvent} event */
  const follow = (event) => {
    if (!(event.buttons & 1)) {
      clearInterval(timer);
      released.abort();
      return;
    }
    beyond = {
      rows: sideOf(event.clientY, edges.top, edges.bottom),
      columns: sideOf(event.clientX, edges.left, edges.right),
    };
    const cell = cellAt(event);
    if (cell && !same(cell, selection.corner)) actions.select(cell, { extend: true });
  };
  addEventListener("mousemove", follow, { signal: released.signal });
  addEventListener("mouseup", follow, { signal: released.signal });
}

/**
 * @param {number} value
 * @param {number} first
 * @param {number} last
 * @returns {-1 | 0 | 1} before, between or after
 */
function sideOf(value, first, last) {
  if (value < first) return -1;
  return value > last ? 1 : 0;
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
