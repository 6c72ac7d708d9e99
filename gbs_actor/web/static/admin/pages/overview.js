import { bytes, count, decimal, duration, latency, percent, visible } from "../../shared/format.js";
import { html, useRef } from "../../shared/html.js";
import { Chart } from "../../shared/chart.js";
import { Section } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo } from "../../shared/router.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { Limits, limitName } from "../limits.js";
import { StateCounts } from "../states.js";
import { texts } from "../strings.js";

const { overview: text } = texts;

const LEAST_POINTS = 60;
const NEAR = 0.8;
const LATE = 0.1;

/** One server at a glance. */
export function Overview({ node }) {
  const now = usePolling((signal) => read("overview", { node }, { signal }), 2000);
  const history = usePolling((signal) => read("history", { node }, { signal }), 10_000);
  const rate = useRate(now.data);
  if (now.data === null) return html`<${Pending} error=${now.error} />`;
  const { version, uptime } = now.data;
  return html`
    <div class="view-head">
      <h1>${texts.pages.overview}</h1>
      <span class="note">${text.version(version, duration(uptime))}</span>
    </div>
    <${Notices} data=${now.data} node=${node} />
    <${Tiles} data=${now.data} node=${node} rate=${rate ?? history.data?.series.editsPerSecond.at(-1)} />
    ${history.data && html`<${Charts} history=${history.data} />`}
    <${Section} title=${text.limits} wide=${true}><${Limits} limits=${now.data.limits} /><//>`;
}

/** Accepted commands per second since the last look; null before the second one. */
function useRate(data) {
  const last = useRef({ accepted: null, uptime: null, rate: null });
  if (data === null || data.uptime === last.current.uptime) return last.current.rate;
  const { accepted, uptime } = last.current;
  const elapsed = data.uptime - uptime;
  const usable = accepted !== null && elapsed > 0;
  last.current = {
    accepted: data.rooms.accepted,
    uptime: data.uptime,
    rate: usable ? (data.rooms.accepted - accepted) / elapsed : null,
  };
  return last.current.rate;
}

function Notices({ data, node }) {
  const notices = noticesOf(data, node);
  if (notices.length === 0) {
    return html`<p class="fine"><span class="sign" aria-hidden="true">✓</span>${text.fine}</p>`;
  }
  return html`
    <ul class="notices" aria-label=${text.notices}>
      ${notices.map(({ level, message, href }) => html`
        <li key=${message} class=${level}><span class="sign" aria-hidden="true">${level === "bad" ? "✕" : "▲"}</span>
          ${href ? html`<a href=${href}>${message}</a>` : message}</li>`)}
    </ul>`;
}

function noticesOf({ storeFailure, draining, rooms, loopLag, store, limits }, node) {
  const { notice } = text;
  const found = [];
  if (storeFailure) found.push({ level: "bad", message: `${notice.store}: ${visible(storeFailure, 200)}` });
  if (draining) found.push({ level: "warn", message: notice.draining });
  for (const [state, level] of [["failed", "bad"], ["backoff", "warn"]]) {
    const number = rooms.states[state];
    if (number) found.push({ level, message: notice[state](count(number)), href: hrefTo(["rooms"], { state, node }) });
  }
  if (loopLag.p99 > LATE) found.push({ level: "warn", message: notice.lag(latency(loopLag.p99)) });
  if (store.waiting > 0) found.push({ level: "warn", message: notice.waiting(count(store.waiting)) });
  for (const { name, used, limit } of limits) {
    // That the pool is used up is no news: who waits for it is.
    if (name === "pool_size" || used < NEAR * limit) continue;
    const level = used < 0.95 * limit ? "warn" : "bad";
    found.push({ level, message: notice.limit(limitName(name), percent(used / limit)) });
  }
  return found;
}

function Tiles({ data, node, rate }) {
  const { rooms, ack, loopLag, store, commit, process } = data;
  const quiet = ack.count === 0;
  return html`
    <div class="tiles">
      <${Tile} label=${text.edits} value=${decimal(rate)} detail=${text.editsTotal(count(rooms.accepted))} />
      <${Tile} label=${text.ack} value=${quiet ? texts.none : latency(ack.p99)}
        detail=${quiet ? text.noEdits : text.ackDetail(latency(ack.p50), latency(ack.p95))}
        level=${ack.p99 > LATE ? "warn" : ""} />
      <${Tile} label=${text.connections} value=${count(data.connections)} href=${hrefTo(["sessions"], { node })}
        detail=${text.inRooms(count(rooms.subscribers))} />
      <${Tile} label=${text.rooms} value=${count(rooms.open)} href=${hrefTo(["rooms"], { node })}
        detail=${html`<${StateCounts} states=${rooms.states} />`} level=${rooms.states.failed ? "bad" : ""} />
      <${Tile} label=${text.lag} value=${latency(loopLag.p99)} level=${loopLag.p99 > LATE ? "warn" : ""}
        detail=${text.lagDetail(latency(loopLag.p50), latency(loopLag.longest))} />
      <${Tile} label=${text.database} value=${store.available ? text.databaseUp : text.databaseDown}
        level=${store.available ? "" : "bad"}
        detail=${text.databaseDetail(count(store.busyConnections), count(store.openConnections), count(store.waiting))} />
      <${Tile} label=${text.commit} value=${commit.count ? latency(commit.p99) : texts.none}
        detail=${commit.count ? text.ackDetail(latency(commit.p50), latency(commit.p95)) : text.noEdits} />
      <${Tile} label=${text.memory} value=${bytes(process.memoryBytes ?? process.peakMemoryBytes)}
        detail=${text.cpuDetail(duration(process.cpuSeconds))} />
    </div>`;
}

function Tile({ label, value, detail, level = "", href }) {
  return html`
    <div class=${`tile ${level}`}>
      <div class="tile-label">${href ? html`<a href=${href}>${label}</a>` : label}</div>
      <div class="tile-value">${value}</div>
      <div class="tile-detail">${Array.isArray(detail) ? detail.map((each) => html`<span key=${each}>${each}</span>`) : detail}</div>
    </div>`;
}

function Charts({ history }) {
  const { interval, until, series } = history;
  // The axis of a server that has just started shows some minutes, too.
  const missing = Array(Math.max(0, LEAST_POINTS - series.connections.length)).fill(null);
  const number = missing.length + series.connections.length;
  const times = Array.from({ length: number }, (_, index) => until - (number - 1 - index) * interval);
  const { charts } = text;
  const one = (label, values, color = "--line-1", more = {}) => ({
    label,
    values: [...missing, ...values],
    color,
    ...more,
  });
  return html`
    <section class="charts" aria-label=${text.hour}>
      <${Chart} title=${charts.edits} times=${times} format=${decimal}
        series=${[one(charts.edits, series.editsPerSecond)]} />
      <${Chart} title=${charts.ack} times=${times} format=${latency} least=${0.005}
        series=${[
          one("p99", series.ackP99, "--line-2"),
          one("p95", series.ackP95, "--line-3", { dash: [5, 3] }),
          one("p50", series.ackP50, "--line-1", { dash: [2, 2] }),
        ]} />
      <${Chart} title=${charts.connections} times=${times} format=${count} least=${10}
        series=${[one(charts.connections, series.connections)]} />
      <${Chart} title=${charts.lag} times=${times} format=${latency} least=${0.005}
        series=${[
          one(charts.lagLine, series.loopLagP99, "--line-1"),
          one(charts.commitLine, series.commitP99, "--line-2", { dash: [5, 3] }),
        ]} />
      <${Chart} title=${charts.database} times=${times} format=${count} least=${4}
        series=${[
          one(charts.busy, series.databaseBusy, "--line-1"),
          one(charts.waiting, series.databaseWaiting, "--line-2", { dash: [5, 3] }),
        ]} />
      <${Chart} title=${charts.restarts} times=${times} format=${count} least=${4}
        series=${[one(charts.restarts, series.restarts, "--line-2", { bars: true })]} />
    </section>`;
}
