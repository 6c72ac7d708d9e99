// An app of somebody else's: a table on one hook, and a form on the one with the admin's surface.
import { createElement as h, Fragment, memo, StrictMode, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import type { LineupClient, Row } from "gbs-lineup-client";
import { LineupError, useGbsLineup, useGbsRow, useWebSocketGbsLineup } from "gbs-lineup-client/react";

const query = new URLSearchParams(location.search);
const options = { url: query.get("url") ?? "", token: () => query.get("token"), reportTo: null };
const SLUG = "2024-winter";

const Person = memo(({ client, id }: { client: LineupClient | null; id: number }) => {
  const renderings = useRef(0);
  const row: Row | undefined = useGbsRow(client, id);
  renderings.current += 1;
  return h("tr", { id: `row-${id}`, "data-renderings": renderings.current }, h("td", null, row?.gbsNumber ?? "-"));
});

function Table() {
  const { rows, client, connection } = useGbsLineup(SLUG, options);
  const people = rows.map(({ id }) => h(Person, { key: id, client, id }));
  return h("table", { "data-state": connection.state }, h("tbody", null, people));
}

function Form() {
  const { data, isConnected, isLoading, isMutating, ...lineup } = useWebSocketGbsLineup(SLUG, options);
  const [said, say] = useState("");
  const run = async (act: (row: Row) => Promise<Row | undefined>) => {
    const person = data.find((row) => row.id === Number(query.get("id")));
    if (person === undefined) return;
    try {
      const saved = await act(person);
      say(`${saved?.gbsNumber} ${saved?.lineupMemo}`);
    } catch (error) {
      say(error instanceof LineupError ? error.code : String(error));
    }
  };
  const button = (name: string, act: (row: Row) => Promise<Row | undefined>) =>
    h("button", { id: name, onClick: () => void run(act) }, name);
  return h(
    Fragment,
    null,
    h("output", null, said),
    h("p", { "data-connected": isConnected, "data-loading": isLoading, "data-mutating": isMutating }, "상태"),
    button("assign", (row) => lineup.saveGbsNumber(row, 4321)),
    button("lead", ({ id }) => lineup.saveGbsNumber({ userRetreatRegistrationId: id, gbsNumber: 10_000 })),
    button("write", (row) => lineup.saveLineupMemo(row, "새 메모", "#FFCC00")),
    button("rewrite", ({ lineupMemoId }) => lineup.updateLineupMemo({ memoId: Number(lineupMemoId), memo: "다른 메모" })),
    button("delete", (row) => lineup.deleteLineupMemo(row)),
  );
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(h(StrictMode, null, h(Table), h(Form)));
