// Clients of the line-up that edit at random until their standard input ends, and then report:
// node lineup.mjs INDEX_OF_THE_CLIENT URL SEED TOKEN...
import { pathToFileURL } from "node:url";
import { io } from "socket.io-client";

const [index, url, seed, ...tokens] = process.argv.slice(2);
const { createLineup } = await import(pathToFileURL(index));

let state = Number(seed);
/** Mulberry32. */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const pick = (from) => from[Math.floor(random() * from.length)];
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A token may have a second one behind a comma, for when it was refused.
const clients = tokens.map((given) => {
  const [first, renewed = first] = given.split(",");
  const token = (refresh) => (refresh ? renewed : first);
  return createLineup({ url, slug: "2024-winter", io, token, random: () => random() / 20 });
});

/** Every edit has a value of its own, by which the log can be searched. */
const edits = [];
let last = 0;

function edit(client) {
  const people = client.getSnapshot().rows.filter((row) => !row.isLeader).slice(0, 12);
  if (people.length === 0) return;
  const { id } = pick(people);
  last += 1;
  const isMemo = random() < 0.4;
  const value = isMemo ? `메모 ${last}` : 1_000 + last;
  const outcome = isMemo ? client.saveMemo(id, { memo: value }) : client.assignNumber(id, value);
  const made = { id, value, status: "pending" };
  edits.push(made);
  void outcome.then(({ status, failure }) => Object.assign(made, { status, code: failure?.code }));
  if (random() < 0.1) void client.deleteMemo(pick(people).id);
}

/** Conflicts are left to the others, or overwritten. */
const resolve = (client) =>
  client.getSnapshot().conflicts.forEach((each) => client.resolve(each, pick(["mine", "theirs"])));

let stopped = false;
process.stdin.on("end", () => (stopped = true)).resume();
while (!stopped) {
  const client = pick(clients);
  edit(client);
  if (random() < 0.05) resolve(client);
  if (random() < 0.005) {
    client.hidden();
    setTimeout(() => client.shown(), 300);
  }
  await pause(random() * 40);
}
for (const client of clients) {
  client.shown();
  for (const each of client.getSnapshot().conflicts) client.resolve(each, "theirs");
}
const settled = () =>
  clients.every((client) => {
    const { connection, unsent, revision } = client.getSnapshot();
    return connection.state === "live" && unsent === 0 && revision === clients[0].getSnapshot().revision;
  });
for (let waited = 0; !settled() && waited < 60_000; waited += 50) await pause(50);
const states = clients.map((client) => {
  const { connection, unsent, rows, revision, metrics } = client.getSnapshot();
  return { connection, unsent, rows, revision, metrics };
});
await new Promise((done) => process.stdout.write(JSON.stringify({ edits, states }), done));
process.exit();
