/** The page of one retreat. */
import { html, useEffect, useRef, useState } from "../shared/html.js";
import { useStore } from "../shared/store.js";
import { ColumnMenu } from "./column_menu.js";
import { Conflicts } from "./conflict.js";
import { Drawer } from "./drawer.js";
import { PageHeader } from "./page_header.js";
import { Page } from "./page.js";
import { People } from "./people.js";
import { Problems } from "./problems.js";
import { Stale, Status } from "./status.js";
import { texts } from "./strings.js";
import { Table } from "./table.js";
import { NothingShown, Notice, Rearrange, Toolbar } from "./toolbar.js";

/** @param {{retreat: import("./page.js").Retreat, onEntered: () => void}} properties */
export function LineUp({ retreat: asLoaded, onEntered }) {
  const [page] = useState(() => new Page(asLoaded));
  useEffect(() => () => page.close(), [page]);
  const retreat = useStore(page.retreat);
  return html`
    <${PageHeader} title=${retreat.title} user=${retreat.user} canEdit=${retreat.canEdit} onEntered=${onEntered}>
      <${People} page=${page} /><${Status} page=${page} />
    </${PageHeader}>
    <main class="line-up">
      <${Toolbar} page=${page} />
      <div class="work">
        <div class="list"><${List} page=${page} /><${NothingShown} model=${page.model} /><${Rearrange} model=${page.model} /></div>
        <${Drawer} page=${page} />
      </div>
      <${Notice} notice=${page.notice} />
      <${Stale} page=${page} onEntered=${onEntered} />
      <${Problems} page=${page} />
    </main>
    <${ColumnMenu} page=${page} />
    <${LiveRegion} said=${page.announcer.said} />`;
}

/** The grid: it has a place here, and draws itself. */
function List({ page }) {
  const host = useRef(null);
  const narrow = useNarrow();
  useEffect(() => {
    const table = new Table(host.current, page, narrow);
    const conflicts = new Conflicts(page, table);
    return () => {
      conflicts.destroy();
      table.destroy();
    };
  }, [page, narrow]);
  return html`<div ref=${host} class="host"></div>`;
}

const NARROW = matchMedia("(max-width: 700px)");

function useNarrow() {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const changed = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", changed);
    return () => NARROW.removeEventListener("change", changed);
  }, []);
  return narrow;
}

function LiveRegion({ said }) {
  return html`<p class="unseen" role="status" aria-live="polite">${useStore(said)}</p>`;
}
