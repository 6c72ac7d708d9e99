/** The columns that are hidden, remembered in this browser. */
import { Store } from "../shared/store.js";

const KEY = "gbs-hidden-columns";

/** @returns {Store<ReadonlySet<string>>} keys */
export function hiddenColumns() {
  const hidden = new Store(load());
  hidden.subscribe((keys) => {
    try {
      localStorage.setItem(KEY, JSON.stringify([...keys]));
    } catch {
      // Storage is forbidden or full; then it lasts as long as the page.
    }
  });
  return hidden;
}

/** @returns {ReadonlySet<string>} */
function load() {
  try {
    const keys = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return new Set(Array.isArray(keys) ? keys.filter((key) => typeof key === "string" && key !== "name") : []);
  } catch {
    return new Set();
  }
}
