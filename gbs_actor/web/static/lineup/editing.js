/** Edits in the grid become commands of the client. */
import { visible } from "../shared/format.js";
import { numberOf } from "./columns.js";
import { MemoColours } from "./memo_colours.js";
import { texts } from "./strings.js";

/**
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {import("../../client/types.js").Field} Field
 * @typedef {import("./grid/types.d.ts").Column} Column
 */

/** Rows that one key may clear: a slip must not empty the list. */
const MOST_CLEARED = 20;
/** @type {Field[]} */
const FIELDS = ["gbsNumber", "lineupMemo"];

export class Editing {
  #page;
  #colours = new MemoColours();
  /** The row as it was when its cell was opened, and the epoch of its revision. @type {{row: Row, epoch: string | null} | null} */
  #opened = null;

  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.#page = page;
  }

  /** Options of the grid. */
  get options() {
    return {
      onEditing: (row, column, on) => this.#editing(row, column, on),
      onEdit: (row, column, text) => this.#save(row, column, text),
      onDelete: (selected) => this.#clear(selected),
      rowLabel: (row) => visible(row.name, 40),
      renderPanel: (panel, context) => context.column.key === "lineupMemo" && this.#colours.show(panel, context),
    };
  }

  /** A key was pressed while a cell may be edited. @param {KeyboardEvent} event */
  useKey(event) {
    return this.#opened !== null && this.#colours.useKey(event);
  }

  /**
   * @param {Row} row
   * @param {Column} column
   * @param {boolean} on
   */
  #editing(row, column, on) {
    const { client } = this.#page;
    if (row === undefined) return; // it is gone
    this.#opened = on ? { row, epoch: client.getSnapshot().epoch } : null;
    client.editing(row.id, /** @type {Field} */ (column.key), on);
  }

  /**
   * @param {Row} row
   * @param {Column} column
   * @param {string} text
   */
  #save(row, column, text) {
    const { client } = this.#page;
    const base = this.#baseOf(row, column.key);
    if (column.key === "gbsNumber") void client.assignNumber(row.id, numberOf(text) ?? null, base);
    else {
      const memo = { memo: text, color: this.#colours.chosen };
      if (text.trim() === "" && memo.color === "") void client.deleteMemo(row.id, base);
      else void client.saveMemo(row.id, memo, base);
    }
  }

  /**
   * What the author saw: the row as it was when the cell was opened, if its value is another one
   * by now, so that the server finds the conflict; else the row as it is.
   *
   * @param {Row} row
   * @param {string} key
   */
  #baseOf(row, key) {
    if (this.#opened?.row.id !== row.id) return {};
    const { row: seen, epoch } = this.#opened;
    const same = key === "gbsNumber" ? seen.gbsNumber === row.gbsNumber : seen.lineupMemo === row.lineupMemo && seen.lineupMemocolor === row.lineupMemocolor;
    return same ? {} : { base: { revision: seen.revision, epoch } };
  }

  /** @param {import("./grid/types.d.ts").Selected} selected */
  #clear({ rows, columns }) {
    const { client, announcer } = this.#page;
    if (rows.length > MOST_CLEARED) return announcer.say(texts.editing.tooMany(MOST_CLEARED));
    const keys = columns.map(({ key }) => key).filter((key) => FIELDS.includes(/** @type {Field} */ (key)));
    for (const row of rows) {
      if (keys.includes("gbsNumber") && !row.isLeader && row.gbsNumber !== null) void client.assignNumber(row.id, null);
      if (keys.includes("lineupMemo") && (row.lineupMemo || row.lineupMemocolor)) void client.deleteMemo(row.id);
    }
  }
}
