import { html, render } from "../shared/html.js";
import { App } from "./app.js";

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
page.replaceChildren();
render(html`<${App} />`, page);
