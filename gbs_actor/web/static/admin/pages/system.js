import { bytes, clock, count, duration, fullTime, latency, percent, visible } from "../../shared/format.js";
import { html, useState } from "../../shared/html.js";
import { Choice, Facts, SearchField, Section, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { Table } from "../../shared/table.js";
import { Actions, serverActions } from "../actions.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { Limits } from "../limits.js";
import { texts } from "../strings.js";
import { placeOf, withoutPackage } from "../tasks.js";

const { system: text } = texts;

/** One server in all its figures, and its settings. */
export function System({ node }) {
  const { data, error } = usePolling((signal) => read("system", { node }, { signal }), 10_000);
  const levels = usePolling((signal) => read("log-levels", { node }, { signal }), 30_000);
  const [profile, setProfile] = useState(null);
  if (data === null) return html`<${Pending} error=${error} />`;
  return html`
    <div class="view-head">
      <h1>${texts.pages.system}</h1>
      <span class="note">${text.version} ${visible(data.version)}</span>
      <${Actions} actions=${serverActions(node, (answer) => setProfile(answer.profile), levels.refresh)} />
    </div>
    ${profile && html`<${Profile} profile=${profile} onClose=${() => setProfile(null)} />`}
    <${Levels} data=${levels.data} />
    <div class="panels">
      <${Process} data=${data} />
      <${StoreFacts} store=${data.store} />
      <${Section} title=${text.limits}><${Limits} limits=${data.limits} /><//>
      <${Traffic} sockets=${data.sockets} plain=${data.plain} />
      <${Section} title=${text.clients}>
        <${Facts} rows=${[...figures(data.clients, text.clientRows), ...figures(data.events, text.eventRows)]} />
      <//>
      <${Section} title=${text.tasks}>
        <ul class="tallies column">
          ${Object.entries(data.tasks).slice(0, 12).map(([kind, number]) => html`
            <li key=${kind}><strong>${count(number)}</strong> <span class="mono">${shortName(kind)}</span></li>`)}
        </ul>
      <//>
    </div>
    <${SettingsTable} settings=${data.settings} />`;
}

function shortName(name) {
  return html`<${Text} value=${withoutPackage(name)} longest=${70} />`;
}

function figures(values, names) {
  return Object.entries(names).map(([key, label]) => [label, count(values[key])]);
}

function Process({ data }) {
  const { process, loopLag } = data;
  return html`
    <${Section} title=${text.process}>
      <${Facts} rows=${[
        [text.startedAt, html`<time title=${fullTime(data.startedAt)}>${clock(data.startedAt)}</time>`],
        [text.uptime, duration(data.uptime)],
        [text.pid, process.pid],
        [text.cpu, duration(process.cpuSeconds)],
        [text.memory, bytes(process.memoryBytes)],
        [text.peak, bytes(process.peakMemoryBytes)],
        [text.threads, count(process.threads)],
        [text.lag, `p50 ${latency(loopLag.p50)} · p99 ${latency(loopLag.p99)}`],
      ]} />
    <//>`;
}

function StoreFacts({ store }) {
  return html`
    <${Section} title=${text.store}>
      <${Facts} rows=${[
        [text.kind, visible(store.kind)],
        [text.available, store.available ? texts.overview.databaseUp : html`<strong class="bad">${texts.overview.databaseDown}</strong>`],
        [text.lease, store.leaseHeld ? text.held : html`<strong class="bad">${text.notHeld}</strong>`],
        [text.pool, `${count(store.busyConnections)} / ${count(store.idleConnections)} / ${count(store.openConnections)}`],
        [text.waiting, count(store.waiting)],
        [text.commits, count(store.commits)],
        [text.failures, count(store.commitFailures)],
        [text.unknown, count(store.unknownOutcomes)],
        [text.terminated, count(store.terminatedConnections)],
      ]} />
    <//>`;
}

function Traffic({ sockets, plain }) {
  return html`
    <${Section} title=${text.traffic}>
      <table class="plain">
        <thead><tr><td></td><th scope="col" class="number">${text.socketio}</th><th scope="col" class="number">${text.websocket}</th></tr></thead>
        <tbody>
          ${Object.entries(text.trafficRows).map(([key, label]) => {
            const amount = key.endsWith("Bytes") ? bytes : count;
            return html`<tr key=${key}><th scope="row">${label}</th>
              <td class="number">${amount(sockets[key])}</td><td class="number">${amount(plain[key])}</td></tr>`;
          })}
        </tbody>
      </table>
    <//>`;
}

const SETTINGS = [
  { key: "name", head: true, cell: (each) => html`<span class="mono">${each.group}.${each.name}</span>` },
  { key: "value", cell: (each) => html`<${Text} value=${each.value} longest=${160} mono=${true} />` },
  { key: "source", rank: 2, cell: (each) => html`<span class=${each.source === "default" ? "zero" : ""} title=${each.variable}>${each.source}</span>` },
].map((column) => ({ ...column, label: text.settingColumns[column.key] }));

function SettingsTable({ settings }) {
  const [search, setSearch] = useState("");
  const [range, setRange] = useState("changed");
  const wanted = search.toLowerCase();
  const matches = (each) =>
    wanted === ""
      ? range === "all" || each.source !== "default"
      : `${each.group}.${each.name} ${each.variable}`.toLowerCase().includes(wanted);
  const shown = settings.filter(matches);
  return html`
    <${Section} title=${text.settings} wide=${true}
      actions=${html`
        <${SearchField} label=${text.settingsSearch} value=${search} onInput=${setSearch} />
        <${Choice} label=${text.settingsShown} value=${range} onChange=${setRange}
          options=${[["changed", text.changedSettings], ["all", text.allSettings]]} />`}>
      <${Table} caption=${text.settings} columns=${SETTINGS} rows=${shown}
        keyOf=${(each) => `${each.group}.${each.name}`} empty=${text.settingsEmpty} />
    <//>`;
}

/** Loggers whose level an operator has changed for some time. */
function Levels({ data }) {
  const levels = data?.temporary ?? [];
  if (levels.length === 0) return null;
  return html`
    <${Section} title=${text.levels} wide=${true}>
      <ul class="lines">
        ${levels.map((each) => html`
          <li key=${each.logger}><span class="mono">${visible(each.logger)}</span> <strong>${visible(each.level)}</strong>
            <span class="note">${texts.sessions.left(duration(each.until - Date.now() / 1000))}</span></li>`)}
      </ul>
    <//>`;
}

const STEPS = [
  { key: "task", head: true, cell: (step) => html`<span class="mono">${shortName(step.task)}</span>` },
  { key: "seconds", number: true, cell: (step) => latency(step.seconds) },
  { key: "beganAt", rank: 2, cell: (step) => html`<span class="mono">${shortName(placeOf(step.beganAt))}</span>` },
  { key: "endedAt", rank: 3, cell: (step) => html`<span class="mono">${shortName(placeOf(step.endedAt))}</span>` },
].map((column) => ({ ...column, label: text.stepColumns[column.key] }));

const KINDS = [
  { key: "kind", head: true, cell: (kind) => html`<span class="mono">${shortName(kind.kind)}</span>` },
  { key: "seconds", number: true, cell: (kind) => latency(kind.seconds) },
  { key: "steps", number: true, cell: (kind) => count(kind.steps) },
].map((column) => ({ ...column, label: text.kindColumns[column.key] }));

/** What the event loop did for some seconds. */
function Profile({ profile, onClose }) {
  const note = text.profileNote(duration(profile.seconds), percent(profile.busy), count(profile.stepsPerSecond));
  return html`
    <${Section} title=${text.profileResult} wide=${true} note=${note}
      actions=${html`<button type="button" class="quiet" onClick=${onClose}>${texts.close}</button>`}>
      <h3>${text.slowest}</h3>
      <${Table} caption=${text.slowest} columns=${STEPS} rows=${numbered(profile.slowest)}
        keyOf=${(step) => step.number} empty=${texts.none} />
      <h3>${text.byKind}</h3>
      <${Table} caption=${text.byKind} columns=${KINDS} rows=${profile.kinds} keyOf=${(kind) => kind.kind} empty=${texts.none} />
    <//>`;
}

function numbered(rows) {
  return rows.map((row, number) => ({ ...row, number }));
}
