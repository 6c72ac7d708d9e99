/** How things stand with the server: a dot and words, and what follows from it. */
import { clock } from "../shared/format.js";
import { html, useEffect, useState } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { DemoPeople } from "./sign_in.js";
import { options } from "./server.js";
import { texts } from "./strings.js";

const { status: labels } = texts;
const LEVELS = { live: "good", connecting: "", reconnecting: "warn", offline: "warn", "signed-out": "bad", forbidden: "bad" };

/** The dot and its words; a click shows more in the drawer. */
export function Status({ page }) {
  const connection = useStore(page.model.snapshot, ({ connection: state }) => state);
  const unsent = useStore(page.model.snapshot, ({ unsent: many }) => many);
  const now = useTicking(connection.retryAt !== undefined);
  const drawer = useStore(page.drawer);
  const words = [wordsOf(connection, now)];
  if (unsent > 0) words.push(connection.state === "live" ? labels.saving(unsent) : labels.waiting(unsent));
  return html`
    <button type="button" class=${`quiet status ${LEVELS[connection.state]}`} title=${labels.details} aria-expanded=${drawer === "status"}
      onClick=${() => page.drawer.set(drawer === "status" ? null : "status")}>
      <span class="dot" aria-hidden="true"></span><span class="unseen">${labels.label}: </span><span>${words.join(" · ")}</span>
    </button>`;
}

/**
 * @param {import("../../client/types.js").ConnectionState} connection
 * @param {number} now
 */
function wordsOf({ state, retryAt }, now) {
  if (state !== "reconnecting") return labels[state];
  if (retryAt === undefined) return labels.reconnecting;
  return labels.reconnectingIn(Math.max(1, Math.ceil((retryAt - now) / 1_000)));
}

/** The time, every second while it is needed. @param {boolean} needed */
function useTicking(needed) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    setNow(Date.now());
    if (!needed) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [needed]);
  return Math.max(now, 0);
}

/** Says that the list is not current, since when, and what to do. */
export function Stale({ page, onEntered }) {
  const { state } = useStore(page.model.snapshot, ({ connection }) => connection);
  const { canEdit } = useStore(page.retreat);
  const [first] = useState(canEdit);
  if (state === "live" || state === "connecting") {
    return first && !canEdit && html`<p class="strip warn">${labels.readOnlyBody}</p>`;
  }
  const since = Number.isNaN(page.currentAt) ? labels.staleBefore : labels.stale(clock(page.currentAt / 1_000));
  const retry = html`<button type="button" class="small" onClick=${() => page.client.shown()}>${labels.tryNow}</button>`;
  if (state === "forbidden") return html`<div class="strip bad"><span>${labels.forbiddenBody} ${since}</span>${retry}</div>`;
  if (state === "signed-out") {
    return html`<div class="strip bad"><span>${labels.signedOutBody} ${since}</span>
      <${DemoPeople} onEntered=${onEntered} />
      ${options.signInUrl !== null && html`<a href=${options.signInUrl}>${texts.signIn.link}</a>`}${retry}</div>`;
  }
  return html`<div class="strip warn"><span>${since} ${labels.waitBody}</span>${retry}</div>`;
}
