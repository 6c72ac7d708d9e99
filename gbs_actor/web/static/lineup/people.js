/** Who else is here. */
import { visible } from "../shared/format.js";
import { html } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { colourOfUser } from "./palette.js";
import { texts } from "./strings.js";

const { people: labels } = texts;
const MOST = 5;

export function People({ page }) {
  const presence = useStore(page.model.snapshot, ({ presence: who }) => who);
  const { user } = useStore(page.retreat);
  const others = presence.users.filter(({ userId }) => userId !== user.userId);
  if (others.length === 0) return null;
  const hidden = Math.max(presence.total - presence.users.length, 0) + Math.max(others.length - MOST, 0);
  return html`
    <ul class="people" aria-label=${labels.label}>
      ${others.slice(0, MOST).map((each) => html`<${Person} key=${each.userId} person=${each} page=${page} />`)}
      ${hidden > 0 && html`<li class="more">${labels.more(hidden)}</li>`}
    </ul>`;
}

function Person({ person, page }) {
  const name = visible(person.userName, 20);
  const [mark] = person.editing;
  const row = mark && page.client.row(mark.lineupId);
  const what = row && `${visible(row.name, 20)} ${texts.columns[mark.field] ?? ""}`;
  // The colour comes by the script: a style attribute would need 'unsafe-inline'.
  const colour = (element) => element?.style.setProperty("--colour", colourOfUser(person.userId));
  return html`
    <li class=${mark ? "editing" : ""} title=${what ? labels.editing(name, what) : name}>
      <span class="initial" aria-hidden="true" ref=${colour}>${[...name][0]}</span><bdi class="text">${name}</bdi>
    </li>`;
}
