import { bytes, clock, count, duration, fullTime, latency } from "../../shared/format.js";
import { html } from "../../shared/html.js";
import { Empty, Facts, Section, Text } from "../../shared/parts.js";
import { usePolling } from "../../shared/polling.js";
import { hrefTo } from "../../shared/router.js";
import { Actions, sessionActions } from "../actions.js";
import { isUnrestricted, pathOf, read } from "../api.js";
import { Pending } from "../failure.js";
import { texts } from "../strings.js";
import { Traces } from "../traces.js";
import { Connection, RoomLink, RoundTrip, User } from "../who.js";

const { session: text } = texts;

/** One session as a whole. */
export function Session({ name, node, operator }) {
  const load = (signal) => read(pathOf("sessions", name), { node }, { signal });
  const { data, error, refresh } = usePolling(load, 2000);
  const session = error?.status ? null : data;
  const gone = error?.status === 404;
  return html`
    <div class="view-head">
      <a class="back" href=${hrefTo(["sessions"])}>${texts.pages.sessions}</a>
      <h1>${session ? html`<${User} id=${session.userId} name=${session.userName} />` : html`<${Text} value=${name} mono=${true} longest=${40} />`}</h1>
      ${session && html`<${Actions} actions=${sessionActions(session, isUnrestricted(operator), refresh)} />`}
    </div>
    ${gone && html`<${Empty}>${text.gone} <a href=${hrefTo(["closed"], { search: name, node })}>${text.lookAmongClosed}</a><//>`}
    ${!gone && session === null && html`<${Pending} error=${error} />`}
    ${session?.traced && isUnrestricted(operator) && html`<${Traces} of=${session} nodes=${[node]} />`}
    ${session && html`<${Whole} session=${session} sid=${name} />`}`;
}

function Whole({ session, sid }) {
  const expires = session.tokenExpiresAt;
  return html`
    <div class="panels">
      <${Section} title=${text.who}>
        <${Facts} rows=${[
          [text.userId, html`<a href=${hrefTo(["sessions"], { search: session.userId })}>${session.userId}</a>`],
          [text.role, html`<${Text} value=${session.role} />`],
          [text.address, html`<${Text} value=${session.address} mono=${true} />`],
          [text.tokenExpiresAt, expires === null || expires === undefined ? text.never : html`<time title=${fullTime(expires)}>${clock(expires)}</time>`],
          session.node && [texts.nodes.columns.node, html`<${Text} value=${session.node} longest=${20} />`],
          ["sid", html`<${Text} value=${sid} mono=${true} longest=${40} />`],
          [text.userAgent, html`<${Text} value=${session.userAgent} longest=${160} />`],
        ].filter(Boolean)} />
      <//>
      <${Section} title=${text.link}>
        <${Facts} rows=${[
          [text.transport, html`<${Connection} protocol=${session.protocol} transport=${session.transport} />`],
          [text.connectedFor, duration(session.connectedFor)],
          [text.roundTrip, html`<${RoundTrip} seconds=${session.roundTrip} />`],
          [text.queued, text.queuedValue(count(session.queued), bytes(session.queuedBytes))],
          [text.behindFor, latency(session.behindFor)],
          [text.conflated, count(session.conflated)],
          [text.sent, text.queuedValue(count(session.sentMessages), bytes(session.sentBytes))],
          [text.received, count(session.receivedEvents)],
        ]} />
      <//>
      <${Section} title=${text.inRoom}>
        <${Facts} rows=${[
          [text.inRoom, html`<${RoomLink} slug=${session.room} node=${session.node} none=${texts.sessions.noRoom} />`],
          [text.sentRevision, count(session.sentRevision)],
          [text.lag, count(session.lag)],
          [text.underWay, count(session.underWay)],
          [text.traced, session.traced ? text.yes : text.no],
        ]} />
      <//>
    </div>`;
}
