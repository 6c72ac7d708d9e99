import { HttpError } from "../shared/http.js";
import { html, useCallback, useEffect, useState } from "../shared/html.js";
import { LineUp } from "./line_up.js";
import { PageHeader } from "./page_header.js";
import { Retreats } from "./retreats.js";
import { read } from "./session.js";
import { slugOfPage } from "./server.js";
import { SignIn } from "./sign_in.js";
import { texts } from "./strings.js";

const slug = slugOfPage();

/** The page of a retreat, or the list of retreats; who is not signed in is told how to be. */
export function App() {
  const [shown, setShown] = useState({ state: "loading" });
  const [attempt, setAttempt] = useState(0);
  const retry = useCallback(() => setAttempt((before) => before + 1), []);

  useEffect(() => {
    const leaving = new AbortController();
    setShown({ state: "loading" });
    load(leaving.signal).then(setShown, (error) => {
      if (!leaving.signal.aborted) setShown({ state: "failed", error });
    });
    return () => leaving.abort();
  }, [attempt]);

  useEffect(() => {
    document.title = shown.retreat ? `${shown.retreat.title} · ${texts.title}` : texts.title;
  }, [shown]);

  const { state, error } = shown;
  if (state === "failed" && error instanceof HttpError && error.status === 401) {
    return html`<${SignIn} code=${error.code} onEntered=${retry} />`;
  }
  if (state === "retreat") {
    return html`<${LineUp} key=${shown.retreat.user.userId} retreat=${shown.retreat} onEntered=${retry} />`;
  }
  return html`
    <${PageHeader} title=${texts.title} user=${shown.user} onEntered=${retry} />
    <main class="plain-page">
      ${state === "loading" && html`<p role="status" class="note">${texts.loading}</p>`}
      ${state === "failed" && html`<${Failure} error=${error} onRetry=${retry} />`}
      ${state === "retreats" && html`<${Retreats} retreats=${shown.retreats} />`}
    </main>`;
}

async function load(signal) {
  if (slug === null) {
    const { retreats, user } = await read("api/v1/retreats", signal);
    return { state: "retreats", retreats, user };
  }
  return { state: "retreat", retreat: await read(`api/v1/retreat/${encodeURIComponent(slug)}`, signal) };
}

function Failure({ error, onRetry }) {
  return html`
    <p class="banner warn" role="alert">${sentenceOf(error)}</p>
    <button type="button" onClick=${onRetry}>${texts.retry}</button>`;
}

function sentenceOf(error) {
  if (!(error instanceof HttpError)) return texts.failure.unreachable;
  return texts.failure[error.status] ?? texts.failure.other(error.message);
}
