/** What this window has measured of its connection. */
import { count, decimal, NOTHING } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Facts } from "../shared/parts.js";
import { texts } from "./strings.js";

const { figures: labels } = texts;
const QUANTILES = ["p50", "p95", "p99"];

export function Figures({ snapshot }) {
  const { metrics, revision } = snapshot;
  const { answers, screens, attempts, successes, reconnects, reconnectsPerHour } = metrics;
  return html`
    <h2 class="drawer-title">${labels.title}</h2>
    <table class="plain figures">
      <thead><tr>
        <th scope="col">${labels.unit}</th>
        ${QUANTILES.map((name) => html`<th scope="col" class="number" key=${name}>${labels[name]}</th>`)}
        <th scope="col" class="number">${labels.count}</th>
      </tr></thead>
      <tbody><${Line} name=${labels.answers} times=${answers} /><${Line} name=${labels.screens} times=${screens} /></tbody>
    </table>
    <${Facts} rows=${[
      [labels.attempts, count(attempts)],
      [labels.successes, count(successes)],
      [labels.reconnects, `${count(reconnects)} · ${labels.perHour(decimal(reconnectsPerHour))}`],
      [labels.revision, count(revision)],
    ]} />
    <p class="note">${labels.note}</p>`;
}

function Line({ name, times }) {
  return html`<tr><th scope="row">${name}</th>
    ${QUANTILES.map((each) => html`<td class="number" key=${each}>${times.count === 0 ? NOTHING : decimal(times[each])}</td>`)}
    <td class="number">${count(times.count)}</td></tr>`;
}
