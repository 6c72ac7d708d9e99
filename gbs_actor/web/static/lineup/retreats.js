import { visible } from "../shared/format.js";
import { html } from "../shared/html.js";
import { addressOf } from "./server.js";
import { texts } from "./strings.js";

/** The retreats that one may enter, as links. */
export function Retreats({ retreats }) {
  if (retreats.length === 0) return html`<p>${texts.noRetreats}</p>`;
  return html`
    <h2 id="retreats">${texts.retreats}</h2>
    <ul class="retreats" aria-labelledby="retreats">
      ${retreats.map(
        ({ slug, title, canEdit }) => html`
          <li key=${slug}><a href=${addressOf(slug)}><bdi class="text">${visible(title, 60)}</bdi>
            ${!canEdit && html`<span class="tag">${texts.readOnly}</span>`}<span class="note mono">${visible(slug, 40)}</span></a></li>`,
      )}
    </ul>`;
}
