/** The nine colours below the editor of a memo. */
import { html, render } from "../shared/html.js";
import { COLOURS, nameOf } from "./palette.js";
import { texts } from "./strings.js";

export class MemoColours {
  /** Of the memo that is edited. */
  chosen = "";
  /** @type {() => void} */
  #draw = () => {};
  /** @type {() => void} */
  #change = () => {};

  /**
   * @param {HTMLElement} panel
   * @param {import("./grid/types.d.ts").PanelContext} context
   */
  show(panel, { row, change }) {
    this.chosen = row.lineupMemocolor;
    this.#change = change;
    const place = panel.appendChild(document.createElement("div"));
    this.#draw = () => render(html`<${Colours} chosen=${this.chosen} onChoose=${(colour) => this.#choose(colour)} />`, place);
    this.#draw();
    return true;
  }

  /** Alt and a digit choose a colour. @param {KeyboardEvent} event */
  useKey({ altKey, code, isComposing }) {
    const colour = COLOURS[Number(/^Digit([1-9])$/.exec(code)?.[1] ?? 0) - 1];
    if (!altKey || isComposing || colour === undefined) return false;
    this.#choose(colour);
    return true;
  }

  /** @param {string} colour */
  #choose(colour) {
    this.chosen = colour;
    this.#change();
    this.#draw();
  }
}

function Colours({ chosen, onChoose }) {
  const keep = (event) => event.preventDefault(); // the focus stays in the text
  return html`
    <div class="memo-colours" role="group" aria-label=${texts.editing.colours} title=${texts.editing.colours} onMouseDown=${keep}>
      ${COLOURS.map((colour, index) => html`
        <button type="button" key=${colour} tabindex="-1" class=${`memo-colour colour-${index}`} title=${nameOf(colour)}
          aria-label=${nameOf(colour)} aria-pressed=${colour === chosen.toUpperCase()} onClick=${() => onChoose(colour)}></button>`)}
    </div>`;
}
