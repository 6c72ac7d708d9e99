/** What goes into the grid and comes out of it. */

export type RowId = string | number;

/** Any object with an id. A changed row is another object; an unchanged row is the same one. */
export interface Row {
  readonly id: RowId;
}

export interface Column<R extends Row = any> {
  /** Unique in the grid. */
  key: string;
  title: string;
  /** CSS pixels. */
  width: number;
  /** Takes a share of the room that is left over. */
  grow?: boolean;
  align?: "start" | "center" | "end";
  /** Stays in view when the grid is scrolled sideways. */
  sticky?: boolean;
  /** What is shown, copied and edited. */
  text(row: R): string;
  /** Draws the cell in place of its text; called whenever the row is another object. */
  render?(content: HTMLElement, row: R): void;
  /** Draws the header in place of the title; called once. */
  renderHeader?(content: HTMLElement): void;
  /** Names the row, for assistive technology. */
  rowHeader?: boolean;
  /** Of the cells; a string is that of the header, too. */
  className?: string | ((row: R) => string);
  sorted?: "ascending" | "descending";
  /** Not given: never. */
  editable?(row: R): boolean;
  /** `memo`: several lines. Default: `text`. */
  editor?: "text" | "number" | "memo";
  /** Returns why a text cannot be taken; the editor then stays open and shows it. */
  validate?(text: string, row: R): string | undefined;
}

export interface CellRef {
  id: RowId;
  key: string;
}

/** A rectangle of cells. */
export interface Selected<R extends Row = any> {
  rows: R[];
  columns: Column<R>[];
}

/** Somebody who edits a cell, or has changed it. */
export interface Mark extends CellRef {
  name: string;
  /** A CSS colour. */
  colour: string;
}

/** An element below a cell. */
export interface Note extends CellRef {
  element: HTMLElement;
}

export interface CellStatus {
  status: "saving" | "saved" | "failed" | "waiting";
  reason?: string;
}

/** Texts of the grid itself. */
export interface Texts {
  /** Name of the grid. */
  label: string;
  /** How to get out of the grid by the keyboard; read after its name. */
  help: string;
  /** After the name of somebody who edits a cell. */
  editing: string;
  /** After the name of somebody who has just changed a cell. */
  changed: string;
  status: Record<CellStatus["status"], string>;
}

/** What can be put beside the editor. */
export interface PanelContext<R extends Row = any> {
  row: R;
  column: Column<R>;
  /** Has `onEdit` called even if the text stays as it was. */
  change(): void;
  commit(): void;
}

export interface Options<R extends Row = any> {
  columns: Column<R>[];
  texts: Texts;
  /** CSS pixels. Default: 32. */
  rowHeight?: number;
  /** No cell can be edited, and there is no editor. */
  readOnly?: boolean;
  rowClass?(row: R): string;
  /** What the editor is named after, besides its column. */
  rowLabel?(row: R): string;
  /**
   * A text was committed that differs from the cell's, as it is now: others may have changed the
   * cell meanwhile, or removed the row, which is then the last that was known.
   */
  onEdit?(row: R, column: Column<R>, text: string): void;
  /** The editor was opened at a cell, or closed; after `onEdit` if the text was taken. */
  onEditing?(row: R, column: Column<R>, on: boolean): void;
  onDelete?(selected: Selected<R>): void;
  onPaste?(selected: Selected<R>, text: string): void;
  onSelect?(selected: Selected<R>): void;
  /** Enter or a double click on a cell that cannot be edited. */
  onOpen?(row: R, column: Column<R>): void;
  onResize?(column: Column<R>, width: number): void;
  /**
   * Fills the space below the editor when it opens; returns false if there is nothing to show.
   * Alt+ArrowDown leads into it, Escape back.
   */
  renderPanel?(panel: HTMLElement, context: PanelContext<R>): boolean;
}

export interface Grid<R extends Row = any> {
  /** Shows rows in this order. Rows that are the same object are not drawn again. */
  setRows(rows: readonly R[]): void;
  setColumns(columns: Column<R>[]): void;
  setReadOnly(readOnly: boolean): void;
  /** Shows who edits which cell. */
  setMarks(marks: Iterable<Mark>): void;
  /** Shows what became of edits, by `id:key`. */
  setCells(cells: ReadonlyMap<string, CellStatus>): void;
  /** Shows elements below cells, and scrolls them with them. What is shown already stays. */
  setNotes(notes: Iterable<Note>): void;
  /** Lights up a cell for two seconds, with the name of who has changed it. */
  flash(id: RowId, key: string, name: string, colour: string): void;
  /** Keeps a row at its place whatever order is set, until another one is pinned or `null`. */
  pin(id: RowId | null): void;
  /** Selects a cell, brings it into view and takes the focus. */
  focusCell(id: RowId, key: string, options?: { edit?: boolean }): void;
  selected(): Selected<R> | null;
  /** Commits what is edited; `false`: it cannot be taken, or a syllable is not complete. */
  commit(): boolean;
  destroy(): void;
}
