import { HttpError } from "../shared/http.js";
import { html, useRef, useState } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { ended, logIn, unended } from "./api.js";
import { texts } from "./strings.js";

const { login } = texts;

/** Asks for a token, and begins a session with it. */
export function Login() {
  const hasEnded = useStore(ended);
  const silent = useStore(unended);
  const field = useRef(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);

  const submit = async (event) => {
    event.preventDefault();
    const token = field.current.value.trim().replace(/^Bearer\s+/i, "");
    if (token === "" || busy) return;
    if (!/^[\x21-\x7e]+$/.test(token)) return setProblem(login.malformed);
    setBusy(true);
    setProblem(null);
    try {
      await logIn(token);
    } catch (error) {
      setProblem(problemOf(error));
      field.current.select();
    } finally {
      setBusy(false);
    }
    return undefined;
  };

  return html`
    <main class="login">
      <form class="panel" onSubmit=${submit}>
        <h1>${texts.title}</h1>
        ${hasEnded && html`<p class="banner warn" role="status">${login.ended}</p>`}
        ${silent.length > 0 && html`<p class="banner warn" role="status">${login.unended(silent.join(", "))}</p>`}
        <label for="token">${login.token}</label>
        <input id="token" type="password" ref=${field} autofocus autocomplete="off" spellcheck="false"
          aria-describedby="token-hint" aria-invalid=${problem ? "true" : undefined} />
        <p id="token-hint" class="note">${login.hint}</p>
        <p class="problem" role="alert">${problem}</p>
        <button type="submit" class="primary" disabled=${busy}>${busy ? login.submitting : login.submit}</button>
      </form>
    </main>`;
}

function problemOf(error) {
  if (!(error instanceof HttpError)) return texts.failure.unreachable;
  if (error.code === "TOKEN_EXPIRED") return login.expired;
  if (error.status === 403) return login.forbidden;
  if (error.status === 401) return login.refused;
  return texts.failure.other(error.message);
}
