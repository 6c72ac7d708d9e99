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
  /** What the author saw when the editor opened: others may write while it covers the cell. @type {import("../../client/types.js").Base | null} */
  #base = null;

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
    return this.#base !== null && this.#colours.useKey(event);
  }

  /**
   * @param {Row} row
   * @param {Column} column
   * @param {boolean} on
   */
  #editing(row, column, on) {
    const { client } = this.#page;
    if (row === undefined) return; // it is gone
    const field = /** @type {Field} */ (column.key);
    this.#base = on ? (client.base(row.id, field) ?? null) : null;
    client.editing(row.id, field, on);
  }

  /**
   * @param {Row} row
   * @param {Column} column
   * @param {string} text
   */
  #save(row, column, text) {
    const { client } = this.#page;
    const options = this.#base ? { base: this.#base } : {};
    if (column.key === "gbsNumber") void client.assignNumber(row.id, numberOf(text) ?? null, options);
    else {
      const memo = { memo: text, color: this.#colours.chosen };
      if (text.trim() === "" && memo.color === "") void client.deleteMemo(row.id, options);
      else void client.saveMemo(row.id, memo, options);
    }
  }

  /** @param {import("./grid/types.d.ts").Selected} selected */
  #clear({ rows, columns }) {
    const { client, announcer, notice } = this.#page;
    if (rows.length > MOST_CLEARED) {
      notice.set(texts.editing.tooMany(MOST_CLEARED));
      announcer.say(notice.value);
      return;
    }
    const keys = columns.map(({ key }) => key).filter((key) => FIELDS.includes(/** @type {Field} */ (key)));
    for (const row of rows) {
      if (keys.includes("gbsNumber") && !row.isLeader && row.gbsNumber !== null) void client.assignNumber(row.id, null);
      if (keys.includes("lineupMemo") && (row.lineupMemo || row.lineupMemocolor)) void client.deleteMemo(row.id);
    }
  }
}
