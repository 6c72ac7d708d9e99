import { HttpError } from "../shared/http.js";
import { html } from "../shared/html.js";
import { texts } from "./strings.js";

/** What an error means to the operator. */
export function failureText(error) {
  if (!(error instanceof HttpError)) return texts.failure.unreachable;
  return texts.failure[error.status] ?? texts.failure.other(error.message);
}

/** A view in place of its data: why there are none, or that they are on their way. */
export function Pending({ error }) {
  return html`<p class=${error ? "empty problem" : "empty"} role="status">${error ? failureText(error) : texts.loading}</p>`;
}
