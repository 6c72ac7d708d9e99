import { bytes, count, duration } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Pages, SearchField, Choice, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo, replaceQuery } from "../../shared/router.js";
import { Table, useStableOrder } from "../../shared/table.js";
import { isUnrestricted, read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";
import { Traces } from "../traces.js";
import { Connection, RoomLink, RoundTrip, User } from "../who.js";
import { NodeChip, Settle } from "./rooms.js";

const { sessions: text } = texts;
const PAGE = 50;

/** Longer than elsewhere: to find the first of ten thousand, the server looks at all of them. */
const INTERVAL = 5000;

const COLUMNS = [
  { key: "user", head: true, sortable: true, cell: (each) => html`<${Name} session=${each} />` },
  { key: "room", rank: 2, cell: (each) => html`<${RoomLink} slug=${each.room} node=${each.node} none=${text.noRoom} />` },
  { key: "connection", rank: 3, cell: (each) => html`<${Connection} protocol=${each.protocol} transport=${each.transport} />` },
  { key: "queuedBytes", number: true, sortable: true, cell: (each) => html`<${Queue} session=${each} />` },
  { key: "lag", number: true, sortable: true, cell: (each) => html`<${Lag} lag=${each.lag} />` },
  { key: "roundTrip", number: true, sortable: true, rank: 2, cell: (each) => html`<${RoundTrip} seconds=${each.roundTrip} />` },
  { key: "connectedFor", number: true, sortable: true, rank: 2, cell: (each) => duration(each.connectedFor) },
  { key: "address", rank: 3, cell: (each) => html`<${Text} value=${each.address} longest=${45} mono=${true} />` },
].map((column) => ({ ...column, label: text.columns[column.key], title: text.titles[column.key] }));

/** Shown where there are several servers. */
const NODE = { key: "node", label: texts.nodes.columns.node, rank: 2, cell: (each) => html`<${Text} value=${each.node} longest=${20} />` };

/** Who is connected. */
export function Sessions({ query, nodes, operator }) {
  const { search = "", room = "", protocol = "", sort = "-queuedBytes", node = "" } = query;
  const offset = Number(query.offset) || 0;
  const asked = { search, room, protocol, sort, node, offset, limit: PAGE };
  const view = JSON.stringify(asked);
  const { data, error, loading } = usePolling((signal) => read("sessions", asked, { signal }), INTERVAL, view);
  const order = useStableOrder(data?.sessions ?? [], (each) => each.sid, loading ? "loading" : view);
  const several = data?.sessions.some((each) => each.node !== null);
  const change = (changes) => replaceQuery({ offset: "", ...changes });
  return html`
    <div class="view-head">
      <h1>${texts.pages.sessions}</h1>
      <span class="note">${data && text.total(count(data.total))}</span>
      <div class="filters">
        <${NodeChip} node=${node} onRemove=${() => change({ node: "" })} />
        ${room && html`<button type="button" class="chip" onClick=${() => change({ room: "" })}
          aria-label=${text.anyRoom}>${text.room}: <${Text} value=${room} longest=${30} /> ✕</button>`}
        <${SearchField} label=${text.search} value=${search} onInput=${(value) => change({ search: value })} />
        <${Choice} label=${text.protocol} value=${protocol} onChange=${(value) => change({ protocol: value })}
          options=${[["", text.anyProtocol], ["socket.io", "Socket.IO"], ["websocket", "WebSocket"]]} />
      </div>
    </div>
    ${isUnrestricted(operator) && html`<${Traces} nodes=${node ? [node] : nodes} />`}
    ${data === null || error?.status ? html`<${Pending} error=${error} />` : html`
      ${data.missing?.length > 0 && html`<p class="banner warn" role="status">${texts.nodes.missing(data.missing.join(", "))}</p>`}
      <div class="panel wide flush">
        <${Settle} order=${order} />
        <${Table} caption=${texts.pages.sessions} columns=${several ? [...COLUMNS.slice(0, 2), NODE, ...COLUMNS.slice(2)] : COLUMNS} rows=${order.rows} keyOf=${(each) => each.sid}
          sort=${sort} onSort=${(value) => change({ sort: value })} dimmed=${loading} empty=${text.empty} />
        <${Pages} offset=${offset} limit=${PAGE} total=${data.total} texts=${texts.table.pages}
          onMove=${(value) => replaceQuery({ offset: value || "" })} />
      </div>`}`;
}

function Name({ session }) {
  return html`<a class="name" href=${hrefTo(["sessions", session.sid], { node: session.node })}>
    <${User} id=${session.userId} name=${session.userName} /></a>
    ${session.traced && html` <span class="badge warn"><span class="sign" aria-hidden="true">◎</span>${text.traced}</span>`}`;
}

function Queue({ session }) {
  if (!session.queuedBytes) return html`<span class="zero">0</span>`;
  return html`${bytes(session.queuedBytes)} <span class="note">${count(session.queued)}</span>`;
}

function Lag({ lag }) {
  if (lag === null) return texts.none;
  return html`<span class=${lag === 0 ? "zero" : lag > 100 ? "warn" : ""}>${count(lag)}</span>`;
}
