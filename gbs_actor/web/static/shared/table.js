import { html, useRef } from "./html.js";
import { Empty } from "./parts.js";

/**
 * @typedef {object} Column
 * @property {string} key unique in the table; what the server sorts by, if it can
 * @property {string} label
 * @property {(row: any) => unknown} cell what is shown
 * @property {boolean} [sortable]
 * @property {"first"|"last"} [begins] which end comes first when it is sorted by; numbers: "last"
 * @property {boolean} [number] aligned to the right
 * @property {1|2|3} [rank] 3 disappears first on a narrow screen, then 2
 * @property {string} [title] explains it
 * @property {boolean} [head] the cell names the row
 */

/**
 * A table whose rows keep their places in the document, so that focus and selection stay.
 *
 * @param {{caption: string, columns: Column[], rows: any[], keyOf: (row: any) => string,
 *          sort?: string, onSort?: (sort: string) => void, empty: string, dimmed?: boolean,
 *          markOf?: (row: any) => string}} properties
 *   sort: a key, with "-" before it if the highest come first; markOf: a class of the row
 */
export function Table({ caption, columns, rows, keyOf, sort, onSort, empty, dimmed, markOf }) {
  if (rows.length === 0) return html`<${Empty}>${empty}<//>`;
  return html`
    <div class="table-frame" tabindex="0" role="region" aria-label=${caption}>
      <table class=${dimmed ? "dimmed" : ""}>
        <caption class="unseen">${caption}</caption>
        <thead>
          <tr>${columns.map((column) => html`
            <${Head} key=${column.key} column=${column} sort=${sort} onSort=${onSort} />`)}</tr>
        </thead>
        <tbody>
          ${rows.map((row) => html`
            <tr key=${keyOf(row)} class=${markOf?.(row)}>
              ${columns.map((column) => html`<${Cell} column=${column} row=${row} />`)}
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

function classOf({ number, rank = 1 }) {
  return `${number ? "number" : ""} rank-${rank}`;
}

function Head({ column, sort = "", onSort }) {
  const { key, label, title, sortable } = column;
  if (!sortable || !onSort) {
    return html`<th scope="col" class=${classOf(column)} title=${title}>${label}</th>`;
  }
  const descending = sort === `-${key}`;
  const sorted = descending || sort === key;
  const begins = column.begins ?? (column.number ? "last" : "first");
  const next = sorted ? (descending ? key : `-${key}`) : begins === "last" ? `-${key}` : key;
  return html`
    <th scope="col" class=${classOf(column)}
        aria-sort=${sorted ? (descending ? "descending" : "ascending") : "none"}>
      <button type="button" class="sort" title=${title} onClick=${() => onSort(next)}>
        ${label}<span class="arrow" aria-hidden="true">${sorted ? (descending ? "▾" : "▴") : ""}</span>
      </button>
    </th>`;
}

function Cell({ column, row }) {
  const content = column.cell(row);
  return column.head
    ? html`<th scope="row" class=${classOf(column)}>${content}</th>`
    : html`<td class=${classOf(column)}>${content}</td>`;
}

/**
 * The rows in the order in which they were first shown: figures change every two seconds, and
 * nobody can click on a row that moves. New rows come last.
 *
 * @param {any[]} rows as the server sorts them
 * @param {(row: any) => string} keyOf
 * @param {string} view of the sort and the filter; another one begins anew
 * @returns {{rows: any[], moved: boolean, settle: () => void}} moved: the server's order is
 *   another one; settle: take it over
 */
export function useStableOrder(rows, keyOf, view) {
  const kept = useRef({ view: null, order: [] });
  if (kept.current.view !== view) kept.current = { view, order: rows.map(keyOf) };
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  const known = new Set(kept.current.order);
  const order = [
    ...kept.current.order.filter((key) => byKey.has(key)),
    ...rows.map(keyOf).filter((key) => !known.has(key)),
  ];
  kept.current.order = order;
  return {
    rows: order.map((key) => byKey.get(key)),
    moved: order.some((key, index) => key !== keyOf(rows[index])),
    settle: () => {
      kept.current.view = null;
    },
  };
}
