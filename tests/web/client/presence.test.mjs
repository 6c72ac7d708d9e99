import assert from "node:assert/strict";
import { test } from "node:test";
import { World } from "./world.mjs";

const mark = (more = {}) => ({
  lineupId: 1,
  userRetreatRegistrationId: 1,
  userId: 8,
  adminUserId: 8,
  userName: "이간사",
  field: "gbsNumber",
  editing: true,
  ...more,
});
const shown = ({ snapshot }) => snapshot.marks.map(({ id, field, userName }) => `${userName} ${id}:${field}`);

test("who is here, and what they edit, is shown from the join on", async () => {
  const world = new World();
  await world.live();
  const users = [{ userId: 8, userName: "이간사", connections: 1, editing: [{ lineupId: 2, field: "lineupMemo" }] }];
  await world.socket.receive("room-presence", { users, total: 1 });
  assert.deepEqual(world.snapshot.presence, { users, total: 1 });
  assert.deepEqual(shown(world), ["이간사 2:lineupMemo"]);
});

test("a later list of who is here brings no mark back", async () => {
  const world = new World();
  await world.live();
  const users = [{ userId: 8, userName: "이간사", connections: 1, editing: [{ lineupId: 2, field: null }] }];
  await world.socket.receive("room-presence", { users: [], total: 0 });
  await world.socket.receive("room-presence", { users, total: 1 });
  assert.deepEqual(shown(world), []);
});

test("a mark begins, moves and ends", async () => {
  const world = new World();
  await world.live();
  await world.socket.receive("user-editing", mark());
  assert.deepEqual(shown(world), ["이간사 1:gbsNumber"]);
  await world.socket.receive("user-editing", mark({ editing: false }));
  await world.socket.receive("user-editing", mark({ lineupId: 2 }));
  assert.deepEqual(shown(world), ["이간사 2:gbsNumber"]);
  await world.socket.receive("user-editing", mark({ lineupId: 2, editing: false }));
  assert.deepEqual(shown(world), []);
});

test("a mark ends by itself unless it is renewed", async () => {
  const world = new World();
  await world.live();
  await world.socket.receive("user-editing", mark());
  await world.clock.advance(11_000);
  await world.socket.receive("user-editing", mark());
  await world.clock.advance(11_000);
  assert.equal(shown(world).length, 1);
  await world.clock.advance(1_000);
  assert.deepEqual(shown(world), []);
});

test("marks from before a reconnection are gone, and one's own is sent again", async () => {
  const world = new World();
  await world.live();
  world.client.editing(2, "lineupMemo", true);
  await world.socket.receive("user-editing", mark());
  await world.socket.cut();
  await world.clock.advance(2_000);
  await world.live();
  assert.deepEqual(shown(world), []);
  assert.deepEqual(world.socket.next("user-editing").argument, { lineupId: 2, field: "lineupMemo", editing: true });
  // The server may still list it as ours.
  const users = [{ userId: 7, userName: "김간사", connections: 1, editing: [{ lineupId: 2, field: "lineupMemo" }] }];
  await world.socket.receive("room-presence", { users, total: 1 });
  assert.deepEqual(shown(world), []);
});

test("one's own mark is renewed until it ends", async () => {
  const world = new World();
  await world.live();
  world.client.editing(1, "gbsNumber", true);
  world.client.editing(1, "gbsNumber", true);
  const sent = () => world.socket.sent.splice(0).map(({ argument }) => argument.editing);
  assert.deepEqual(sent(), [true]);
  for (let renewal = 0; renewal < 3; renewal += 1) {
    await world.clock.advance(4_000);
    assert.deepEqual(sent(), [true]);
  }
  world.client.editing(2, null, false); // not what is edited
  world.client.editing(1, "gbsNumber", false);
  assert.deepEqual(sent(), [false]);
  await world.clock.advance(15_000);
  assert.deepEqual(sent(), []);
});
