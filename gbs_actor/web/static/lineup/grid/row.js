/**
 * @typedef {import("./types.d.ts").Row} Row
 * @typedef {import("./types.d.ts").Column} Column
 * @typedef {import("./types.d.ts").Texts} Texts
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {import("./decorations.js").Decoration} Decoration
 * @typedef {import("./decorations.js").RowDecorations} RowDecorations
 * @typedef {{active: number, left: number, right: number}} Selected columns of one row; -1: none
 * @typedef {{cell: HTMLElement, content: HTMLElement, text: Text | null, className: string,
 *            decoration: Decoration | undefined, readOnly: boolean}} CellElement
 */

export const NOT_SELECTED = { active: -1, left: 0, right: -1 };

/**
 * The element of one row. It is used for one row after another, and keeps what it shows, so that
 * nothing is written to the document that is there already.
 */
export class RowElement {
  /** @type {Row | undefined} */
  row;
  index = -1;
  /** @type {Selected} */
  #selected = NOT_SELECTED;
  /** @type {RowDecorations | undefined} */
  #decorations;
  #rowClass = "grid-row";
  /** @type {CellElement[]} */
  #cells = [];

  /**
   * @param {string} prefix of the cells' ids
   * @param {Columns} columns
   * @param {Texts} texts
   * @param {((row: Row) => string) | undefined} rowClass
   */
  constructor(prefix, columns, texts, rowClass) {
    this.columns = columns;
    this.texts = texts;
    this.rowClass = rowClass;
    this.element = document.createElement("div");
    this.element.className = this.#rowClass;
    this.element.setAttribute("role", "row");
    this.#cells = columns.list.map((column, index) => cellElement(`${prefix}-${index}`, column, index));
    this.element.append(...this.#cells.map(({ cell }) => cell));
    this.place();
  }

  /** Put the sticky cells where they stick. */
  place() {
    this.#cells.forEach(({ cell }, index) => {
      if (this.columns.list[index].sticky) cell.style.left = `${this.columns.stuckLefts[index]}px`;
    });
  }

  /** @param {number} column */
  idOf(column) {
    return this.#cells[column]?.cell.id ?? "";
  }

  /** @param {boolean} shown */
  show(shown) {
    if (this.element.hidden === shown) this.element.hidden = !shown;
  }

  /**
   * Show a row.
   *
   * @param {Row} row
   * @param {number} index in the list
   * @param {number} top CSS pixels
   * @param {Selected} selected
   * @param {RowDecorations | undefined} decorations
   */
  draw(row, index, top, selected, decorations) {
    if (index !== this.index) {
      this.index = index;
      this.element.style.transform = `translateY(${top}px)`;
      this.element.setAttribute("aria-rowindex", String(index + 2)); // the header is the first
    }
    const changed = row !== this.row;
    this.row = row;
    if (changed || !sameSelected(selected, this.#selected)) this.#drawCells(row, selected, changed);
    const redecorated = decorations !== this.#decorations;
    if (redecorated) this.#drawDecorations(decorations);
    if (!changed && !redecorated) return;
    const className = `grid-row${decorations ? " decorated" : ""} ${this.rowClass?.(row) ?? ""}`;
    if (className !== this.#rowClass) this.element.className = this.#rowClass = className;
  }

  /**
   * @param {Row} row
   * @param {Selected} selected
   * @param {boolean} contents whether they are to be drawn, too
   */
  #drawCells(row, selected, contents) {
    this.#selected = selected;
    this.#cells.forEach((element, index) => {
      const column = this.columns.list[index];
      if (contents) drawContent(element, column, row);
      const within = index >= selected.left && index <= selected.right;
      const className = classOf(column, row) + (within ? " selected" : "") + (index === selected.active ? " active" : "");
      if (className === element.className) return;
      element.cell.className = element.className = className;
      element.cell.setAttribute("aria-selected", String(within));
    });
  }

  /** @param {RowDecorations | undefined} decorations */
  #drawDecorations(decorations) {
    this.#decorations = decorations;
    this.#cells.forEach((element, index) => {
      const decoration = decorations?.get(this.columns.list[index].key);
      if (decoration === element.decoration) return;
      element.decoration = decoration;
      while (element.content.nextSibling) element.content.nextSibling.remove();
      if (decoration) element.cell.append(...decorationElements(decoration, this.texts));
    });
  }
}

/**
 * @param {string} id
 * @param {Column} column
 * @param {number} index
 * @returns {CellElement}
 */
function cellElement(id, column, index) {
  const cell = document.createElement("div");
  cell.id = id;
  cell.setAttribute("role", column.rowHeader ? "rowheader" : "gridcell");
  cell.setAttribute("aria-colindex", String(index + 1));
  cell.setAttribute("aria-selected", "false");
  const content = document.createElement("span");
  content.className = "grid-text";
  cell.append(content);
  const text = column.render ? null : content.appendChild(document.createTextNode(""));
  return { cell, content, text, className: "", decoration: undefined, readOnly: false };
}

/**
 * @param {CellElement} element
 * @param {Column} column
 * @param {Row} row
 */
function drawContent(element, column, row) {
  if (element.text) {
    const text = column.text(row);
    if (element.text.data !== text) element.text.data = text;
  } else {
    column.render?.(element.content, row);
  }
  const readOnly = !column.editable?.(row);
  if (readOnly === element.readOnly) return;
  element.readOnly = readOnly;
  element.cell.setAttribute("aria-readonly", String(readOnly));
}

/**
 * @param {Column} column
 * @param {Row} row
 */
function classOf(column, row) {
  const own = typeof column.className === "function" ? column.className(row) : column.className;
  return `grid-cell${column.sticky ? " sticky" : ""}${column.align ? ` ${column.align}` : ""}${own ? ` ${own}` : ""}`;
}

/**
 * @param {Decoration} decoration
 * @param {Texts} texts
 */
function decorationElements({ mark, status, flash }, texts) {
  const elements = [];
  if (mark) elements.push(coloured("grid-mark", "", mark));
  if (flash) {
    const light = coloured("grid-flash", "", flash);
    light.style.animationDelay = `${flash.started - performance.now()}ms`;
    elements.push(light);
  }
  const person = mark ?? flash;
  if (person) {
    const name = coloured("grid-name", person.name, person);
    name.append(span("unseen", ` ${mark ? texts.editing : texts.changed}`));
    elements.push(name);
  }
  if (status) {
    const sign = span(`grid-status ${status.status}`, "");
    const text = texts.status[status.status] + (status.reason ? `: ${status.reason}` : "");
    sign.title = text;
    sign.append(span("unseen", text));
    elements.push(sign);
  }
  return elements;
}

/**
 * @param {string} className
 * @param {string} text
 * @param {import("./decorations.js").Person} person
 */
function coloured(className, text, { colour }) {
  const element = span(className, text);
  element.style.setProperty("--colour", colour);
  return element;
}

/**
 * @param {string} className
 * @param {string} text
 */
function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

/**
 * @param {Selected} one
 * @param {Selected} other
 */
function sameSelected(one, other) {
  return one.active === other.active && one.left === other.left && one.right === other.right;
}
