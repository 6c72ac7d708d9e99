import { Store, useStore } from "./store.js";

/** Where the page is: `#/rooms/2024-winter?sort=slug` is path ["rooms", "2024-winter"]. */
const route = new Store(parse(location.hash));

window.addEventListener("hashchange", () => route.set(parse(location.hash)));

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view, for links. */
export function hrefTo(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const search = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
  return `#/${path.map(encodeURIComponent).join("/")}${search}`;
}

/** @returns {{path: string[], query: Record<string, string>}} */
export function useRoute() {
  return useStore(route);
}

/** Change the query of the view, without an entry in the browser's history. */
export function replaceQuery(changes) {
  const { path, query } = route.value;
  history.replaceState(null, "", hrefTo(path, { ...query, ...changes }));
  route.set(parse(location.hash));
}
