import { count } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Badge } from "../shared/parts.js";
import { texts } from "./strings.js";

/** The sign and the level of each state of a room. */
const LOOKS = {
  running: ["●", "good"],
  starting: ["◔", ""],
  restarting: ["↻", "warn"],
  backoff: ["◑", "warn"],
  draining: ["▽", "warn"],
  failed: ["✕", "bad"],
  stopped: ["■", ""],
};

/** The states in the order of their choice. */
export const STATES = Object.keys(LOOKS);

/** The state of a room. */
export function State({ state }) {
  const [sign, level] = LOOKS[state] ?? ["?", ""];
  return html`<${Badge} sign=${sign} level=${level}>${texts.states[state] ?? state}<//>`;
}

/** How many rooms there are of each state. */
export function StateCounts({ states }) {
  const shown = STATES.filter((state) => states[state]);
  return html`${shown.map((state) => html`
    <span key=${state} class=${`state-count ${LOOKS[state][1]}`}>
      <span class="sign" aria-hidden="true">${LOOKS[state][0]}</span>${texts.states[state]} ${count(states[state])}
    </span>`)}`;
}
