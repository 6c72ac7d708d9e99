import { count } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Empty } from "../shared/parts.js";
import { texts } from "./strings.js";

const { room: text } = texts;
const MOST = 14;

/**
 * How values are distributed: a bar for each bucket.
 *
 * @param {{buckets: {upper: number|null, count: number}[], format: (value: number) => string,
 *          label: string}} properties
 */
export function Histogram({ buckets, format, label }) {
  if (buckets.length === 0) return html`<${Empty}>${text.histogramEmpty}<//>`;
  const shown = merged(buckets);
  const most = Math.max(...shown.map((bucket) => bucket.count));
  return html`
    <table class="histogram" aria-label=${label}>
      <tbody>
        ${shown.map((bucket) => html`
          <tr key=${bucket.upper}>
            <th scope="row">${bucket.upper === null ? text.above : text.upTo(format(bucket.upper))}</th>
            <td class="bar"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
              <rect class="meter-used" width=${bucket.count ? Math.max(1, (100 * bucket.count) / most) : 0} height="6" /></svg></td>
            <td class="number">${count(bucket.count)}</td>
          </tr>`)}
      </tbody>
    </table>`;
}

/** Neighbours together, so that there are few enough to be looked at. */
function merged(buckets) {
  const size = Math.ceil(buckets.length / MOST);
  const groups = [];
  for (let first = 0; first < buckets.length; first += size) {
    const group = buckets.slice(first, first + size);
    const sum = group.reduce((total, bucket) => total + bucket.count, 0);
    groups.push({ upper: group.at(-1).upper, count: sum });
  }
  return groups;
}
