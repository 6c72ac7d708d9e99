import { count, decimal, duration, latency } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Choice, Pages, SearchField, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo, replaceQuery } from "../../shared/router.js";
import { Table, useStableOrder } from "../../shared/table.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { STATES, State } from "../states.js";
import { texts } from "../strings.js";

const { rooms: text } = texts;
const PAGE = 50;

const COLUMNS = [
  { key: "slug", head: true, cell: (room) => html`<${Name} room=${room} />` },
  { key: "state", cell: (room) => html`<${State} state=${room.state} />` },
  { key: "subscriberCount", number: true, cell: (room) => count(room.subscriberCount) },
  { key: "commandsPerSecond", number: true, cell: (room) => decimal(room.commandsPerSecond) },
  { key: "mailboxDepth", number: true, rank: 2, cell: (room) => html`<${Mailbox} room=${room} />` },
  { key: "commit.p99", number: true, rank: 2, cell: (room) => timeOf(room.commit) },
  { key: "handOut.p99", number: true, rank: 3, cell: (room) => timeOf(room.handOut) },
  { key: "revision", number: true, rank: 3, cell: (room) => count(room.revision) },
  { key: "restarts", number: true, rank: 2, cell: (room) => (room.restarts ? count(room.restarts) : html`<span class="zero">0</span>`) },
  { key: "idleFor", number: true, rank: 3, cell: (room) => duration(room.idleFor) },
].map((column) => ({
  ...column,
  label: text.columns[column.key],
  title: text.titles[column.key],
  sortable: true,
}));

/** Where a room runs; shown where there are several servers. */
const NODE = { key: "node", label: texts.nodes.columns.node, cell: (room) => html`<${Text} value=${room.node} longest=${20} />` };

/** Several servers may have a room of the same retreat. */
const keyOf = (room) => `${room.slug} ${room.node ?? ""}`;

/** All room actors. */
export function Rooms({ query }) {
  const { state = "", search = "", sort = "slug", node = "" } = query;
  const offset = Number(query.offset) || 0;
  const asked = { state, search, sort, node, offset, limit: PAGE };
  const view = JSON.stringify(asked);
  const { data, error, loading } = usePolling((signal) => read("rooms", asked, { signal }), 2000, view);
  const order = useStableOrder(data?.rooms ?? [], keyOf, loading ? "loading" : view);
  const change = (changes) => replaceQuery({ offset: "", ...changes });
  const filtered = state !== "" || search !== "" || node !== "";
  const several = data?.rooms.some((room) => room.node !== null);
  return html`
    <div class="view-head">
      <h1>${texts.pages.rooms}</h1>
      <span class="note">${data && text.total(count(data.total))}</span>
      <div class="filters">
        <${NodeChip} node=${node} onRemove=${() => change({ node: "" })} />
        <${SearchField} label=${text.search} value=${search} onInput=${(value) => change({ search: value })} />
        <${Choice} label=${text.state} value=${state} onChange=${(value) => change({ state: value })}
          options=${[["", text.anyState], ...STATES.map((each) => [each, texts.states[each]])]} />
      </div>
    </div>
    ${data === null || error?.status ? html`<${Pending} error=${error} />` : html`
      <div class="panel wide flush">
        <${Settle} order=${order} />
        <${Table} caption=${texts.pages.rooms} columns=${several ? [...COLUMNS.slice(0, 2), NODE, ...COLUMNS.slice(2)] : COLUMNS} rows=${order.rows} keyOf=${keyOf}
          sort=${sort} onSort=${(value) => change({ sort: value })} dimmed=${loading}
          empty=${filtered ? text.noMatch : text.empty} />
        <${Pages} offset=${offset} limit=${PAGE} total=${data.total} texts=${texts.table.pages}
          onMove=${(value) => replaceQuery({ offset: value || "" })} />
      </div>`}`;
}

/** The server whose rooms or sessions are shown, if it is one of several. */
export function NodeChip({ node, onRemove }) {
  return node && html`<button type="button" class="chip" onClick=${onRemove} aria-label=${texts.nodes.any}>
    ${texts.nodes.columns.node}: <${Text} value=${node} longest=${20} /> ✕</button>`;
}

/** Offers the server's order, where that has become another one. */
export function Settle({ order }) {
  return html`<div class="settle" aria-live="polite">
    ${order.moved && html`<button type="button" class="quiet" onClick=${order.settle}>${texts.table.settle}</button>`}
  </div>`;
}

function Name({ room }) {
  return html`
    <a class="name" href=${hrefTo(["rooms", room.slug], { node: room.node })}><${Text} value=${room.slug} longest=${60} /></a>
    ${room.lastError && room.state !== "running" && html`
      <div class="error-line" title=${text.lastError}><${Text} value=${room.lastError} longest=${120} /></div>`}`;
}

function Mailbox({ room }) {
  const near = room.mailboxDepth > 0.8 * room.mailboxSize;
  return html`<span class=${near ? "warn" : ""}>${count(room.mailboxDepth)}</span>
    <span class="note"> / ${count(room.mailboxHighWater)}</span>`;
}

function timeOf(durations) {
  if (durations.count === 0) return html`<span class="zero">–</span>`;
  return html`<span class=${durations.p99 > 0.1 ? "warn" : ""}>${latency(durations.p99)}</span>`;
}
