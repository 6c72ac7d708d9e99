/** A conflict beside its cell: what they have set, who and when, what one wanted, and the choice. */
import { clock, fullTime, visible } from "../shared/format.js";
import { html, render } from "../shared/html.js";
import { wordDiff } from "./diff.js";
import { texts } from "./strings.js";
import { shownMemo, shownNumber } from "./values.js";

const { conflict: labels } = texts;
/** More would cover the list; the others are listed below it. */
const MOST = 3;
const LONGEST = 2_000;

/** Keeps a panel beside each cell that is in conflict. */
export class Conflicts {
  #page;
  #table;
  /** @type {Map<string, import("./grid/types.d.ts").Note>} */
  #shown = new Map();
  #end;

  /**
   * @param {import("./page.js").Page} page
   * @param {import("./table.js").Table} table
   */
  constructor(page, table) {
    this.#page = page;
    this.#table = table;
    this.#end = page.model.snapshot.subscribe(({ conflicts }) => this.#show(conflicts));
    this.#show(page.model.snapshot.value.conflicts);
  }

  destroy() {
    this.#end();
    this.#show([]);
  }

  /** @param {readonly import("../../client/types.js").Conflict[]} conflicts */
  #show(conflicts) {
    const before = this.#shown;
    this.#shown = new Map();
    for (const conflict of conflicts.slice(-MOST)) {
      this.#shown.set(nameOf(conflict), before.get(nameOf(conflict)) ?? this.#make(conflict));
    }
    if (before.size > 0 || this.#shown.size > 0) this.#table.setNotes([...this.#shown.values()]);
    for (const [name, { element }] of before) if (!this.#shown.has(name)) render(null, element);
  }

  /** @param {import("../../client/types.js").Conflict} conflict */
  #make(conflict) {
    const { client, announcer } = this.#page;
    const { id, field } = conflict;
    const row = client.row(id);
    const element = document.createElement("div");
    const resolve = (choice) => {
      client.resolve(conflict, choice);
      this.#page.goTo(id, field);
    };
    render(html`<${Conflict} conflict=${conflict} name=${row ? row.name : ""} onResolve=${resolve} />`, element);
    announcer.conflict(row, field);
    return { id, key: field, element };
  }
}

/** Another conflict of the same cell has another revision. @param {import("../../client/types.js").Conflict} conflict */
const nameOf = ({ key, revision }) => `${key} ${revision}`;

function Conflict({ conflict, name, onResolve }) {
  const { field, mine, theirs, changedBy, changedAt } = conflict;
  const who = visible(changedBy || labels.someone, 24);
  const shown = field === "gbsNumber" ? shownNumber : shownMemo;
  const when = changedAt ? labels.changed(who, clock(changedAt)) : labels.changedSometime(who);
  return html`
    <div class="conflict" role="group" aria-label=${labels.label(visible(name, 24), texts.columns[field])}>
      <p class="conflict-who" title=${changedAt ? fullTime(changedAt) : undefined}>${when}</p>
      <div class="conflict-values" tabindex="0" role="group" aria-label=${labels.values}>
        <dl>
          <dt>${labels.theirs}</dt><dd><bdi>${visible(shown(theirs), LONGEST)}</bdi></dd>
          <dt>${labels.mine}</dt><dd><bdi>${visible(shown(mine), LONGEST)}</bdi></dd>
        </dl>
        ${field === "lineupMemo" && theirs?.memo && mine?.memo && html`<${Difference} before=${theirs.memo} after=${mine.memo} />`}
      </div>
      <div class="buttons">
        <button type="button" class="small" onClick=${() => onResolve("theirs")}>${labels.useTheirs}</button>
        <button type="button" class="small primary" onClick=${() => onResolve("mine")}>${labels.useMine}</button>
      </div>
    </div>`;
}

function Difference({ before, after }) {
  const parts = wordDiff(before, after);
  if (!parts.some(({ kind }) => kind === "same")) return null; // then it says nothing
  return html`
    <p class="difference"><span class="unseen">${labels.diff}: </span>
      ${parts.map(({ kind, text }, index) => {
        const shown = html`<bdi>${text.trim() === "" ? text : visible(text, LONGEST)}</bdi>`;
        if (kind === "same") return html`<span key=${index}>${shown}</span>`;
        if (kind === "removed") return html`<del key=${index}><span class="unseen">${labels.removed} </span>${shown}</del>`;
        return html`<ins key=${index}><span class="unseen">${labels.added} </span>${shown}</ins>`;
      })}
    </p>`;
}
