import uPlot from "uplot";
import { html, useEffect, useRef, useState } from "./html.js";
import { clock } from "./format.js";
import { useStore } from "./store.js";
import { theme } from "./theme.js";

const HEIGHT = 132;

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(number|null)[]} values one for each time
 * @property {string} color the name of a custom property, such as "--line-1"
 * @property {number[]} [dash] so that lines differ in more than their colours
 * @property {boolean} [bars]
 */

/**
 * A chart over time. All charts of a page show the moment under the pointer of one of them.
 *
 * @param {{title: string, times: number[], series: Series[], format: (value: number) => string,
 *          least?: number}} properties
 *   times: Unix time in seconds; least: the highest value that the axis shows at least
 */
export function Chart({ title, times, series, format, least = 1 }) {
  const frame = useRef(null);
  const plot = useRef(null);
  const [at, setAt] = useState(null);
  const colors = useStore(theme);
  const shape = series.map((each) => each.label).join("\n");

  useEffect(() => {
    const element = frame.current;
    const made = new uPlot(
      optionsOf(series, format, least, element, setAt),
      [times, ...series.map(pointsOf)],
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [shape, colors]);

  useEffect(() => {
    plot.current?.setData([times, ...series.map(pointsOf)]);
  }, [times]);

  const shown = at ?? lastIndex(times);
  return html`
    <figure class="chart">
      <figcaption>
        <span class="chart-title">${title}</span>
        <span class="chart-time">${at === null || times.length === 0 ? "" : clock(times[shown])}</span>
        <span class="legend">
          ${series.map((each) => html`
            <span class="legend-entry" key=${each.label}>
              <svg class="legend-line" viewBox="0 0 16 4" aria-hidden="true">
                <line x1="0" y1="2" x2="16" y2="2" stroke-width="2"
                  stroke-dasharray=${each.dash?.join(" ") ?? ""}
                  class=${`stroke${each.color}`} />
              </svg>
              ${series.length > 1 && html`<span class="legend-label">${each.label}</span>`}
              <span class="legend-value">${format(each.values[shown] ?? null)}</span>
            </span>`)}
        </span>
      </figcaption>
      <div class="chart-frame" ref=${frame} role="img" aria-label=${describe(title, series, format)}></div>
    </figure>`;
}

/** A bar of no height would be drawn as a line. */
function pointsOf({ values, bars }) {
  return bars ? values.map((value) => value || null) : values;
}

function lastIndex(times) {
  return Math.max(0, times.length - 1);
}

function describe(title, series, format) {
  const last = series.map((each) => `${each.label} ${format(each.values.at(-1) ?? null)}`);
  return `${title}: ${last.join(", ")}`;
}

function optionsOf(series, format, least, frame, setAt) {
  const color = colorsOf(frame);
  const axis = {
    stroke: color("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: color("--grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(frame.clientWidth, 100),
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 10, 0, 0],
    cursor: {
      sync: { key: "page", setSeries: false },
      drag: { x: false, y: false },
      points: { size: 6 },
      y: false,
    },
    scales: {
      y: { range: (_, low, high) => [0, Math.max(least, (high ?? 0) * 1.08)] },
    },
    axes: [
      { ...axis, size: 22, space: 70, values: (_, splits) => splits.map(hourAndMinute) },
      { ...axis, size: 54, space: 28, values: (_, splits) => splits.map((value) => format(value)) },
    ],
    series: [
      {},
      ...series.map((each) => ({
        label: each.label,
        stroke: color(each.color),
        width: 1.5,
        dash: each.dash,
        points: { show: false },
        spanGaps: false,
        ...(each.bars
          ? { paths: uPlot.paths.bars({ size: [0.8, 8, 2] }), fill: color(each.color) }
          : series.length === 1
            ? { fill: color(each.color).replace("rgb(", "rgba(").replace(")", ", .1)") }
            : {}),
      })),
    ],
    hooks: { setCursor: [(plot) => setAt(plot.cursor.idx ?? null)] },
  };
}

/** What custom properties are as colours: a canvas does not understand light-dark(). */
function colorsOf(frame) {
  const probe = document.createElement("i");
  frame.append(probe);
  const styles = getComputedStyle(probe);
  return (name) => {
    probe.style.color = `var(${name})`;
    return styles.color;
  };
}

function hourAndMinute(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getHours()}:${String(date.getMinutes()).padStart(2, "0")}`;
}
