import { bytes, count, percent } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Meter } from "../shared/parts.js";
import { texts } from "./strings.js";

/** What a limit is called; one without a Korean name by that of its setting. */
export function limitName(name) {
  return texts.limits[name] ?? name;
}

/** How near each limit is. */
export function Limits({ limits }) {
  return html`
    <ul class="limits">
      ${limits.map(({ name, used, limit }) => {
        const amount = name.includes("bytes") ? bytes : count;
        return html`
          <li key=${name}>
            <span class="limit-name" title=${name}>${limitName(name)}</span>
            <span class="limit-value">${amount(used)} / ${amount(limit)}
              <span class="limit-share">${percent(limit ? used / limit : 0)}</span></span>
            <${Meter} used=${used} limit=${limit} label=${limitName(name)} />
          </li>`;
      })}
    </ul>`;
}
