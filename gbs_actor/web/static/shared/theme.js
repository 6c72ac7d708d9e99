import { Store } from "./store.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark": the user's choice, or else the system's. */
export const theme = new Store(current());

dark.addEventListener("change", () => theme.set(current()));

function current() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

/** Switch to the other theme, and keep that; the system's own choice is not kept. */
export function switchTheme() {
  const chosen = current() === "dark" ? "light" : "dark";
  const system = dark.matches ? "dark" : "light";
  if (chosen === system) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    if (chosen === system) localStorage.removeItem("theme");
    else localStorage.setItem("theme", chosen);
  } catch {
    // Storage may be forbidden; then it lasts as long as the page.
  }
  theme.set(chosen);
}
