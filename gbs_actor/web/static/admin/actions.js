import { HttpError } from "../shared/http.js";
import { visible } from "../shared/format.js";
import { html, useEffect, useId, useState } from "../shared/html.js";
import { Dialog } from "../shared/parts.js";
import { Store, useStore } from "../shared/store.js";
import { act, onNode, pathOf } from "./api.js";
import { failureText } from "./failure.js";
import { texts } from "./strings.js";

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} [about] whom or what it is about
 * @property {string} body what it does
 * @property {string} path below /admin/
 * @property {Record<string, unknown>} [parameters] of the request's body, beside the reason
 * @property {Field[]} [fields] further ones, which the operator chooses
 * @property {boolean} [dangerous]
 * @property {boolean} [noPreview] it changes nothing that lasts
 * @property {(body: any) => number} [timeout] milliseconds, if it takes longer than others
 * @property {(answer: any) => void} [onDone]
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"number"|"checkbox"|"text"|string[]} kind a list: one of these
 * @property {unknown} value at first
 * @property {number} [least]
 * @property {number} [most]
 */

const MAX_REASON = 500;

/** What was done last; shown for some seconds. */
const announcement = new Store(null);

/**
 * Buttons, each of which asks for a reason, shows what would happen, and does it.
 *
 * @param {{actions: (Action|false)[]}} properties
 */
export function Actions({ actions }) {
  const [open, setOpen] = useState(null);
  return html`
    <div class="actions" role="group" aria-label=${texts.actions.menu}>
      ${actions.filter(Boolean).map((action) => html`
        <button key=${action.label} type="button" class=${action.dangerous ? "danger" : ""}
          onClick=${() => setOpen(action)}>${action.label}</button>`)}
    </div>
    ${open && html`<${ActionDialog} action=${open} onClose=${() => setOpen(null)} />`}`;
}

function ActionDialog({ action, onClose }) {
  const [reason, setReason] = useState("");
  const [values, setValues] = useState(() =>
    Object.fromEntries((action.fields ?? []).map((field) => [field.name, field.value])),
  );
  const [preview, setPreview] = useState(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const reasonId = useId();

  const send = async (dryRun) => {
    const body = { ...action.parameters, ...values, reason: reason.trim() };
    setBusy(true);
    setProblem(null);
    try {
      const answer = await act(action.path, body, { dryRun, timeout: action.timeout?.(body) });
      if (dryRun) return setPreview(answer);
      const outcome = answer?.changed === false ? texts.actions.unchanged : texts.actions.done;
      announcement.set({ label: action.label, about: action.about, outcome, message: answer?.message ?? "" });
      action.onDone?.(answer);
      onClose();
    } catch (error) {
      setProblem(dryRun || error instanceof HttpError ? failureText(error) : texts.actions.unknownOutcome);
    } finally {
      setBusy(false);
    }
    return undefined;
  };
  const submit = (event) => {
    event.preventDefault();
    if (!busy && reason.trim() !== "") send(preview === null && !action.noPreview);
  };

  const ready = preview !== null || action.noPreview;
  return html`
    <${Dialog} title=${action.label} about=${action.about} onClose=${onClose}>
      <form onSubmit=${submit}>
        <p>${action.body}</p>
        ${(action.fields ?? []).map((field) => html`
          <${FieldInput} key=${field.name} field=${field} value=${values[field.name]}
            onChange=${(value) => {
              setValues({ ...values, [field.name]: value });
              setPreview(null);
            }} />`)}
        <label for=${reasonId}>${texts.actions.reason} <span class="note">${texts.actions.reasonHint}</span></label>
        <input id=${reasonId} type="text" required maxlength=${MAX_REASON} autofocus autocomplete="off"
          value=${reason} onInput=${(event) => setReason(event.target.value)} />
        <div class="preview" aria-live="polite">
          ${preview && html`
            <p>
              <strong>${texts.actions.wouldChange}</strong> <q lang="en">${visible(preview.message, 600)}</q></p>`}
          ${problem && html`<p class="problem">${problem}</p>`}
        </div>
        <div class="buttons">
          <button type="button" onClick=${onClose}>${texts.cancel}</button>
          <button type="submit" class=${ready && action.dangerous ? "danger filled" : "primary"}
            disabled=${busy || reason.trim() === ""}>
            ${busy ? (ready ? texts.actions.running : texts.actions.previewing) : ready ? action.label : texts.actions.preview}
          </button>
        </div>
      </form>
    <//>`;
}

function FieldInput({ field, value, onChange }) {
  const id = useId();
  if (field.kind === "checkbox") {
    return html`<label class="check"><input type="checkbox" checked=${value}
      onChange=${(event) => onChange(event.target.checked)} /> ${field.label}</label>`;
  }
  if (Array.isArray(field.kind)) {
    return html`<label for=${id}>${field.label}</label>
      <select id=${id} value=${value} onChange=${(event) => onChange(event.target.value)}>
        ${field.kind.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
      </select>`;
  }
  const number = field.kind === "number";
  return html`<label for=${id}>${field.label}</label>
    <input id=${id} type=${field.kind} required value=${value} min=${field.least} max=${field.most}
      onInput=${(event) => onChange(number ? event.target.valueAsNumber || null : event.target.value)} />`;
}

/** Says what was done, to everybody: also to those who do not see it. */
export function Announcements() {
  const shown = useStore(announcement);
  useEffect(() => {
    if (shown === null) return undefined;
    const timer = setTimeout(() => announcement.set(null), 8000);
    return () => clearTimeout(timer);
  }, [shown]);
  return html`
    <div class="announcements" role="status" aria-live="polite">
      ${shown && html`<div class="announcement"><strong>${shown.label}</strong> ${shown.about && html`<bdi class="text">${shown.about}</bdi>`} ${shown.outcome}
        <span class="note" lang="en">${visible(shown.message, 300)}</span></div>`}
    </div>`;
}

const text = texts.actions;

/**
 * What can be done with a room.
 *
 * @param {string|undefined} node the server that it runs on, if there are several
 */
export function roomActions(slug, state, node, onDone) {
  const of = (name, dangerous = false) => ({
    label: text[name].label,
    about: aboutOn(visible(slug, 60), node),
    body: text[name].body,
    path: onNode(pathOf("rooms", slug, name), node),
    dangerous,
    onDone,
  });
  return [
    ["failed", "backoff"].includes(state) && of("recover"),
    of("restart"),
    of("drain", true),
    of("stop", true),
  ];
}

/** What can be done with a session, and with its user. */
export function sessionActions(session, unrestricted, onDone) {
  const { sid, userId, userName, node } = session;
  const user = visible(userName, 60);
  const name = aboutOn(user, node);
  return [
    unrestricted && !session.traced && traceAction(text.trace, { sid }, name, node, onDone),
    unrestricted && !session.traced && traceAction(text.traceUser, { userId }, name, node, onDone),
    kickAction(sid, name, node, onDone),
    unrestricted && {
      label: text.kickUser.label,
      about: user,
      body: text.kickUser.body,
      path: `users/${userId}/kick`,
      dangerous: true,
      onDone,
    },
  ];
}

function kickAction(sid, name, node, onDone) {
  const path = onNode(pathOf("sessions", sid, "kick"), node);
  return { label: text.kick.label, about: name, body: text.kick.body, path, dangerous: true, onDone };
}

function traceAction({ label, body }, target, name, node, onDone) {
  return {
    label,
    about: name,
    body,
    path: onNode("traces", node),
    parameters: target,
    fields: [
      { name: "minutes", label: text.trace.minutes, kind: "number", value: 5, least: 1, most: 60 },
      { name: "withMemos", label: text.trace.withMemos, kind: "checkbox", value: false },
    ],
    onDone,
  };
}

export function stopTraceAction(target, name, node, onDone) {
  return {
    label: text.stopTrace.label,
    about: aboutOn(name, node),
    body: text.stopTrace.body,
    path: onNode("traces/stop", node),
    parameters: target,
    onDone,
  };
}

/** Whom or what an action is about, and on which of several servers. */
function aboutOn(what, node) {
  return [what, node && texts.nodes.on(visible(node, 20))].filter(Boolean).join(" · ");
}

/** Stops a server. */
export function drainAction(node) {
  const { label, body } = text.drainServer;
  return { label, about: aboutOn("", node), body, path: onNode("drain", node), dangerous: true };
}

/** What can be done with a server as a whole. */
export function serverActions(node, onProfile, onLevels) {
  return [
    {
      label: text.logLevel.label,
      about: aboutOn("", node),
      body: text.logLevel.body,
      path: onNode("log-level", node),
      fields: [
        { name: "logger", label: texts.system.logger, kind: "text", value: "gbs_actor" },
        { name: "level", label: texts.system.level, kind: ["DEBUG", "INFO", "WARNING", "ERROR"], value: "DEBUG" },
        { name: "minutes", label: texts.system.minutes, kind: "number", value: 10, least: 1, most: 120 },
      ],
      onDone: onLevels,
    },
    {
      label: text.profile.label,
      about: aboutOn("", node),
      body: text.profile.body,
      path: onNode("profile", node),
      fields: [{ name: "seconds", label: texts.system.seconds, kind: "number", value: 10, least: 1, most: 30 }],
      noPreview: true,
      timeout: ({ seconds }) => 1000 * seconds + 15_000,
      onDone: onProfile,
    },
    drainAction(node),
  ];
}
