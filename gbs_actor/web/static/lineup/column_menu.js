/** The menu of a column: sort, filter by its values or by registration, hide; and the list of all columns. */
import { visible } from "../shared/format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { columnsOf, scheduleKey } from "./columns.js";
import { FIELDS } from "./fields.js";
import { valuesIn, withSchedule, withValues } from "./filters.js";
import { nameOf } from "./palette.js";
import { texts } from "./strings.js";

const { columnMenu: labels } = texts;
const ALL_COLUMNS = "";

/** Whatever menu is open. */
export function ColumnMenu({ page }) {
  const open = useStore(page.menu);
  if (open === null) return null;
  return html`<${Popup} key=${open.key} anchor=${open.anchor} onClose=${() => page.menu.set(null)}
    label=${open.key === ALL_COLUMNS ? labels.shown : titleOf(page, open.key)}>
    ${open.key === ALL_COLUMNS ? html`<${AllColumns} page=${page} />` : html`<${OneColumn} page=${page} name=${open.key} />`}
  </${Popup}>`;
}

function titleOf(page, key) {
  return columnsOf(page.retreat.value, false).find((column) => column.key === key)?.title ?? "";
}

/** It closes by Esc, or with a click elsewhere. */
function Popup({ anchor, label, onClose, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const popup = element.current;
    const before = document.activeElement;
    popup.showPopover();
    const { left, bottom, top } = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = popup;
    popup.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    popup.style.top = `${bottom + 4 + height > innerHeight ? Math.max(8, top - 4 - height) : bottom + 4}px`;
    popup.querySelector("button, input")?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [anchor]);
  const toggled = (event) => event.newState === "closed" && onClose();
  return html`<div ref=${element} class="popup" popover="auto" role="dialog" aria-label=${label} onToggle=${toggled}>
    <h2>${label}</h2>${children}</div>`;
}

function OneColumn({ page, name }) {
  const { model, hidden, menu } = page;
  const schedule = page.retreat.value.schedules.find(({ id }) => scheduleKey(id) === name);
  const hide = () => {
    hidden.set(new Set([...hidden.value, name]));
    menu.set(null);
  };
  return html`
    ${schedule === undefined && html`<${Sorting} model=${model} name=${name} menu=${menu} />`}
    ${schedule !== undefined && html`<${ScheduleFilter} model=${model} id=${schedule.id} />`}
    ${(FIELDS[name]?.filter || name === "lineupMemo") && html`<${ValueFilter} model=${model} name=${name} />`}
    ${name !== "name" && html`<button type="button" class="quiet menu-entry" onClick=${hide}>${labels.hide}</button>`}`;
}

function Sorting({ model, name, menu }) {
  const sort = useStore(model.sort);
  const choose = (next) => {
    model.sort.set(next);
    menu.set(null);
  };
  const entry = (descending, label) => html`<button type="button" class="quiet menu-entry"
    aria-pressed=${sort?.key === name && sort.descending === descending} onClick=${() => choose({ key: name, descending })}>${label}</button>`;
  return html`
    ${entry(false, labels.ascending)}${entry(true, labels.descending)}
    ${sort !== null && html`<button type="button" class="quiet menu-entry" onClick=${() => choose(null)}>${labels.unsorted}</button>`}`;
}

function ScheduleFilter({ model, id }) {
  const wanted = useStore(model.filters).schedules.get(id);
  /** @type {[string, boolean | undefined][]} */
  const choices = [["ignore", undefined], ["with", true], ["without", false]];
  return html`
    <div class="segments" role="group" aria-label=${labels.schedule}>
      ${choices.map(([name, value]) => html`
        <button type="button" key=${name} aria-pressed=${wanted === value}
          onClick=${() => model.filters.set(withSchedule(model.filters.value, id, value ?? null))}>${labels.scheduleChoices[name]}</button>`)}
    </div>`;
}

function ValueFilter({ model, name }) {
  const filters = useStore(model.filters);
  const values = useMemo(() => valuesIn(name, model.snapshot.value.rows), [name]);
  const all = values.map(({ value }) => value);
  const chosen = filters.values.get(name) ?? new Set(all);
  const choose = (next) => {
    const whole = next.size === all.length;
    model.filters.set(withValues(model.filters.value, name, whole ? null : next));
  };
  const toggle = (value) => {
    const next = new Set(chosen);
    if (!next.delete(value)) next.add(value);
    choose(next);
  };
  return html`
    <fieldset class="values"><legend>${labels.values}</legend>
      <label class="check"><input type="checkbox" checked=${chosen.size === all.length} indeterminate=${chosen.size > 0 && chosen.size < all.length}
        onChange=${() => choose(new Set(chosen.size === all.length ? [] : all))} /> ${labels.all}</label>
      <div class="value-list">
        ${values.map(({ value, count }) => html`
          <label class="check" key=${value}><input type="checkbox" checked=${chosen.has(value)} onChange=${() => toggle(value)} />
            <bdi class="text">${shownValue(name, value)}</bdi> <span class="note">${count}</span></label>`)}
      </div>
    </fieldset>`;
}

/** What a value is called. */
export function shownValue(name, value) {
  if (name === "lineupMemo") return nameOf(value);
  return value === "" ? labels.empty : visible(value, 40);
}

function AllColumns({ page }) {
  const hidden = useStore(page.hidden);
  const toggle = (key) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    page.hidden.set(next);
  };
  return html`
    <div class="value-list">
      ${columnsOf(page.retreat.value, false).map(({ key, title }) => html`
        <label class="check" key=${key}><input type="checkbox" checked=${!hidden.has(key)} disabled=${key === "name"} onChange=${() => toggle(key)} />
          <bdi class="text">${visible(title, 40)}</bdi></label>`)}
    </div>
    <button type="button" class="quiet menu-entry" disabled=${hidden.size === 0} onClick=${() => page.hidden.set(new Set())}>${labels.showAll}</button>`;
}
