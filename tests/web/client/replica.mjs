// Performs operations on a replica, one JSON object a line, and answers with its state after each.
import { createInterface } from "node:readline";
import { Pending } from "../../../gbs_actor/web/client/pending.js";
import { Replica } from "../../../gbs_actor/web/client/replica.js";
import { ShownRows } from "../../../gbs_actor/web/client/rows.js";

let replica;
let shown;

const operations = {
  reset() {
    replica = new Replica();
    shown = new ShownRows(replica, new Pending());
    return new Map();
  },
  join: ({ rows, ...answer }) => replica.join(rows, answer),
  merge: ({ row }) => replica.merge([row]),
  apply: ({ update }) => replica.apply(update),
  answer: ({ row, revision }) => replica.mergeAnswer(row, revision),
};

/** Rows that read as before have to be the same objects, and an unchanged list the same list. */
function unstable(before) {
  const known = new Map(before.map((row) => [row.id, row]));
  const after = shown.list;
  const copies = after.filter((row) => {
    const former = known.get(row.id);
    return former !== row && JSON.stringify(former) === JSON.stringify(row);
  });
  if (before !== after && JSON.stringify(before) === JSON.stringify(after)) return ["the list"];
  return copies.map((row) => row.id);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...given } = JSON.parse(line);
  const before = shown?.list ?? [];
  const former = operations[op](given);
  shown.update(former.keys());
  const { revision, since, epoch } = replica;
  const state = { rows: shown.list, revision, since, epoch, unstable: op === "reset" ? [] : unstable(before) };
  process.stdout.write(`${JSON.stringify(state)}\n`);
}
