import { duration, visible } from "../shared/format.js";
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
 * @param {{of?: {sid: string, userId: number}, nodes: (string|undefined)[]}} properties of: a
 *   session; only those that cover it. nodes: the servers whose traces are shown; none: there is
 *   only one server
 */
export function Traces({ of, nodes }) {
  const asked = nodes.length === 0 ? [undefined] : nodes;
  const { data, refresh } = usePolling((signal) => tracesOf(asked, signal), 10_000, asked.join("\n"));
  const shown = (data?.traces ?? []).filter(
    (trace) => of === undefined || trace.sid === of.sid || trace.userId === of.userId,
  );
  const silent = data?.silent ?? [];
  if (shown.length === 0 && silent.length === 0) return null;
  return html`
    <${Section} title=${text.tracesTitle} wide=${true}
      note=${silent.length > 0 && texts.nodes.silent(visible(silent.join(", "), 200))}>
      <ul class="lines">
        ${shown.map((trace) => {
          const target = trace.sid ? { sid: trace.sid } : { userId: trace.userId };
          const name = trace.sid ?? text.user(trace.userId);
          return html`
            <li key=${`${name} ${trace.node ?? ""}`}><${Text} value=${name} mono=${true} />
              ${trace.node && html`<span class="note">${texts.nodes.on(visible(trace.node, 20))}</span>`}
              ${trace.withMemos && html`<span class="badge warn">${text.withMemos}</span>`}
              <span class="note">${text.left(duration(trace.endsIn))}</span>
              <${Actions} actions=${[stopTraceAction(target, name, trace.node, refresh)]} /></li>`;
        })}
      </ul>
    <//>`;
}

/** What all of some servers answer, and which of them do not; fails if none does. */
async function tracesOf(nodes, signal) {
  const asked = nodes.map((node) => read("traces", { node }, { signal }));
  const answers = await Promise.allSettled(asked);
  if (!answers.some((answer) => answer.status === "fulfilled")) throw answers[0].reason;
  const traces = answers.flatMap(({ value }, index) =>
    (value?.traces ?? []).map((trace) => ({ ...trace, node: nodes[index] })),
  );
  return { traces, silent: nodes.filter((_, index) => answers[index].status === "rejected") };
}
