import { NOTHING, latency } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Text } from "../shared/parts.js";
import { hrefTo } from "../shared/router.js";

/** A user: the name, and the id in small. */
export function User({ id, name }) {
  if (id === null || id === undefined) return html`<span class="note">${NOTHING}</span>`;
  return html`<span class="user"><${Text} value=${name} longest=${40} /> <span class="id">${id}</span></span>`;
}

/** A link to a room. */
export function RoomLink({ slug, node, none = NOTHING }) {
  if (slug === null || slug === undefined) return html`<span class="note">${none}</span>`;
  return html`<a class="name" href=${hrefTo(["rooms", slug], { node })}><${Text} value=${slug} longest=${60} /></a>`;
}

const PROTOCOLS = { "socket.io": "Socket.IO", socketio: "Socket.IO", websocket: "WebSocket" };
const TRANSPORTS = { websocket: "ws", polling: "polling" };

/** How a client is connected. */
export function Connection({ protocol, transport }) {
  const shown = TRANSPORTS[transport] ?? transport ?? "";
  const name = PROTOCOLS[protocol] ?? protocol ?? NOTHING;
  return html`<span>${name}${protocol !== "websocket" && html` <span class="note">${shown}</span>`}</span>`;
}

/** A round trip, marked when it is long. */
export function RoundTrip({ seconds }) {
  return html`<span class=${seconds > 1 ? "warn" : ""}>${latency(seconds)}</span>`;
}
