import { clock, count, fullTime, visible } from "../../shared/format.js";
import { html, useRef, useState } from "../../shared/html.js";
import { Badge, Choice, Empty, SearchField, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo, replaceQuery } from "../../shared/router.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";

const { events: text } = texts;
const KEPT = 500;
const PAGE = 200;

const SIGNS = { info: ["·", ""], warning: ["▲", "warn"], error: ["✕", "bad"] };

/** What happens, the newest first. */
export function Events({ query, node }) {
  const { kind = "", room = "" } = query;
  const [paused, setPaused] = useState(false);
  return html`
    <div class="view-head">
      <h1>${texts.pages.events}</h1>
      <div class="filters">
        <${SearchField} label=${text.room} value=${room} onInput=${(value) => replaceQuery({ room: value })} />
        <${Choice} label=${text.kind} value=${kind} onChange=${(value) => replaceQuery({ kind: value })}
          options=${[["", text.anyKind], ...Object.entries(text.kinds)]} />
        <button type="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
          <span aria-hidden="true">${paused ? "▶" : "❚❚"}</span> ${paused ? text.resume : text.pause}</button>
      </div>
    </div>
    <${List} key=${`${kind}\n${room}`} kind=${kind} room=${room} node=${node} paused=${paused} />`;
}

function List({ kind, room, node, paused }) {
  const place = useRef({ run: null, last: null });
  const entries = useRef([]);
  const load = async (signal) => {
    const asked = { kind, room, node, limit: PAGE, after: place.current.last ?? undefined };
    let page = await read("events", asked, { signal });
    if (place.current.run !== null && page.run !== place.current.run) {
      // The numbers have begun anew with another process.
      page = await read("events", { ...asked, after: undefined }, { signal });
      entries.current = [{ restarted: page.run }, ...entries.current];
    } else if (page.missed > 0) {
      entries.current = [{ missed: page.missed, before: page.last }, ...entries.current];
    }
    place.current = { run: page.run, last: page.last };
    const run = page.run;
    const added = page.events.map((event) => ({ run, event })).reverse();
    entries.current = [...added, ...entries.current].slice(0, KEPT);
    return entries.current;
  };
  const { data, error } = usePolling(load, 2000, "", paused);
  if (data === null || error?.status) return html`<${Pending} error=${error} />`;
  return html`
    <div class="panel wide flush">
      ${paused && html`<p class="banner">${text.paused}</p>`}
      ${data.length === 0 ? html`<${Empty}>${text.empty}<//>` : html`
        <ol class="events" aria-label=${text.list}>
          ${data.map((entry) => html`<${Entry} key=${keyOf(entry)} entry=${entry} node=${node} />`)}
        </ol>`}
    </div>`;
}

function keyOf({ run, event, restarted, missed, before }) {
  if (event) return `${run}-${event.number}`;
  return restarted ? `run ${restarted}` : `missed ${missed} ${before}`;
}

function Entry({ entry: { event, restarted, missed }, node }) {
  if (restarted) return html`<li class="gap">${text.restarted}</li>`;
  if (missed) return html`<li class="gap">${text.missed(count(missed))}</li>`;
  const [sign, level] = SIGNS[event.severity] ?? SIGNS.info;
  const details = Object.entries(event.details ?? {}).filter(([, value]) => value !== null && value !== "");
  return html`
    <li class=${`event ${level}`}>
      <time title=${fullTime(event.at)}>${clock(event.at)}</time>
      <${Badge} sign=${sign} level=${level}>
        <span class="unseen">${text.severities[event.severity]} </span><span class="mono">${visible(event.kind, 40)}</span>
      <//>
      <span class="event-text"><${Text} value=${event.text} longest=${400} />
        ${details.length > 0 && html`<span class="details mono">${details.map(([name, value]) => html`
          <span key=${name}>${visible(name, 30)}=${visible(detailOf(value), 200)}</span>`)}</span>`}
      </span>
      <span class="event-links">
        ${event.room && html`<a href=${hrefTo(["rooms", event.room], { node })}><${Text} value=${event.room} longest=${30} /></a>`}
        ${event.sid && html`<a href=${hrefTo(["sessions", event.sid], { node })} class="mono">${visible(event.sid, 10)}</a>`}
        ${event.userId !== null && html`<span class="id">${event.userId}</span>`}
      </span>
    </li>`;
}

/** A detail as a text: a trace has fields of its own, and times with many digits. */
function detailOf(value) {
  if (typeof value === "object") return JSON.stringify(value);
  return Number.isFinite(value) && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value;
}
