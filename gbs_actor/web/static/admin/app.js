import { duration, visible } from "../shared/format.js";
import { html, useEffect, useRef, useState } from "../shared/html.js";
import { Poller, outage } from "../shared/polling.js";
import { hrefTo, useRoute } from "../shared/router.js";
import { useStore } from "../shared/store.js";
import { switchTheme, theme } from "../shared/theme.js";
import { findSession, isUnrestricted, logOut, session } from "./api.js";
import { Announcements } from "./actions.js";
import { Login } from "./login.js";
import { Audit } from "./pages/audit.js";
import { Closed } from "./pages/closed.js";
import { Events } from "./pages/events.js";
import { Nodes } from "./pages/nodes.js";
import { Overview } from "./pages/overview.js";
import { Room } from "./pages/room.js";
import { Rooms } from "./pages/rooms.js";
import { Session } from "./pages/session.js";
import { Sessions } from "./pages/sessions.js";
import { System } from "./pages/system.js";
import { Tasks } from "./pages/tasks.js";
import { ServerChoice, useServers } from "./servers.js";
import { texts } from "./strings.js";

/** The views by the first part of their address. ofOne: what they show is of one server. */
const PAGES = {
  overview: { show: Overview, unrestricted: true, ofOne: true },
  nodes: { show: Nodes, unrestricted: true },
  rooms: { show: Rooms, one: Room },
  sessions: { show: Sessions, one: Session },
  closed: { show: Closed, ofOne: true },
  events: { show: Events, unrestricted: true, ofOne: true },
  audit: { show: Audit, unrestricted: true },
  tasks: { show: Tasks, unrestricted: true, ofOne: true },
  system: { show: System, unrestricted: true, ofOne: true },
};

/** The whole dashboard. */
export function App() {
  const operator = useStore(session);
  useEffect(() => {
    // Until the server answers; then it is known whether somebody is logged in.
    const poller = new Poller(findSession, 1000, { done() {}, failed() {} });
    poller.start();
    const ends = session.subscribe(() => poller.stop());
    return () => {
      ends();
      poller.stop();
    };
  }, []);
  if (operator === undefined) return html`<${Outage} /><p class="empty">${texts.loading}</p>`;
  if (operator === null) return html`<${Login} />`;
  return html`<${Shell} operator=${operator} />`;
}

function Shell({ operator }) {
  const menu = useRef(null);
  const { path, query } = useRoute();
  const allowed = Object.keys(PAGES).filter(
    (name) => isUnrestricted(operator) || !PAGES[name].unrestricted,
  );
  const [name, one] = path.length === 0 ? [allowed[0]] : path;
  const page = allowed.includes(name) ? PAGES[name] : undefined;
  const title = page ? texts.pages[name] : texts.title;
  useEffect(() => {
    document.title = one ? `${visible(one, 40)} · ${title}` : `${title} · ${texts.title}`;
    scrollTo(0, 0);
    // On a phone the menu is wider than the screen.
    menu.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [name, one]);
  const { node, nodes } = useServers(operator, query.node, page?.ofOne === true);
  const isOne = page?.one !== undefined && one !== undefined;
  const ofOne = isOne || page?.ofOne;
  let view = html`<p class="empty">${texts.gone}</p>`;
  if (isOne) view = html`<${page.one} key=${`${one} ${node ?? ""}`} name=${one} node=${node} operator=${operator} />`;
  else if (ofOne) view = html`<${page.show} key=${`${name} ${node ?? ""}`} query=${query} node=${node} />`;
  else if (page) view = html`<${page.show} key=${name} query=${query} nodes=${nodes} operator=${operator} />`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>${texts.skip}</a>
    <div class="shell">
      <header class="side">
        <div class="brand"><${Mark} /><span>${texts.title}</span></div>
        <nav ref=${menu} aria-label=${texts.navigation}>
          ${allowed.map((each) => html`
            <a key=${each} href=${hrefTo([each])} aria-current=${each === name ? "page" : undefined}>
              <${Icon} name=${each} /><span>${texts.pages[each]}</span>
            </a>`)}
        </nav>
        <${Account} operator=${operator} />
      </header>
      <main id="main" tabindex="-1">
        <${Outage} />
        <div class="view">${ofOne && html`<${ServerChoice} node=${node} nodes=${nodes} />`}${view}</div>
      </main>
    </div>
    <${Announcements} />`;
}

function skip(event) {
  event.preventDefault(); // the address names the view
  document.getElementById("main").focus();
}

function Account({ operator }) {
  const shown = useStore(theme);
  const name = operator.userId === null ? texts.tokenHolder : visible(operator.name, 40);
  const scope = operator.retreats === null ? texts.everything : operator.retreats.join(", ");
  return html`
    <div class="account">
      <div class="who" title=${visible(scope, 400)}>
        <bdi class="text">${name}</bdi>
        <span class="note text">${visible(scope, 80)}</span>
      </div>
      <button type="button" class="quiet icon" onClick=${switchTheme}
        aria-label=${texts.switchTheme[shown]} title=${texts.switchTheme[shown]}>
        <${Icon} name=${shown === "dark" ? "sun" : "moon"} />
      </button>
      <button type="button" class="quiet icon" onClick=${() => logOut().catch(() => {})}
        aria-label=${texts.logOut} title=${texts.logOut}><${Icon} name="out" /></button>
    </div>`;
}

/** Says since when the server has not answered. */
function Outage() {
  const state = useStore(outage);
  const [, tick] = useState(0);
  useEffect(() => {
    if (state === null) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [state]);
  return html`
    <div role="alert" class="outage-place">
      ${state && html`
        <div class="banner bad"><strong>${texts.outage.title}</strong>
          <span>${texts.outage.body(duration(Math.max(1, (Date.now() - state.since) / 1000)))}</span>
        </div>`}
    </div>`;
}

function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect class="mark-ground" width="32" height="32" rx="7" />
    <g class="mark-lines"><rect x="7" y="8" width="18" height="4" rx="2" /><rect x="7" y="14" width="12" height="4" rx="2" opacity=".75" /><rect x="7" y="20" width="15" height="4" rx="2" opacity=".5" /></g>
  </svg>`;
}

const SHAPES = {
  overview: "M2 13h12M4 13V8M8 13V3M12 13V6",
  nodes: "M3 2.5h10v4H3zM3 9.5h10v4H3zM5.5 4.5h.1M5.5 11.5h.1",
  rooms: "M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11z",
  sessions: "M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M3 13.5c.6-2.6 2.5-4 5-4s4.4 1.4 5 4",
  closed: "M6.5 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M1.5 13.5c.6-2.6 2.5-4 5-4 1 0 1.8.2 2.5.6M10.5 10.5l3.5 3.5M14 10.5l-3.5 3.5",
  events: "M3 4h10M3 8h7M3 12h4",
  audit: "M4 2.5h8v11H4zM6 5.5h4M6 8h4M6 10.5h2",
  tasks: "M3 3v9h4M3 7h4M9 5.5h4v3H9zM9 10.5h4v3H9z",
  system: "M2.5 3.5h11v7h-11zM6 13.5h4M8 10.5v3",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5",
  out: "M6.5 2.5h-4v11h4M6 8h7.5M10.5 5l3 3-3 3",
};

function Icon({ name }) {
  return html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d=${SHAPES[name]} /></svg>`;
}
