import { html, useEffect, useRef } from "./html.js";
import { visible } from "./format.js";

/** A text from somebody else: isolated, so that its direction turns nothing around it. */
export function Text({ value, longest = 80, mono = false }) {
  const text = String(value ?? "");
  const shown = visible(value, longest);
  return html`<bdi class=${mono ? "text mono" : "text"}
    title=${text.length > 24 ? visible(value, 500) : undefined}>${shown}</bdi>`;
}

/** Says that there is nothing. */
export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** A part of a view with a heading. */
export function Section({ title, note, children, actions, wide = false }) {
  return html`
    <section class=${wide ? "panel wide" : "panel"}>
      <header class="panel-head">
        <h2>${title}</h2>${note && html`<span class="note">${note}</span>`}
        ${actions && html`<div class="panel-actions">${actions}</div>`}
      </header>
      ${children}
    </section>`;
}

/** Names and values. Rows are [name, value, title?]; those that are null are left out. */
export function Facts({ rows }) {
  return html`
    <dl class="facts">
      ${rows.filter(Boolean).map(([name, value, title]) => html`
        <div class="fact" key=${name} title=${title}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>`;
}

/** How much of a limit is used, as a bar. */
export function Meter({ used, limit, label }) {
  const share = limit > 0 ? used / limit : 0;
  const level = share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : "";
  // A style attribute would need 'unsafe-inline'; an SVG's attributes do not.
  return html`
    <svg class=${`meter ${level}`} viewBox="0 0 100 4" preserveAspectRatio="none" role="meter"
      aria-label=${label} aria-valuemin="0" aria-valuemax=${limit} aria-valuenow=${used}>
      <rect class="meter-track" width="100" height="4" />
      <rect class="meter-used" width=${Math.min(100, Math.max(share > 0 ? 0.7 : 0, share * 100))} height="4" />
    </svg>`;
}

/** A label that differs in its sign, not only in its colour. */
export function Badge({ sign, level = "", children }) {
  return html`<span class=${`badge ${level}`}><span class="sign" aria-hidden="true">${sign}</span><span class="badge-text">${children}</span></span>`;
}

/** A field to search with; "/" puts the focus into it. `wait`: milliseconds of rest after which it searches. */
export function SearchField({ value, onInput, label, longest = 100, wait = 250 }) {
  const field = useRef(null);
  const timer = useRef(null);
  useEffect(() => {
    const focus = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current.focus();
    };
    document.addEventListener("keydown", focus);
    return () => {
      document.removeEventListener("keydown", focus);
      clearTimeout(timer.current);
    };
  }, []);
  useEffect(() => {
    // Something else than this field has set the value; whoever is typing here is not disturbed.
    const { current } = field;
    if (value !== undefined && current !== document.activeElement) current.value = value;
  }, [value]);
  const changed = (event) => {
    const text = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onInput(text), wait);
  };
  return html`<input type="search" ref=${field} class="search" aria-label=${label} placeholder=${label}
    maxlength=${longest} spellcheck="false" autocomplete="off" defaultValue=${value} onInput=${changed} />`;
}

/** A choice. Options are [value, label]. */
export function Choice({ label, value, options, onChange }) {
  return html`
    <label class="choice"><span class="unseen">${label}</span>
      <select value=${value} onChange=${(event) => onChange(event.target.value)}>
        ${options.map(([each, text]) => html`<option key=${each} value=${each}>${visible(text, 60)}</option>`)}
      </select>
    </label>`;
}

/** Previous and next page. */
export function Pages({ offset, limit, total, onMove, texts }) {
  if (total <= limit && offset === 0) return null;
  const last = Math.min(offset + limit, total);
  return html`
    <nav class="pages" aria-label=${texts.label}>
      <button type="button" disabled=${offset === 0} onClick=${() => onMove(Math.max(0, offset - limit))}>${texts.previous}</button>
      <span>${texts.range(offset + 1, last, total)}</span>
      <button type="button" disabled=${last >= total} onClick=${() => onMove(offset + limit)}>${texts.next}</button>
    </nav>`;
}

/** A modal dialog; Escape and the close event call onClose. */
export function Dialog({ title, about, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => void (before instanceof HTMLElement && before.focus());
  }, []);
  return html`
    <dialog ref=${element} onClose=${onClose} aria-label=${title}>
      <h2>${title}${about && html` <bdi class="note text">${about}</bdi>`}</h2>
      ${children}
    </dialog>`;
}
