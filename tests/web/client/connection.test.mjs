import assert from "node:assert/strict";
import { test } from "node:test";
import { error, row, World } from "./world.mjs";

test("it is live once the room is joined", async () => {
  const world = new World({ url: "http://server", token: () => "first" });
  assert.equal(world.socket.url, "http://server/gbs-lineup");
  assert.equal(world.state, "connecting");
  const argument = await world.live();
  assert.deepEqual(argument, { retreatSlug: "winter" });
  assert.deepEqual(world.socket.auth, { updates: "batch", token: "first" });
  assert.deepEqual(world.snapshot.connection, { state: "live" });
  assert.equal(world.snapshot.rows.length, 2);
});

test("with a cookie no token is sent", async () => {
  const world = new World();
  await world.live();
  assert.deepEqual(world.socket.auth, { updates: "batch" });
  assert.equal(world.socket.options.withCredentials, true);
});

test("the first retry has jitter too, and the state says when it is", async () => {
  for (const [random, wait] of [[0, 200], [0.5, 1_100], [1, 2_000]]) {
    const world = new World();
    world.random = random;
    await world.live();
    await world.socket.cut();
    const retryAt = world.clock.now() + wait;
    assert.deepEqual(world.snapshot.connection, { state: "reconnecting", retryAt, reason: "transport close" });
    await world.clock.advance(wait - 1);
    assert.equal(world.socket.attempts, 1);
    await world.clock.advance(1);
    assert.equal(world.socket.attempts, 2);
    assert.equal(world.state, "reconnecting");
  }
});

test("waiting times double up to half a minute, and never end", async () => {
  const world = new World();
  const waits = [];
  for (let attempt = 1; attempt <= 50; attempt += 1) {
    assert.equal(world.socket.attempts, attempt);
    await world.socket.fail();
    waits.push(world.clock.next);
    await world.clock.advance(world.clock.next);
  }
  assert.deepEqual(waits.slice(0, 6), [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(waits.at(-1), 30_000);
});

test("a connection that does not last does not start the waiting times over", async () => {
  const world = new World();
  const waits = [];
  for (const lasting of [0, 0, 11_000, 0]) {
    await world.live();
    await world.clock.advance(lasting);
    await world.socket.cut();
    waits.push(world.clock.next);
    await world.clock.advance(world.clock.next);
  }
  assert.deepEqual(waits, [2_000, 4_000, 2_000, 4_000]);
});

test("every other attempt begins with polling", async () => {
  const world = new World();
  const first = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    first.push(world.socket.io.opts.transports[0]);
    await world.socket.fail();
    await world.clock.advance(world.clock.next);
  }
  assert.deepEqual(first, ["websocket", "polling", "websocket", "polling", "websocket", "polling"]);
});

test("an attempt that nothing comes of is given up", async () => {
  const world = new World();
  await world.clock.advance(30_000);
  assert.equal(world.snapshot.connection.reason, "timeout");
  await world.clock.advance(world.clock.next);
  assert.equal(world.socket.attempts, 2);
});

test("a refused token is renewed once, then the user is signed out", async () => {
  const asked = [];
  const world = new World({ token: async (refresh) => (asked.push(refresh), `token ${asked.length}`) });
  await world.socket.open();
  await world.socket.refuse("TOKEN_EXPIRED");
  assert.equal(world.socket.attempts, 2);
  await world.socket.open();
  assert.deepEqual(asked, [false, true]);
  assert.equal(world.socket.auth.token, "token 2");
  await world.socket.refuse("TOKEN_EXPIRED");
  assert.deepEqual(world.snapshot.connection, { state: "signed-out", reason: "TOKEN_EXPIRED" });
  await world.clock.advance(600_000);
  assert.equal(world.socket.attempts, 2);
  world.client.shown();
  assert.equal(world.socket.attempts, 3);
  await world.live();
  assert.equal(asked.at(-1), true);
  assert.equal(world.state, "live");
});

test("without a token function an expired cookie signs out at once", async () => {
  const world = new World();
  await world.socket.refuse("AUTH_REQUIRED");
  assert.deepEqual(world.snapshot.connection, { state: "signed-out", reason: "AUTH_REQUIRED" });
  assert.equal(world.clock.timers, 0);
});

test("a token function that fails is asked again", async () => {
  const world = new World({ token: async () => Promise.reject(new Error("no network")) });
  await world.socket.open();
  assert.deepEqual(world.socket.auth, { updates: "batch" });
});

test("an expired token is renewed on the open connection", async () => {
  const asked = [];
  const world = new World({ token: (refresh) => (asked.push(refresh), refresh ? "new" : "old") });
  await world.live();
  await world.socket.receive("user-editing", { lineupId: 1, userId: 2, userName: "이", field: null, editing: true });
  await world.socket.receive("error", { event: null, code: "TOKEN_EXPIRED", message: "" });
  const { argument, reply } = world.socket.next("authenticate");
  assert.deepEqual(argument, { token: "new" });
  await reply({ status: "OK", data: null, revision: 0 });
  assert.equal(world.state, "live");
  assert.equal(world.socket.attempts, 1);
  assert.equal(world.snapshot.marks.length, 1);
});

test("a new token that is refused signs out", async () => {
  const world = new World({ token: () => "same" });
  await world.live();
  await world.socket.receive("error", { event: null, code: "TOKEN_EXPIRED", message: "" });
  await world.socket.next("authenticate").reply(error("INVALID_TOKEN"));
  assert.deepEqual(world.snapshot.connection, { state: "signed-out", reason: "INVALID_TOKEN" });
});

test("a token that never comes holds up one connection only", async () => {
  let asked = 0;
  const world = new World({ token: (refresh) => (refresh ? ((asked += 1), new Promise(() => {})) : "old") });
  for (const times of [1, 2]) {
    await world.live();
    for (let event = 0; event < 3; event += 1) {
      await world.socket.receive("error", { event: null, code: "TOKEN_EXPIRED", message: "" });
    }
    assert.equal(asked, times);
    await world.socket.cut();
    await world.clock.advance(world.clock.next);
  }
});

test("a role without access is forbidden", async () => {
  const world = new World();
  await world.socket.refuse("FORBIDDEN");
  assert.deepEqual(world.snapshot.connection, { state: "forbidden", reason: "FORBIDDEN" });
});

test("so is a retreat that does not exist, or that one may not read", async () => {
  for (const code of ["RETREAT_NOT_FOUND", "FORBIDDEN"]) {
    const world = new World();
    await world.socket.open();
    await world.socket.next("join-retreat").reply(error(code));
    assert.deepEqual(world.snapshot.connection, { state: "forbidden", reason: code });
    assert.equal(world.socket.connected, false);
  }
});

test("whoever is kicked since a grant was revoked stays away, with the rows as they were", async () => {
  const world = new World();
  await world.live();
  await world.socket.receive("error", { event: null, code: "FORBIDDEN", message: "" });
  await world.socket.cut("io server disconnect");
  assert.deepEqual(world.snapshot.connection, { state: "forbidden", reason: "FORBIDDEN" });
  assert.equal(world.snapshot.rows.length, 2);
});

test("a namespace that the server ends for no reason is connected again", async () => {
  const world = new World();
  await world.live();
  await world.socket.cut("io server disconnect");
  assert.equal(world.state, "reconnecting");
});

test("a room that is busy is joined later, on the same connection", async () => {
  const world = new World();
  await world.socket.open();
  await world.socket.next("join-retreat").reply(error("ROOM_BUSY", { retryable: true }));
  assert.equal(world.snapshot.connection.reason, "ROOM_BUSY");
  await world.clock.advance(2_000);
  await world.socket.next("join-retreat").reply({ status: "OK", data: [row(1)], revision: 3, epoch: "a", full: true });
  assert.equal(world.state, "live");
  assert.equal(world.socket.attempts, 1);
});

test("a connection on which an answer is missing is given up", async () => {
  const world = new World();
  await world.live();
  world.client.editing(1, "gbsNumber", true);
  await world.clock.advance(19_999);
  assert.equal(world.state, "live");
  await world.clock.advance(1);
  assert.equal(world.snapshot.connection.reason, "no answer");
});

test("an answer that belongs to an earlier connection is ignored", async () => {
  const world = new World();
  await world.socket.open();
  const { reply } = world.socket.next("join-retreat");
  await world.socket.cut();
  await reply({ status: "OK", data: [row(1)], revision: 3, epoch: "a", full: true });
  assert.equal(world.state, "reconnecting");
  assert.equal(world.snapshot.rows.length, 0);
});

test("what arrives twice is taken once", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  const { reply } = world.socket.next("update-gbs-number");
  const saved = { status: "OK", data: row(1, { gbsNumber: 3, revision: 1 }), revision: 1 };
  await reply(saved);
  await world.update([row(1, { gbsNumber: 4, revision: 2 })]);
  const before = world.snapshot.rows;
  await world.update([row(1, { gbsNumber: 4, revision: 2 })]);
  await reply(saved);
  assert.equal(world.snapshot.rows, before);
});

test("offline is said as long as the device is, and ends at once", async () => {
  const world = new World();
  await world.live();
  world.client.online(false);
  assert.equal(world.state, "live"); // the device may be wrong
  await world.socket.cut();
  assert.equal(world.state, "offline");
  await world.clock.advance(1_000);
  world.client.online(true);
  assert.equal(world.socket.attempts, 2);
  await world.live();
  assert.equal(world.state, "live");
});

test("an offline device tries on, since it may be wrong", async () => {
  const world = new World();
  world.client.online(false);
  await world.socket.fail();
  assert.equal(world.state, "offline");
  await world.clock.advance(2_000);
  assert.equal(world.socket.attempts, 2);
});

test("hidden for long it is disconnected, and comes back with what it has", async () => {
  const world = new World();
  await world.live([row(1, { revision: 4 })], { revision: 7 });
  world.client.hidden();
  assert.deepEqual(world.snapshot.connection, { state: "offline", reason: "hidden" });
  assert.equal(world.socket.connected, false);
  assert.equal(world.snapshot.rows.length, 1);
  assert.equal(world.clock.timers, 0);
  world.client.online(true);
  assert.equal(world.socket.attempts, 1);
  world.client.shown();
  assert.deepEqual(await world.live([], { revision: 9, full: false }), { retreatSlug: "winter", since: 7, epoch: "a" });
  assert.equal(world.snapshot.revision, 9);
});

test("being shown changes nothing while it is live, and ends a wait", async () => {
  const world = new World();
  await world.live();
  world.client.shown();
  assert.equal(world.socket.attempts, 1);
  await world.socket.cut();
  world.client.shown();
  assert.equal(world.socket.attempts, 2);
  world.client.shown();
  assert.equal(world.socket.attempts, 2);
});

test("after sleep there is a new connection at once", async () => {
  const world = new World();
  await world.live();
  world.client.woke();
  assert.equal(world.socket.attempts, 2);
  assert.equal(world.state, "reconnecting");
});

test("once it is closed nothing is left running", async () => {
  const world = new World();
  await world.live();
  await world.socket.receive("user-editing", { lineupId: 1, userId: 2, userName: "이", field: null, editing: true });
  void world.client.assignNumber(1, 2);
  world.client.editing(1, "gbsNumber", true);
  world.client.close();
  world.client.woke();
  assert.deepEqual(world.snapshot.connection, { state: "offline", reason: "closed" });
  assert.equal(world.clock.timers, 0);
});

test("attempts, successes and reconnections are counted, and reported once", async () => {
  const world = new World();
  await world.socket.fail();
  await world.clock.advance(2_000);
  await world.live();
  await world.socket.cut();
  await world.clock.advance(10_000);
  await world.live();
  const { attempts, successes, reconnects } = world.snapshot.metrics;
  assert.deepEqual({ attempts, successes, reconnects }, { attempts: 3, successes: 2, reconnects: 1 });
  const report = world.client.takeMetrics();
  assert.equal(report.seconds, 12);
  assert.equal(report.reconnects, 1);
  assert.equal(world.client.takeMetrics(), null);
});
