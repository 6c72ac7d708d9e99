import { html, useState } from "../shared/html.js";
import { enterDemo } from "./session.js";
import { options } from "./server.js";
import { texts } from "./strings.js";

const { signIn } = texts;

/** Says why there is nothing to see, and what to do. */
export function SignIn({ code, onEntered }) {
  return html`
    <main class="sign-in">
      <h1>${texts.title}</h1>
      <p role="status">${code === "TOKEN_EXPIRED" ? signIn.expired : signIn.needed}</p>
      ${options.demoPeople.length > 0
        ? html`<p>${signIn.demo}</p><${DemoPeople} onEntered=${onEntered} />`
        : html`<${Elsewhere} />`}
    </main>`;
}

function Elsewhere() {
  return html`
    ${options.signInUrl !== null && html`<p><a class="primary" href=${options.signInUrl}>${signIn.link}</a></p>`}
    <p>${signIn.how(options.cookieName)}</p>
    ${options.signInUrl === null && html`<p class="note">${signIn.forOperators}</p>`}`;
}

/**
 * In the demo: a button for each person, to use this window as them; else nothing.
 *
 * @param {{current?: string, onEntered: () => void}} properties current: the name of who uses it
 */
export function DemoPeople({ current, onEntered }) {
  const [failed, setFailed] = useState(false);
  const enter = async (person) => {
    setFailed(false);
    try {
      await enterDemo(person);
    } catch {
      setFailed(true);
      return;
    }
    onEntered();
  };
  if (options.demoPeople.length === 0) return null;
  return html`
    <div class="demo-people" role="group" aria-label=${signIn.demoGroup}>
      ${options.demoPeople.map(
        (name, index) =>
          name !== current &&
          html`<button type="button" key=${name} onClick=${() => enter(index + 1)}>${signIn.enterAs(name)}</button>`,
      )}
      ${failed && html`<span role="alert">${signIn.demoFailed}</span>`}
    </div>`;
}
