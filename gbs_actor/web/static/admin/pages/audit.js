import { clock, fullTime } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Badge, Choice, SearchField, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { replaceQuery } from "../../shared/router.js";
import { Table } from "../../shared/table.js";
import { read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";
import { User } from "../who.js";

const { audit: text } = texts;
const PAGE = 100;

const OUTCOMES = { done: ["●", "good"], unchanged: ["○", ""], dry_run: ["◌", ""], refused: ["⊘", "warn"] };

const COLUMNS = [
  { key: "at", cell: (each) => html`<time title=${fullTime(each.at)}>${clock(each.at)}</time>` },
  { key: "operator", cell: (each) => html`<${Operator} record=${each} />` },
  { key: "action", cell: (each) => html`<${Text} value=${each.action} mono=${true} />` },
  { key: "target", cell: (each) => html`<${Text} value=${each.target} longest=${60} />` },
  { key: "outcome", rank: 2, cell: (each) => html`<${Outcome} outcome=${each.outcome} />` },
  { key: "reason", rank: 2, cell: (each) => html`<${Reason} record=${each} />` },
  { key: "address", rank: 3, cell: (each) => html`<${Text} value=${each.address} longest=${45} mono=${true} />` },
].map((column) => ({ ...column, label: text.columns[column.key] }));

/** What operators have done, and whose data they have looked at. */
export function Audit({ query }) {
  const { operator = "", action = "", before = "" } = query;
  const asked = { operator, action, before, limit: PAGE };
  const { data, error, loading } = usePolling(
    (signal) => read("audit", asked, { signal }),
    10_000,
    JSON.stringify(asked),
  );
  const change = (changes) => replaceQuery({ before: "", ...changes });
  return html`
    <div class="view-head">
      <h1>${texts.pages.audit}</h1>
      <div class="filters">
        <${SearchField} label=${text.operator} value=${operator} onInput=${(value) => change({ operator: value })} longest=${100} />
        <${Choice} label=${text.action} value=${action} onChange=${(value) => change({ action: value })}
          options=${[["", text.anyAction], ...Object.entries(text.actions)]} />
      </div>
    </div>
    ${data === null || error?.status ? html`<${Pending} error=${error} />` : html`
      <div class="panel wide flush">
        <${Table} caption=${texts.pages.audit} columns=${COLUMNS} rows=${data.records} keyOf=${(each) => each.id}
          dimmed=${loading} empty=${text.empty} />
        <nav class="pages" aria-label=${texts.table.pages.label}>
          ${before && html`<button type="button" onClick=${() => replaceQuery({ before: "" })}>${text.newest}</button>`}
          ${data.next !== null && data.next !== undefined && html`<button type="button" onClick=${() => replaceQuery({ before: data.next })}>${text.more}</button>`}
        </nav>
      </div>`}`;
}

function Operator({ record }) {
  if (record.operatorId === null) {
    return record.operatorName === "" ? html`<span class="note">${text.nobody}</span>` : texts.tokenHolder;
  }
  return html`<${User} id=${record.operatorId} name=${record.operatorName} />`;
}

/** Why, and what became of it: with the server, where there are several. */
function Reason({ record }) {
  return html`<${Text} value=${record.reason} longest=${120} />
    ${record.details && html`<div class="note" lang="en"><${Text} value=${record.details} longest=${160} /></div>`}`;
}

function Outcome({ outcome }) {
  const [sign, level] = OUTCOMES[outcome] ?? ["?", ""];
  return html`<${Badge} sign=${sign} level=${level}>${text.outcomes[outcome] ?? outcome}<//>`;
}
