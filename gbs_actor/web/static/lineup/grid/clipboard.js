/** @typedef {import("./types.d.ts").Selected} Selected */

/**
 * Write cells as spreadsheets take them from the clipboard: tabs, line breaks, and quotes around
 * a text that has one of them.
 *
 * @param {Selected} selected
 */
export function toTsv({ rows, columns }) {
  return rows.map((row) => columns.map((column) => quoted(column.text(row))).join("\t")).join("\n");
}

/** @param {string} text */
function quoted(text) {
  return /[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Copy the selection, and hand over what is pasted, unless a text is being edited.
 *
 * @param {HTMLElement} element
 * @param {{selected: () => Selected | null, isEditing: () => boolean,
 *          paste: (selected: Selected, text: string) => void}} grid
 */
export function listenToClipboard(element, { selected, isEditing, paste }) {
  /**
   * @param {string} type
   * @param {(event: ClipboardEvent, selection: Selected) => void} use
   */
  const listen = (type, use) =>
    element.addEventListener(type, (event) => {
      const selection = selected();
      if (isEditing() || !selection) return;
      event.preventDefault();
      use(/** @type {ClipboardEvent} */ (event), selection);
    });
  listen("beforecopy", () => {}); // Safari: there is something to copy
  listen("copy", (event, selection) => event.clipboardData?.setData("text/plain", toTsv(selection)));
  listen("cut", () => {});
  listen("paste", (event, selection) => paste(selection, event.clipboardData?.getData("text/plain") ?? ""));
}
