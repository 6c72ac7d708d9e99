import { bytes, clock, count, decimal, duration, fullTime, latency, visible } from "../../shared/format.js";
import { html, useState } from "../../shared/html.js";
import { Empty, Facts, Section, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo } from "../../shared/router.js";
import { Table } from "../../shared/table.js";
import { Actions, roomActions } from "../actions.js";
import { pathOf, read } from "../api.js";
import { Pending } from "../failure.js";
import { Histogram } from "../histogram.js";
import { State } from "../states.js";
import { texts } from "../strings.js";
import { Connection, RoundTrip, User } from "../who.js";

const { room: text } = texts;

/** One room actor as a whole. */
export function Room({ name, node }) {
  const load = (signal) => read(pathOf("rooms", name), { node }, { signal });
  const { data, error, refresh } = usePolling(load, 2000);
  const gone = error?.status === 404;
  const room = error?.status ? null : data;
  return html`
    <div class="view-head">
      <a class="back" href=${hrefTo(["rooms"])}>${texts.pages.rooms}</a>
      <h1><${Text} value=${name} longest=${100} /></h1>
      ${room?.node && html`<span class="note">${texts.nodes.on(visible(room.node, 20))}</span>`}
      ${room && html`<${State} state=${room.state} />
        <${Actions} actions=${roomActions(name, room.state, room.node, refresh)} />`}
    </div>
    ${gone && html`<${Empty}>${text.notOpen}<//>`}
    ${!gone && room === null && html`<${Pending} error=${error} />`}
    ${room && html`<${Whole} room=${room} />`}`;
}

function Whole({ room }) {
  const { presence } = room;
  return html`
    ${room.lastError && room.state !== "running" && html`
      <p class="banner bad" role="status">${visible(room.lastError, 400)}
        ${room.restartIn !== null && html`<span>${text.restartIn(duration(room.restartIn))}</span>`}</p>`}
    ${room.storeDown && html`<p class="banner warn">${text.storeDown}</p>`}
    ${room.resolving && html`<p class="banner warn">${text.resolving}</p>`}
    <div class="panels">
      <${Section} title=${text.work}>
        <${Facts} rows=${[
          [text.phase, room.phase ? texts.phases[room.phase] ?? room.phase : text.idle],
          [text.inHand, count(room.inHand)],
          [text.mailbox, text.mailboxValue(count(room.mailboxDepth), count(room.mailboxSize))],
          [text.highWater, count(room.mailboxHighWater)],
          [text.sinceProgress, room.sinceProgress < 1 ? text.justNow : text.ago(duration(room.sinceProgress))],
          [text.rate, decimal(room.commandsPerSecond)],
          [text.batchMean, decimal(room.batchMean)],
          [text.batchLargest, count(room.batchLargest)],
        ]} />
      <//>
      <${Section} title=${text.state}>
        <${Facts} rows=${[
          [text.subscribers, count(room.subscriberCount)],
          [text.rows, count(room.rows)],
          [text.revision, count(room.revision)],
          [text.epoch, html`<${Text} value=${room.epoch} longest=${12} mono=${true} />`, visible(room.epoch)],
          [text.marks, count(room.editingMarks)],
          [text.age, duration(room.age)],
          [text.restarts, count(room.restarts)],
        ]} />
      <//>
      <${Section} title=${text.commands}>
        <${Facts} rows=${[
          [text.accepted, count(room.accepted)],
          [text.rejected, count(room.rejected)],
          [text.repeated, count(room.repeated)],
          [text.busy, count(room.refusedBusy)],
          [text.unknown, count(room.unknownOutcomes)],
          [text.stale, count(room.staleCommits)],
        ]} />
      <//>
      <${Section} title=${text.times}>
        <${Times} rows=${[[text.commit, room.commit], [text.handOut, room.handOut]]} />
      <//>
      <${Section} title=${text.commitTimes}>
        <${Histogram} buckets=${room.commitTimes} format=${latency} label=${text.commitTimes} />
      <//>
      <${Section} title=${text.batchSizes}>
        <${Histogram} buckets=${room.batchSizes} format=${count} label=${text.batchSizes} />
      <//>
    </div>
    ${room.batch && html`<${Batch} batch=${room.batch} />`}
    <${Crashes} crashes=${room.crashHistory} />
    <${Section} title=${text.subscriberList} wide=${true}
      note=${text.subscriberNote(count(room.subscribers.length), count(room.subscriberCount))}>
      <${Table} caption=${text.subscriberList} columns=${SUBSCRIBERS} rows=${room.subscribers.map((each) => ({ ...each, node: room.node }))}
        keyOf=${(each) => each.number} empty=${text.noSubscribers} />
    <//>
    <${Section} title=${text.presence} wide=${true} note=${presence && text.presenceNote(count(presence.total))}>
      <${Present} users=${presence?.users ?? []} />
    <//>
    <${Section} title=${text.lastChanges} wide=${true}>
      <${Table} caption=${text.lastChanges} columns=${CHANGES} rows=${room.lastChanges}
        keyOf=${(change) => change.revision} empty=${text.noChanges} />
    <//>`;
}

function Times({ rows }) {
  const figures = ["p50", "p95", "p99", "longest", "count"];
  return html`
    <table class="plain">
      <thead><tr><td></td>${rows.map(([name]) => html`<th key=${name} scope="col" class="number">${name}</th>`)}</tr></thead>
      <tbody>${figures.map((each) => html`
        <tr key=${each}><th scope="row">${text.figures[each]}</th>
          ${rows.map(([name, durations]) => html`<td key=${name} class="number">
            ${each === "count" ? count(durations.count) : durations.count ? latency(durations[each]) : texts.none}</td>`)}
        </tr>`)}</tbody>
    </table>`;
}

const CHANGES = [
  { key: "revision", head: true, cell: (each) => count(each.revision) },
  { key: "kind", cell: (each) => texts.kinds[each.kind] ?? each.kind },
  { key: "who", cell: (each) => (each.userId === null ? text.itself : html`<${User} id=${each.userId} name=${each.userName} />`) },
  { key: "registration", number: true, rank: 3, cell: (each) => (each.registrationId === null ? texts.none : each.registrationId) },
  { key: "at", number: true, cell: (each) => html`<time title=${fullTime(each.at)}>${clock(each.at)}</time>` },
].map((column) => ({ ...column, label: text.changeColumns[column.key] }));

const SUBSCRIBERS = [
  { key: "user", head: true, cell: (each) => html`<${SubscriberName} subscriber=${each} />` },
  { key: "connection", rank: 2, cell: ({ sink }) => html`<${Connection} protocol=${sink.protocol} transport=${sink.transport} />` },
  { key: "queuedBytes", number: true, cell: ({ sink }) => quietZero(sink.queuedBytes, bytes) },
  { key: "queued", number: true, rank: 2, cell: ({ sink }) => quietZero(sink.queued, count) },
  { key: "lag", number: true, cell: (each) => quietZero(each.lag, count) },
  { key: "behindFor", number: true, rank: 3, cell: ({ sink }) => quietZero(sink.behindFor, latency) },
  { key: "conflated", number: true, rank: 3, cell: ({ sink }) => quietZero(sink.conflated, count) },
  { key: "roundTrip", number: true, rank: 2, cell: ({ sink }) => html`<${RoundTrip} seconds=${sink.roundTrip} />` },
  { key: "connectedFor", number: true, rank: 3, cell: (each) => duration(each.connectedFor) },
].map((column) => ({ ...column, label: text.subscriberColumns[column.key] }));

function SubscriberName({ subscriber }) {
  const { sid, userId, userName, node } = subscriber;
  return html`<a class="name" href=${hrefTo(["sessions", sid], { node })}>
    <${User} id=${userId} name=${userName} /></a>`;
}

function quietZero(value, format) {
  return value ? format(value) : html`<span class="zero">0</span>`;
}

function Batch({ batch }) {
  return html`
    <${Section} title=${text.batch} wide=${true}
      note=${`${texts.phases[batch.phase] ?? batch.phase} · ${text.batchNote(count(batch.attempts), count(batch.marks))}`}>
      <ul class="lines">
        ${batch.commands.map((command) => html`
          <li key=${command.commandId}>
            <span>${texts.kinds[command.kind] ?? command.kind}</span>
            <${User} id=${command.userId} name=${command.userName} />
            <span class="note">${command.replied ? text.replied : text.notReplied}</span>
          </li>`)}
      </ul>
    <//>`;
}

function Present({ users }) {
  if (users.length === 0) return html`<${Empty}>${text.nobody}<//>`;
  return html`
    <ul class="people">
      ${users.map((user) => html`
        <li key=${user.userId}><${User} id=${user.userId} name=${user.userName} />
          ${user.connections > 1 && html`<span class="note">×${count(user.connections)}</span>`}
          ${user.editing?.length > 0 && html`<span class="mark-editing" title=${text.editing(user.editing.map((each) => `${each.id ?? each.registrationId ?? ""} ${each.field ?? ""}`).join(", "))}>✎</span>`}
        </li>`)}
    </ul>`;
}

function Crashes({ crashes }) {
  const [open, setOpen] = useState(null);
  if (crashes.length === 0) return null;
  return html`
    <${Section} title=${text.crashes} wide=${true} note=${count(crashes.length)}>
      <ul class="lines">
        ${crashes.map((crash) => html`
          <li key=${crash.at} class="crash">
            <details open=${open === crash.at} onToggle=${(event) => event.target.open && setOpen(crash.at)}>
              <summary><time title=${fullTime(crash.at)}>${clock(crash.at)}</time>
                ${crash.phase && html`<span class="note">${text.during(texts.phases[crash.phase] ?? crash.phase)}</span>`}
                <span class="error-text">${visible(crash.error, 300)}</span></summary>
              <pre>${tracebackText(crash.traceback)}</pre>
            </details>
          </li>`)}
      </ul>
    <//>`;
}

/** Its lines stay lines; all else that shows nothing is marked. */
function tracebackText(traceback) {
  return traceback.split("\n").slice(0, 400).map((line) => (line === "" ? "" : visible(line, 500))).join("\n");
}
