/** Beside the list: all there is of one person and their group, or how the connection does. */
import { fullTime, visible } from "../shared/format.js";
import { html, useEffect, useRef } from "../shared/html.js";
import { Facts, Text } from "../shared/parts.js";
import { useStore } from "../shared/store.js";
import { FIELDS } from "./fields.js";
import { Figures } from "./figures.js";
import { texts } from "./strings.js";

const { drawer: labels, columns } = texts;

export function Drawer({ page }) {
  const shown = useStore(page.drawer);
  const snapshot = useStore(page.model.snapshot);
  const row = typeof shown === "number" ? page.client.row(shown) : undefined;
  if (shown === null || (shown !== "status" && row === undefined)) return null;
  const label = row ? labels.label(visible(row.name, 40)) : texts.figures.title;
  return html`
    <${Aside} label=${label} onClose=${() => page.drawer.set(null)}>
      ${row ? html`<${Person} row=${row} page=${page} />` : html`<${Figures} snapshot=${snapshot} />`}
    </${Aside}>`;
}

function Aside({ label, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    // On a phone it covers the list, so that it takes the focus.
    if (matchMedia("(max-width: 700px)").matches) element.current.querySelector("button").focus();
    const close = ({ key, isComposing }) => {
      const isElsewhere = isComposing || document.querySelector(".grid-editor.open, .popup") !== null;
      if (key === "Escape" && !isElsewhere) onClose();
    };
    document.addEventListener("keydown", close, { capture: true });
    return () => document.removeEventListener("keydown", close, { capture: true });
  }, []);
  return html`
    <aside ref=${element} class="drawer" aria-label=${label}>
      <button type="button" class="quiet icon drawer-close" onClick=${onClose} aria-label=${texts.close} title=${texts.close}>
        <span aria-hidden="true">×</span></button>
      ${children}
    </aside>`;
}

function Person({ row, page }) {
  const { schedules } = page.retreat.value;
  const edit = (key) => {
    if (matchMedia("(max-width: 700px)").matches) page.drawer.set(null);
    page.goTo(row.id, key, true);
  };
  const attended = schedules.filter(({ id }) => row.userRetreatRegistrationScheduleIds.includes(id));
  const facts = ["univGroupNumber", "gradeNumber", "gender", "userType", "phoneNumber", "currentLeader"];
  return html`
    <h2 class="drawer-title"><${Text} value=${row.name} longest=${60} />
      ${row.isLeader && html`<span class="tag">${labels.leader}</span>`}</h2>
    ${page.canEdit && html`<div class="drawer-actions">
      ${!row.isLeader && html`<button type="button" onClick=${() => edit("gbsNumber")}>${labels.editNumber}</button>`}
      <button type="button" onClick=${() => edit("lineupMemo")}>${labels.editMemo}</button></div>`}
    <${Facts} rows=${facts.map((key) => [columns[key], html`<${Text} value=${FIELDS[key].text(row)} />`])} />
    <h3>${labels.schedules} · ${row.isFullAttendance ? labels.full : labels.partial}</h3>
    <ul class="attended">${attended.map(({ id, name, label }) => html`<li key=${id}>${name || label}</li>`)}</ul>
    <${Note} title=${labels.memo} text=${row.lineupMemo} />
    <${Note} title=${columns.gbsMemo} text=${row.gbsMemo} />
    <${Note} title=${labels.history} text=${row.unresolvedLineupHistoryMemo} />
    <${Note} title=${labels.admin} text=${row.adminMemo} />
    <${Group} row=${row} page=${page} />
    <p class="note">${labels.registered} ${fullTime(row.createdAt)}<br />${labels.updated} ${fullTime(row.updatedAt)}</p>`;
}

function Note({ title, text }) {
  if (!text) return null;
  const lines = text.split("\n").map((line) => html`${line === "" ? "" : visible(line, 2_000)}<br />`);
  return html`<h3>${title}</h3><p class="memo-text"><bdi>${lines}</bdi></p>`;
}

function Group({ row, page }) {
  if (row.gbsNumber === null) return html`<h3>GBS</h3><p class="note">${labels.unassigned}</p>`;
  const about = (each) => [FIELDS.univGroupNumber.text(each), FIELDS.gender.text(each), each.isLeader ? labels.leader : ""];
  const members = page.model.snapshot.value.rows.filter(({ gbsNumber }) => gbsNumber === row.gbsNumber);
  return html`
    <h3>${labels.group(row.gbsNumber)} · ${texts.people.count(members.length)}</h3>
    <ul class="members">
      ${members.map((each) => html`<li key=${each.id} aria-current=${each.id === row.id ? "true" : undefined}>
        <button type="button" class="quiet member" onClick=${() => page.goTo(each.id, "name")}>
          <${Text} value=${each.name} longest=${30} /><span class="note">${about(each).filter(Boolean).join(" · ")}</span></button></li>`)}
    </ul>`;
}
