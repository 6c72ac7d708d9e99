/** Search, what is filtered, totals, and the way to the columns. */
import { count, visible } from "../shared/format.js";
import { html } from "../shared/html.js";
import { SearchField } from "../shared/parts.js";
import { useStore } from "../shared/store.js";
import { shownValue } from "./column_menu.js";
import { columnsOf } from "./columns.js";
import { isFiltered, NO_FILTERS, withSchedule, withValues } from "./filters.js";
import { texts } from "./strings.js";

const { toolbar: labels } = texts;
const MOST_VALUES = 3;

export function Toolbar({ page }) {
  const { model, menu } = page;
  const searched = useStore(model.filters, ({ search: text }) => text);
  const search = (text) => model.filters.set({ ...model.filters.value, search: text });
  return html`
    <div class="toolbar" role="group" aria-label=${labels.label}>
      <${SearchField} label=${labels.search} value=${searched} onInput=${search} wait=${0} />
      <${Chips} page=${page} />
      <${Totals} model=${model} />
      <button type="button" class="quiet" aria-haspopup="dialog"
        onClick=${(event) => menu.set({ key: "", anchor: event.currentTarget })}><${ColumnsGlyph} />${labels.columns}</button>
    </div>`;
}

function Chips({ page }) {
  const { model, retreat } = page;
  const filters = useStore(model.filters);
  const sort = useStore(model.sort);
  const set = (next) => model.filters.set(next);
  const chips = [];
  if (sort) chips.push([labels.sorted(texts.columns[sort.key], sort.descending), () => model.sort.set(null)]);
  for (const [key, chosen] of filters.values) {
    const names = [...chosen].slice(0, MOST_VALUES).map((value) => shownValue(key, value)).join(", ");
    const more = chosen.size > MOST_VALUES ? ` +${chosen.size - MOST_VALUES}` : "";
    chips.push([`${texts.columns[key]}: ${names || texts.none}${more}`, () => set(withValues(filters, key, null))]);
  }
  for (const [id, wanted] of filters.schedules) {
    const { label } = retreat.value.schedules.find((each) => each.id === id) ?? { label: "" };
    chips.push([`${label}: ${texts.columnMenu.scheduleChoices[wanted ? "with" : "without"]}`, () => set(withSchedule(filters, id, null))]);
  }
  return html`
    <div class="chips">
      ${chips.map(([text, remove]) => html`
        <button type="button" key=${text} class="chip" onClick=${remove} aria-label=${labels.remove(text)}>
          <bdi class="text">${visible(text, 60)}</bdi> <span aria-hidden="true">×</span></button>`)}
    </div>`;
}

function Totals({ model }) {
  const { totals, rows } = useStore(model.shown);
  const filtered = isFiltered(useStore(model.filters));
  const facts = [
    ["all", totals.all],
    ["assigned", totals.assigned],
    ["unassigned", totals.all - totals.assigned],
    ...(filtered ? [["shown", rows.length]] : []),
  ];
  return html`
    <dl class="totals">
      ${facts.map(([name, value]) => html`<div key=${name} class=${`total ${name}`}><dt>${labels.totals[name]}</dt><dd>${count(value)}</dd></div>`)}
    </dl>`;
}

/** Says that rows are not where they belong by now, and puts them there. */
export function Rearrange({ model }) {
  const displaced = useStore(model.shown, ({ displaced: many }) => many);
  if (displaced === 0) return null;
  return html`<button type="button" class="rearrange" onClick=${model.rearrange}>${labels.rearrange(displaced)}</button>`;
}

/** Says why a key had no effect, until another cell is selected. */
export function Notice({ notice }) {
  const text = useStore(notice);
  return text !== "" && html`<p class="strip warn">${text}</p>`;
}

/** Says that there is nothing to show, and why. */
export function NothingShown({ model }) {
  const isEmpty = useStore(model.shown, ({ rows }) => rows.length === 0);
  const loaded = useStore(model.snapshot, ({ epoch }) => epoch !== null);
  const filters = useStore(model.filters);
  if (!isEmpty) return null;
  if (!loaded) return html`<p class="nothing">${texts.loading}</p>`;
  if (!isFiltered(filters)) return html`<p class="nothing">${labels.emptyRetreat}</p>`;
  const clear = () => model.filters.set({ ...NO_FILTERS, search: filters.search });
  return html`<div class="nothing"><p>${labels.emptyResult}</p>
    ${(filters.values.size > 0 || filters.schedules.size > 0) && html`<button type="button" onClick=${clear}>${labels.clear}</button>`}</div>`;
}

function ColumnsGlyph() {
  return html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10" /></svg>`;
}
