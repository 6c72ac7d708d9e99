/** The server that this page comes from: where it is, and what it says of itself in the HTML. */

/** The URL below which everything is; behind a proxy it may have a path. */
export const root = new URL("../../../", import.meta.url);

/** @type {{cookieName: string, signInUrl: string | null, demoPeople: string[]}} */
export const options = JSON.parse(document.querySelector('meta[name="options"]')?.getAttribute("content") ?? "{}");

/** The slug in the page's address; null: it is the list of retreats. */
export function slugOfPage() {
  const path = location.pathname.slice(root.pathname.length);
  return path.startsWith("retreats/") ? decoded(path.slice("retreats/".length)) : null;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // it is no UTF-8: no retreat has this slug, and the server says so
  }
}

/** The address of a retreat's page; without a slug that of the list. */
export function addressOf(slug) {
  return new URL(slug === undefined ? "" : `retreats/${encodeURIComponent(slug)}`, root).href;
}
