/** Edits that were not saved, with the reason and what can be done: conflicts and failures. */
import { visible } from "../shared/format.js";
import { html } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { reasonOf } from "./announcer.js";
import { texts } from "./strings.js";
import { shownMemo } from "./values.js";

const { problems: labels } = texts;

export function Problems({ page }) {
  useStore(page.retreat); // who may no longer edit cannot try again
  const failures = useStore(page.model.snapshot, ({ failures: all }) => all);
  const keys = useStore(page.model.snapshot, ({ conflicts }) => conflicts.map(({ key }) => key).join(" "));
  const { conflicts } = page.model.snapshot.value;
  const count = failures.length + conflicts.length;
  if (count === 0) return null;
  return html`
    <section class="problems" aria-labelledby="problems" data-conflicts=${keys}>
      <h2 id="problems">${labels.title(count)}</h2>
      <ul>
        ${conflicts.map((each) => html`<${Conflicting} key=${each.key} conflict=${each} page=${page} />`)}
        ${failures.map((each) => html`<${Failed} key=${each.key} failure=${each} page=${page} />`)}
      </ul>
    </section>`;
}

function Conflicting({ conflict, page }) {
  const { id, field, mine } = conflict;
  return html`
    <li><${What} page=${page} id=${id} field=${field} value=${mine} />
      <span class="reason">${labels.conflict}</span>
      <span class="buttons">
        <button type="button" class="small" onClick=${() => page.goTo(id, field)}>${labels.show}</button>
        <button type="button" class="small" onClick=${() => page.client.resolve(conflict, "mine")}>${texts.conflict.useMine}</button>
        <button type="button" class="small" onClick=${() => page.client.resolve(conflict, "theirs")}>${texts.conflict.useTheirs}</button>
      </span></li>`;
}

function Failed({ failure, page }) {
  const { id, field, value, code } = failure;
  const again = () => {
    page.client.dismiss(failure);
    if (field === "gbsNumber") void page.client.assignNumber(id, value);
    else if (value === null) void page.client.deleteMemo(id);
    else void page.client.saveMemo(id, value);
  };
  return html`
    <li><${What} page=${page} id=${id} field=${field} value=${value} />
      <span class="reason">${reasonOf(code)}</span>
      <span class="buttons">
        ${id !== null && field !== null && html`
          <button type="button" class="small" onClick=${() => page.goTo(id, field)}>${labels.show}</button>
          ${page.canEdit && html`<button type="button" class="small" onClick=${again}>${labels.retry}</button>`}`}
        <button type="button" class="small" onClick=${() => page.client.dismiss(failure)}>${labels.dismiss}</button>
      </span></li>`;
}

function What({ page, id, field, value }) {
  const row = id === null ? undefined : page.client.row(id);
  const wanted = field === "gbsNumber" ? (value ?? texts.conflict.noNumber) : shownMemo(value);
  return html`<span class="what"><bdi class="text">${row ? visible(row.name, 30) : labels.unknownRow}</bdi>
    ${field !== null && html` <span class="note">${texts.columns[field]}</span> <bdi class="text">${labels.wanted(visible(wanted, 60))}</bdi>`}</span>`;
}
