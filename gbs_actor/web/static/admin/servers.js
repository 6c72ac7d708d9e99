/** The servers on the database, of which a view shows one. */
import { html, useEffect } from "../shared/html.js";
import { Choice } from "../shared/parts.js";
import { usePolling } from "../shared/polling.js";
import { replaceQuery } from "../shared/router.js";
import { Store, useStore } from "../shared/store.js";
import { read } from "./api.js";
import { texts } from "./strings.js";

/**
 * The one that a view shows whose address names none. A proxy passes each request to any server,
 * so that the page has to name it each time.
 */
const chosen = new Store(undefined);

/**
 * The server of a view, and all that are there.
 *
 * @param {{node: string|null, nodes: string[]}} operator as the session began
 * @param {string|undefined} named in the view's address
 * @param {boolean} choosing whether further views show that one, too
 * @returns {{node: string|undefined, nodes: string[]}} undefined: there is only one
 */
export function useServers(operator, named, choosing) {
  const alone = operator.nodes.length === 0;
  const { data } = usePolling((signal) => read("session", {}, { signal }), 5000, "", alone);
  const nodes = (data ?? operator).nodes;
  const before = useStore(chosen) ?? operator.node;
  useEffect(() => {
    if (choosing && named !== undefined) chosen.set(named);
  }, [choosing, named]);
  // One that is silent stays: on another one, the view's actions would be done there.
  return { node: named ?? before ?? undefined, nodes };
}

/** Says which server a view shows, and lets another one be chosen. */
export function ServerChoice({ node, nodes }) {
  if (node === undefined) return null;
  const silent = nodes.length > 0 && !nodes.includes(node);
  const options = [...new Set([...nodes, node])].sort();
  return html`<div class="server-choice">
    <${Choice} label=${texts.nodes.columns.node} value=${node} onChange=${(value) => replaceQuery({ node: value })}
      options=${options.map((each) => [each, texts.nodes.on(each)])} />
      ${silent && html`<span class="note" role="status">${texts.nodes.silent(node)}</span>`}</div>`;
}
