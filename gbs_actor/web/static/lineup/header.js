/** The head of a column: its name, how it is sorted, whether it is filtered, and the way to its menu. */
import { texts } from "./strings.js";

const ARROWS = { ascending: "↑", descending: "↓" };

/**
 * @param {{key: string, title: string, label?: string, headerClass?: string}} column
 * @param {"ascending" | "descending" | undefined} sorted
 * @param {boolean} filtered
 * @param {import("../shared/store.js").Store} menu
 * @returns {(content: HTMLElement) => void} draws it
 */
export function columnHeader({ key, title, label = title, headerClass = "" }, sorted, filtered, menu) {
  return (content) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `column-head ${headerClass}${filtered ? " filtered" : ""}`;
    button.tabIndex = -1; // by Alt and the arrow down from any cell
    button.dataset.column = key;
    button.title = texts.columnMenu.open(title);
    button.setAttribute("aria-haspopup", "dialog");
    button.textContent = label;
    if (sorted) button.append(sign(ARROWS[sorted]));
    if (filtered) button.append(sign("▾"));
    button.addEventListener("click", () => menu.set({ key, anchor: button }));
    content.append(button);
  };
}

/** @param {string} text */
function sign(text) {
  const element = document.createElement("span");
  element.className = "column-sign";
  element.setAttribute("aria-hidden", "true");
  element.textContent = text;
  return element;
}
