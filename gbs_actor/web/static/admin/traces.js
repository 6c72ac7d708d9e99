import { duration } from "../shared/format.js";
import { html } from "../shared/html.js";
import { Section, Text } from "../shared/parts.js";
import { usePolling } from "../shared/polling.js";
import { Actions, stopTraceAction } from "./actions.js";
import { read } from "./api.js";
import { texts } from "./strings.js";

const { sessions: text } = texts;

/**
 * The traces that are running, if there are any; each may be stopped.
 *
 * @param {{of?: {sid: string, userId: number}}} properties of: a session; only those that cover it
 */
export function Traces({ of }) {
  const { data, refresh } = usePolling((signal) => read("traces", {}, { signal }), 10_000);
  const shown = (data?.traces ?? []).filter(
    (trace) => of === undefined || trace.sid === of.sid || trace.userId === of.userId,
  );
  if (shown.length === 0) return null;
  return html`
    <${Section} title=${text.tracesTitle} wide=${true}>
      <ul class="lines">
        ${shown.map((trace) => {
          const target = trace.sid ? { sid: trace.sid } : { userId: trace.userId };
          const name = trace.sid ?? text.user(trace.userId);
          return html`
            <li key=${name}><${Text} value=${name} mono=${true} />
              ${trace.withMemos && html`<span class="badge warn">${text.withMemos}</span>`}
              <span class="note">${text.left(duration(trace.endsIn))}</span>
              <${Actions} actions=${[stopTraceAction(target, name, refresh)]} /></li>`;
        })}
      </ul>
    <//>`;
}
