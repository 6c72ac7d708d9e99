/** The connection of this window to the line-up of a retreat. */
import { io } from "socket.io-client";
import { createLineup } from "../client/index.js";
import { watchPage } from "../client/visibility.js";
import { token } from "./session.js";
import { root } from "./server.js";

/**
 * @param {string} slug
 * @param {{userId: number}} user
 * @returns {{client: import("../../client/types.js").LineupClient, close: () => void}}
 */
export function connectTo(slug, user) {
  const client = createLineup({
    slug,
    user,
    io,
    url: root.origin,
    path: `${root.pathname}socket.io/`,
    storage: storage(),
    ...(token() !== null && { token }),
  });
  const reportTo = new URL("api/v1/client-metrics", root).pathname;
  const unwatch = watchPage(client, { window, document, reportTo });
  return {
    client,
    close() {
      unwatch();
      client.close();
    },
  };
}

function storage() {
  try {
    return sessionStorage;
  } catch {
    return null; // it is forbidden
  }
}
