import { count, visible } from "../../shared/format.js";
import { html, useState } from "../../shared/html.js";
import { usePolling } from "../../shared/polling.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";
import { isOwn, placeOf, withoutPackage } from "../tasks.js";

const { tasks: text } = texts;
const OPEN_DEPTH = 3;

/** The tasks of the server, and where each waits; as of the last time somebody asked. */
export function Tasks({ node }) {
  const { data, error, refresh } = usePolling((signal) => read("task-tree", { node }, { signal }), 3_600_000);
  // All parts of the tree are made anew when this changes: open, or closed.
  const [shown, setShown] = useState({ version: 0, depth: OPEN_DEPTH });
  const show = (depth) => setShown({ version: shown.version + 1, depth });
  if (data === null) return html`<${Pending} error=${error} />`;
  return html`
    <div class="view-head">
      <h1>${texts.pages.tasks}</h1>
      <span class="note">${text.note(count(data.tasks))}</span>
      <div class="filters">
        <button type="button" onClick=${() => show(100)}>${text.expand}</button>
        <button type="button" onClick=${() => show(1)}>${text.collapse}</button>
        <button type="button" class="primary" onClick=${refresh}>${texts.refresh}</button>
      </div>
    </div>
    <div class="panel wide">
      <ul class="tree" aria-label=${text.tree} key=${shown.version}>
        <${Task} task=${data.root} depth=${0} open=${shown.depth} />
      </ul>
    </div>`;
}

function Task({ task, depth, open }) {
  const { name, waitsAt, nurseries } = task;
  const head = html`<span class="task-name">${visible(withoutPackage(name), 120)}</span>
    ${waitsAt.length > 0 && html`<span class="task-place">${visible(withoutPackage(placeOf(waitsAt)), 160)}</span>`}`;
  const hasMore = nurseries.some((each) => each.tasks.length > 0 || Object.keys(each.others).length > 0);
  if (!hasMore && waitsAt.length < 2) return html`<li class="task"><div class="leaf">${head}</div></li>`;
  return html`
    <li class="task">
      <${Folding} open=${hasMore && depth < open} head=${head} body=${() => html`
        ${waitsAt.length > 1 && html`<ol class="frames" aria-label=${text.waitsAt}>
          ${waitsAt.map((frame) => html`<li class=${isOwn(frame) ? "own" : ""}>${visible(frame, 200)}</li>`)}</ol>`}
        ${nurseries.map((nursery) => html`
          <ul class="nursery" aria-label=${text.nursery}>
            ${nursery.tasks.map((each) => html`<${Task} task=${each} depth=${depth + 1} open=${open} />`)}
            ${Object.entries(nursery.others).map(([kind, number]) => html`
              <li key=${kind} class="note">${text.others(visible(kind, 80), count(number))}</li>`)}
          </ul>`)}`} />
    </li>`;
}

/** A part that is made only when it is opened: the tree may have a thousand of them. */
function Folding({ open, head, body }) {
  const [shown, setShown] = useState(open);
  return html`
    <details open=${shown} onToggle=${(event) => setShown(event.currentTarget.open)}>
      <summary>${head}</summary>
      ${shown && body()}
    </details>`;
}
