import { clock, count, duration, fullTime } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Badge, Choice, Pages, SearchField, Section, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { replaceQuery } from "../../shared/router.js";
import { Table } from "../../shared/table.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";
import { Connection, RoomLink, User } from "../who.js";

const { closed: text } = texts;
const PAGE = 50;

const COLUMNS = [
  { key: "closedAt", cell: (each) => html`<time title=${fullTime(each.closedAt)}>${clock(each.closedAt)}</time>` },
  { key: "what", cell: (each) => html`<${Kind} accepted=${each.accepted} />` },
  { key: "reason", cell: (each) => html`<${Reason} session=${each} />` },
  { key: "user", cell: (each) => html`<${User} id=${each.userId} name=${each.userName} />` },
  { key: "room", rank: 2, cell: (each) => html`<${RoomLink} slug=${each.room} node=${each.node} />` },
  { key: "connection", rank: 3, cell: (each) => html`<${Connection} protocol=${each.protocol} transport=${each.transport} />` },
  { key: "address", rank: 3, cell: (each) => html`<${Text} value=${each.address} longest=${45} mono=${true} />` },
  { key: "age", rank: 2, number: true, cell: (each) => duration(each.age) },
].map((column) => ({ ...column, label: text.columns[column.key] }));

/** Sessions that have ended, and clients that were refused. */
export function Closed({ query, node }) {
  const { search = "", reason = "", accepted = "", userId = "" } = query;
  const offset = Number(query.offset) || 0;
  const asked = { search, reason, accepted, userId, node, offset, limit: PAGE };
  const { data, error, loading } = usePolling((signal) => read("closed", asked, { signal }), 5000, JSON.stringify(asked));
  const change = (changes) => replaceQuery({ offset: "", ...changes });
  const reasons = Object.keys({ ...data?.counts?.closed, ...data?.counts?.refused }).sort();
  if (reason && !reasons.includes(reason)) reasons.push(reason);
  return html`
    <div class="view-head">
      <h1>${texts.pages.closed}</h1>
      <span class="note">${data && texts.sessions.total(count(data.total))}</span>
      <div class="filters">
        <${SearchField} label=${text.search} value=${search} onInput=${(value) => change({ search: value })} />
        <${Choice} label=${text.accepted} value=${accepted} onChange=${(value) => change({ accepted: value })}
          options=${[["", text.both], ["true", text.ended], ["false", text.refused]]} />
        ${(reasons.length > 0) && html`
          <${Choice} label=${text.reason} value=${reason} onChange=${(value) => change({ reason: value })}
            options=${[["", text.anyReason], ...reasons.map((each) => [each, each])]} />`}
      </div>
    </div>
    ${data === null || error?.status ? html`<${Pending} error=${error} />` : html`
      ${data.counts && html`<${Counts} counts=${data.counts} />`}
      <div class="panel wide flush">
        <${Table} caption=${texts.pages.closed} columns=${COLUMNS} rows=${data.closed.map((each) => ({ ...each, node }))} keyOf=${keyOf}
          dimmed=${loading} empty=${text.empty} />
        <${Pages} offset=${offset} limit=${PAGE} total=${data.total} texts=${texts.table.pages}
          onMove=${(value) => replaceQuery({ offset: value || "" })} />
      </div>`}`;
}

function keyOf({ closedAt, sid, address, reason }) {
  return `${closedAt} ${sid} ${address} ${reason}`;
}

function Kind({ accepted }) {
  return accepted
    ? html`<${Badge} sign="○" level="compact">${text.ended}<//>`
    : html`<${Badge} sign="⊘" level="warn compact">${text.refused}<//>`;
}

function Reason({ session }) {
  return html`<${Text} value=${session.reason} longest=${80} />
    ${session.detail && html`<div class="note"><${Text} value=${session.detail} longest=${120} /></div>`}`;
}

function Counts({ counts }) {
  const rows = [...Object.entries(counts.closed), ...Object.entries(counts.refused)].sort(
    (left, right) => right[1] - left[1],
  );
  if (rows.length === 0) return null;
  return html`
    <${Section} title=${text.counts} note=${text.countsNote} wide=${true}>
      <ul class="tallies">
        ${rows.slice(0, 12).map(([name, number]) => html`
          <li key=${name}><strong>${count(number)}</strong> <${Text} value=${name} longest=${60} /></li>`)}
      </ul>
    <//>`;
}
