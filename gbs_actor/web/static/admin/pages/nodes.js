import { bytes, clock, count, decimal, duration, fullTime, latency } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Badge, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo } from "../../shared/router.js";
import { Table } from "../../shared/table.js";
import { Actions, drainAction } from "../actions.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";

const { nodes: text } = texts;

/** The sign and the level of each state of a server. */
const LOOKS = {
  ready: ["●", "good"],
  draining: ["▽", "warn"],
  "not ready": ["✕", "bad"],
  gone: ["■", "bad"],
};

const COLUMNS = [
  { key: "node", head: true, cell: (each) => html`<${Name} node=${each} />` },
  { key: "state", cell: (each) => html`<${State} state=${each.state} />` },
  { key: "rooms", number: true, cell: (each) => html`<${Link} node=${each} page="rooms" figure=${each.status?.rooms} />` },
  { key: "connections", number: true, cell: (each) => html`<${Link} node=${each} page="sessions" figure=${each.status?.connections} />` },
  { key: "editsPerSecond", number: true, cell: ({ status }) => decimal(status?.editsPerSecond) },
  { key: "loopLag", number: true, rank: 2, cell: ({ status }) => latency(status?.loopLag) },
  { key: "behind", number: true, rank: 2, cell: ({ status }) => html`<${Behind} seconds=${status?.behind} />` },
  { key: "bus", rank: 3, cell: ({ status }) => html`<${Bus} connected=${status?.busConnected} />` },
  { key: "memory", number: true, rank: 3, cell: ({ status }) => bytes(status?.memoryBytes) },
  { key: "startedAt", number: true, rank: 3, cell: ({ status }) => status && html`<time title=${fullTime(status.startedAt)}>${clock(status.startedAt)}</time>` },
  { key: "reported", number: true, cell: (each) => (each.here ? text.now : duration(each.reported)) },
  { key: "act", cell: (each) => each.node !== null && each.state !== "gone" && html`<${Actions} actions=${[drainAction(each.node)]} />` },
].map((column) => ({ ...column, label: text.columns[column.key], title: text.titles[column.key] }));

/** All servers on the database. */
export function Nodes() {
  const { data, error } = usePolling((signal) => read("nodes", {}, { signal }), 2000);
  const alone = data?.nodes.length === 1 && data.nodes[0].node === null;
  return html`
    <div class="view-head">
      <h1>${texts.pages.nodes}</h1>
      <span class="note">${data && text.total(count(data.nodes.length))}</span>
    </div>
    ${data === null || error?.status ? html`<${Pending} error=${error} />` : html`
      ${alone && html`<p class="note">${text.alone}</p>`}
      <div class="panel wide flush">
        <${Table} caption=${texts.pages.nodes} columns=${COLUMNS} rows=${data.nodes}
          keyOf=${(each) => each.node ?? ""} empty=${texts.none} />
      </div>`}`;
}

function Name({ node }) {
  const { status } = node;
  return html`${node.node === null || node.state === "gone"
      ? html`<strong><${Text} value=${node.node ?? text.noName} longest=${20} /></strong>`
      : html`<a class="name" href=${hrefTo(["overview"], { node: node.node })}><${Text} value=${node.node} longest=${20} /></a>`}
    ${status === null
      ? html`<div class="error-line">${text.unreadable}</div>`
      : html`<div class="note"><${Text} value=${`${status.address ?? status.host} · ${status.version}`} longest=${60} /></div>`}
    ${status?.storeFailure && html`<div class="error-line"><${Text} value=${status.storeFailure} longest=${120} /></div>`}`;
}

function State({ state }) {
  const [sign, level] = LOOKS[state] ?? ["?", ""];
  return html`<${Badge} sign=${sign} level=${level}>${text.states[state] ?? state}<//>`;
}

function Link({ node, page, figure }) {
  if (figure === undefined || node.state === "gone") return count(figure);
  return html`<a href=${hrefTo([page], { node: node.node })}>${count(figure)}</a>`;
}

function Behind({ seconds }) {
  return html`<span class=${seconds > 2 ? "warn" : ""}>${latency(seconds)}</span>`;
}

function Bus({ connected }) {
  if (connected === null || connected === undefined) return html`<span class="note">${texts.none}</span>`;
  return connected ? text.connected : html`<span class="warn">${text.disconnected}</span>`;
}
