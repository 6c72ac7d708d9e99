/** The head of every page: where one is, who one is, light or dark. */
import { visible } from "../shared/format.js";
import { html } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { switchTheme, theme } from "../shared/theme.js";
import { addressOf, slugOfPage } from "./server.js";
import { DemoPeople } from "./sign_in.js";
import { texts } from "./strings.js";

export function PageHeader({ title, user, canEdit = true, onEntered, children }) {
  const shown = useStore(theme);
  const [up, other] = [texts.allRetreats, texts.switchTheme[shown]];
  return html`
    <header class="page-header">
      ${slugOfPage() !== null && html`<a class="back" href=${addressOf()} aria-label=${up} title=${up}><${Glyph} path=${BACK} /></a>`}
      <h1><bdi class="text">${visible(title, 60)}</bdi></h1>
      <div class="header-end">
        ${children}
        ${user && html`<span class="user-name" title=${visible(user.name, 80)}><bdi class="text">${visible(user.name, 20)}</bdi>
          ${!canEdit && html`<span class="tag">${texts.readOnly}</span>`}</span>`}
        ${user && html`<${DemoPeople} current=${user.name} onEntered=${onEntered} />`}
        <button type="button" class="quiet icon" onClick=${switchTheme} aria-label=${other} title=${other}>
          <${Glyph} path=${shown === "dark" ? SUN : MOON} /></button>
      </div>
    </header>`;
}

const BACK = "M9.5 3.5 5 8l4.5 4.5";
const SUN = "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1";
const MOON = "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5";

function Glyph({ path }) {
  return html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d=${path} /></svg>`;
}
