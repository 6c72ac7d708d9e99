import assert from "node:assert/strict";
import { test } from "node:test";
import { conflict, error, ok, row, Storage, World } from "./world.mjs";

const cell = (world, id = 1, field = "gbsNumber") => world.snapshot.cells.get(`${id}:${field}`);
const memo = { lineupMemo: "메모", lineupMemoId: 5, lineupMemocolor: "#FF0000" };

test("an edit is shown at once, and names the row's own revision and the epoch", async () => {
  const world = new World();
  await world.live([row(1, { revision: 4 }), row(2)], { revision: 9 });
  const saved = world.client.assignNumber(1, 3);
  assert.equal(world.client.row(1).gbsNumber, 3);
  assert.deepEqual(cell(world), { status: "saving" });
  assert.equal(world.snapshot.unsent, 1);
  const { argument, reply } = world.socket.next("update-gbs-number");
  const { commandId, ...rest } = argument;
  assert.match(commandId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(rest, { userRetreatRegistrationId: 1, gbsNumber: 3, baseRevision: 4, epoch: "a" });
  await reply(ok(row(1, { gbsNumber: 3, revision: 10 })));
  assert.equal((await saved).status, "saved");
  assert.deepEqual(cell(world), { status: "saved" });
  assert.equal(world.snapshot.unsent, 0);
  await world.clock.advance(2_000);
  assert.equal(cell(world), undefined);
});

test("an edit shows what the rest of its group does", async () => {
  const world = new World();
  await world.live([row(1), row(2, { gbsNumber: 7, gbsMemo: "2층", totalCount: 4 })]);
  void world.client.assignNumber(1, 7);
  assert.equal(world.client.row(1).gbsMemo, "2층");
  assert.deepEqual(world.snapshot.rows.map(({ id }) => id), [1, 2]);
  void world.client.assignNumber(1, null);
  assert.equal(world.client.row(1).gbsMemo, "");
});

test("the command of a memo depends on whether there is one", async () => {
  const world = new World();
  await world.live([row(1), row(2, memo)]);
  void world.client.saveMemo(1, { memo: " 새 메모 ", color: "transparent" });
  void world.client.saveMemo(2, { memo: "다른 메모", color: "#00FF00" });
  assert.equal(world.client.row(1).lineupMemo, "새 메모");
  const created = world.socket.next("create-lineup-memo").argument;
  assert.deepEqual([created.userRetreatRegistrationId, created.memo, created.color], [1, "새 메모", ""]);
  const updated = world.socket.next("update-lineup-memo").argument;
  assert.deepEqual([updated.userRetreatRegistrationMemoId, updated.memo], [5, "다른 메모"]);
});

test("a memo is deleted by its id, and what is not there needs no command", async () => {
  const world = new World();
  await world.live([row(1), row(2, memo)]);
  void world.client.deleteMemo(2);
  assert.equal(world.client.row(2).lineupMemo, "");
  assert.equal(world.socket.next("delete-lineup-memo").argument.userRetreatRegistrationMemoId, 5);
  assert.equal((await world.client.deleteMemo(1)).status, "saved");
  assert.equal(world.socket.sent.length, 0);
});

test("what was sent and not answered is sent again behind the join, unchanged", async () => {
  const world = new World();
  await world.live();
  const saved = world.client.assignNumber(1, 3);
  const first = world.socket.next("update-gbs-number");
  await world.socket.cut();
  assert.deepEqual(cell(world), { status: "waiting" });
  await world.clock.advance(2_000);
  await world.socket.open();
  assert.deepEqual(world.socket.sent.map(({ event }) => event), ["join-retreat"]);
  const changed = row(1, { gbsNumber: 3, revision: 5 });
  await world.socket.next("join-retreat").reply({ status: "OK", data: [changed], revision: 5, epoch: "a", full: false });
  const again = world.socket.next("update-gbs-number");
  assert.deepEqual(again.argument, first.argument);
  await first.reply(error("INTERNAL")); // of the earlier connection: ignored
  await again.reply(ok(changed));
  assert.equal((await saved).status, "saved");
});

test("what was typed offline rests on what its author saw, whatever came in since", async () => {
  const world = new World();
  await world.live([row(1, { revision: 2 })], { revision: 2 });
  await world.socket.cut();
  void world.client.assignNumber(1, 3);
  void world.client.assignNumber(1, 4);
  assert.equal(world.snapshot.unsent, 1);
  await world.clock.advance(2_000);
  await world.live([row(1, { gbsNumber: 8, revision: 6 })], { revision: 6, full: false });
  assert.equal(world.client.row(1).gbsNumber, 4);
  const { argument } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.gbsNumber, argument.baseRevision], [4, 2]);
  assert.equal(world.socket.sent.length, 0);
});

test("the author of an edit may say what they saw, since an editor may be open for long", async () => {
  const world = new World();
  await world.live([row(1, { revision: 2 })], { revision: 2 });
  const base = { revision: 2, epoch: "a" };
  await world.update([row(1, { gbsNumber: 8, lineupMemo: "남의", lineupMemoId: 5, revision: 6 })]);
  void world.client.assignNumber(1, 3, { base });
  void world.client.saveMemo(1, { memo: "내 메모" }, { base: { revision: 1, epoch: "before" } });
  const number = world.socket.next("update-gbs-number").argument;
  const memo = world.socket.next("update-lineup-memo").argument;
  assert.deepEqual([number.baseRevision, number.epoch], [2, "a"]);
  assert.deepEqual([memo.baseRevision, memo.epoch], [1, "before"]);
});

test("they have also seen what they made of the cell themselves since", async () => {
  const world = new World();
  await world.live();
  const base = { revision: 0, epoch: "a" };
  void world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(ok(row(1, { gbsNumber: 3, revision: 4 })));
  await world.update([row(1, { gbsNumber: 3, lineupMemo: "남의", lineupMemoId: 5, revision: 6 })]);
  void world.client.assignNumber(1, 5, { base });
  void world.client.deleteMemo(1, { base });
  assert.equal(world.socket.next("update-gbs-number").argument.baseRevision, 4);
  assert.equal(world.socket.next("delete-lineup-memo").argument.baseRevision, 0);
});

test("an editor that opens behind an own edit saw what that one rests on", async () => {
  const world = new World();
  await world.live([row(1, { revision: 2 })], { revision: 2 });
  assert.deepEqual(world.client.base(1, "gbsNumber"), { revision: 2, epoch: "a" });
  void world.client.assignNumber(1, 3);
  await world.update([row(1, { gbsNumber: 8, revision: 6 })]);
  assert.deepEqual(world.client.base(1, "gbsNumber"), { revision: 2, epoch: "a" });
  assert.deepEqual(world.client.base(1, "lineupMemo"), { revision: 6, epoch: "a" });
  assert.equal(world.client.base(99, "lineupMemo"), undefined);
});

test("a later edit of a cell takes the place of one that was not sent", async () => {
  const world = new World();
  await world.live();
  await world.socket.cut();
  const first = world.client.assignNumber(1, 3);
  void world.client.assignNumber(1, 4);
  assert.deepEqual(await first, { status: "superseded" });
});

test("a later edit of a cell follows one that was sent, on the revision which that made", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  void world.client.assignNumber(1, 4);
  void world.client.saveMemo(1, { memo: "다른 칸" }); // another cell need not wait
  assert.deepEqual(world.socket.sent.map(({ event }) => event), ["update-gbs-number", "create-lineup-memo"]);
  await world.update([row(1, { gbsNumber: 9, revision: 8 })]); // behind ours, in the same message
  await world.socket.next("update-gbs-number").reply(ok(row(1, { gbsNumber: 3, revision: 7 })));
  assert.equal(world.client.row(1).gbsNumber, 4);
  const { argument, reply } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.gbsNumber, argument.baseRevision], [4, 7]);
  await reply(conflict(row(1, { gbsNumber: 9, revision: 8 })));
  assert.equal(world.snapshot.conflicts.length, 1);
});

test("a later memo is addressed to the memo that the first one made", async () => {
  const world = new World();
  await world.live();
  void world.client.saveMemo(1, { memo: "하나" });
  void world.client.saveMemo(1, { memo: "둘" });
  await world.socket.next("create-lineup-memo").reply(ok(row(1, { lineupMemo: "하나", lineupMemoId: 8, revision: 1 })));
  assert.equal(world.socket.next("update-lineup-memo").argument.userRetreatRegistrationMemoId, 8);
});

test("an edit that is refused is taken back, with the reason", async () => {
  const world = new World();
  await world.live();
  const failed = world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(error("LEADER_LOCKED"));
  assert.equal((await failed).failure.code, "LEADER_LOCKED");
  assert.equal(world.client.row(1).gbsNumber, null);
  assert.deepEqual(cell(world), { status: "failed", reason: "LEADER_LOCKED" });
  const [failure] = world.snapshot.failures;
  assert.deepEqual([failure.id, failure.field, failure.value], [1, "gbsNumber", 3]);
  world.client.dismiss(failure);
  assert.equal(cell(world), undefined);
});

test("a new edit of a cell ends what failed there", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(error("LEADER_LOCKED"));
  void world.client.assignNumber(1, 4);
  assert.deepEqual(world.snapshot.failures, []);
});

test("what waited behind a refused edit is saved, and then nothing has failed", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 99_999);
  void world.client.assignNumber(1, 4);
  await world.socket.next("update-gbs-number").reply(error("VALIDATION_FAILED"));
  assert.equal(world.client.row(1).gbsNumber, 4);
  const { argument, reply } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.gbsNumber, argument.baseRevision], [4, 0]);
  await reply(ok(row(1, { gbsNumber: 4, revision: 1 })));
  assert.deepEqual([cell(world), world.snapshot.failures], [{ status: "saved" }, []]);
});

test("a conflict has mine and theirs, who and when, and the row shows theirs", async () => {
  const world = new World();
  await world.live();
  const edit = world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(conflict(row(1, { gbsNumber: 8, revision: 6 })));
  const [found] = world.snapshot.conflicts;
  assert.deepEqual({ ...found, row: found.row.id }, {
    key: "1:gbsNumber",
    id: 1,
    field: "gbsNumber",
    mine: 3,
    theirs: 8,
    changedBy: "이간사",
    changedAt: "2024-01-02T00:00:00.000Z",
    revision: 6,
    epoch: "a",
    row: 1,
  });
  assert.deepEqual(await edit, { status: "conflict", conflict: found });
  assert.equal(world.client.row(1).gbsNumber, 8);
  assert.deepEqual(cell(world), { status: "conflict" });
});

test("one's own value is sent again over theirs, on the revision of theirs", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  const first = world.socket.next("update-gbs-number");
  await first.reply(conflict(row(1, { gbsNumber: 8, revision: 9 }), { revision: 6 }));
  world.client.resolve(world.snapshot.conflicts[0], "mine");
  assert.deepEqual(world.snapshot.conflicts, []);
  assert.equal(world.client.row(1).gbsNumber, 3);
  const { argument } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.gbsNumber, argument.baseRevision], [3, 6]);
  assert.notEqual(argument.commandId, first.argument.commandId);
});

test("a conflict that is older than the epoch conflicts again", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(conflict(row(1, { gbsNumber: 8, revision: 6 })));
  await world.socket.cut();
  await world.clock.advance(2_000);
  await world.live([row(1, { gbsNumber: 9, revision: 2 })], { revision: 9, epoch: "b" });
  world.client.resolve(world.snapshot.conflicts[0], "mine");
  const { argument } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.baseRevision, argument.epoch], [6, "a"]);
});

test("or it is dropped", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(conflict(row(1, { gbsNumber: 8, revision: 6 })));
  const [found] = world.snapshot.conflicts;
  world.client.resolve(found, "theirs");
  world.client.resolve(found, "mine"); // it is resolved already
  assert.deepEqual([world.snapshot.conflicts, world.socket.sent], [[], []]);
  assert.equal(world.client.row(1).gbsNumber, 8);
});

test("what was typed last conflicts, not what was sent first", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  const later = world.client.assignNumber(1, 4);
  await world.socket.next("update-gbs-number").reply(conflict(row(1, { gbsNumber: 8, revision: 6 })));
  assert.equal((await later).conflict.mine, 4);
  assert.equal(world.socket.sent.length, 0);
});

test("a conflict of memos has their texts", async () => {
  const world = new World();
  await world.live([row(1, memo)]);
  void world.client.saveMemo(1, { memo: "내 메모" });
  const theirs = { memoId: 5, memo: "남의 메모", color: "" };
  await world.socket.next("update-lineup-memo").reply(conflict(row(1, { ...memo, revision: 2 }), { field: "lineupMemo", theirs }));
  const [found] = world.snapshot.conflicts;
  assert.deepEqual([found.mine, found.theirs], [{ memo: "내 메모", color: "" }, { memo: "남의 메모", color: "" }]);
});

test("an edit of a memo that was deleted meanwhile becomes a conflict, not a failure", async () => {
  const world = new World();
  await world.live([row(1, memo)]);
  void world.client.saveMemo(1, { memo: "내 메모" });
  const first = world.socket.next("update-lineup-memo");
  await world.update([row(1, { revision: 2 })]);
  await first.reply(error("NOT_FOUND"));
  const again = world.socket.next("create-lineup-memo");
  assert.equal(again.argument.baseRevision, 0);
  assert.notEqual(again.argument.commandId, first.argument.commandId);
  await again.reply(conflict(row(1, { revision: 2 }), { field: "lineupMemo", theirs: null }));
  assert.equal(world.snapshot.conflicts[0].theirs, null);
});

test("an edit of a memo whose row is gone fails", async () => {
  const world = new World();
  await world.live([row(1, memo)]);
  void world.client.saveMemo(1, { memo: "내 메모" });
  await world.update([], { revision: 2, removed: [1] });
  await world.socket.next("update-lineup-memo").reply(error("NOT_FOUND"));
  assert.equal(world.snapshot.failures[0].code, "NOT_FOUND");
});

test("a server that is busy is asked again later with the same id, and nothing else meanwhile", async () => {
  for (const code of ["RATE_LIMITED", "ROOM_BUSY", "STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"]) {
    const world = new World();
    await world.live();
    const saved = world.client.assignNumber(1, 3);
    const first = world.socket.next("update-gbs-number");
    await first.reply(error(code, { retryable: true }));
    assert.deepEqual(cell(world), { status: "waiting" });
    void world.client.assignNumber(2, 3);
    assert.equal(world.socket.sent.length, 0);
    await world.clock.advance(2_000);
    const again = world.socket.next("update-gbs-number");
    assert.deepEqual(again.argument, first.argument);
    await again.reply(ok(row(1, { gbsNumber: 3, revision: 1 })));
    assert.equal((await saved).status, "saved");
    assert.equal(world.socket.next("update-gbs-number").argument.userRetreatRegistrationId, 2);
  }
});

test("it waits longer each time", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  const waits = [];
  for (let time = 0; time < 6; time += 1) {
    await world.socket.next("update-gbs-number").reply(error("ROOM_BUSY", { retryable: true }));
    waits.push(world.clock.next);
    await world.clock.advance(world.clock.next);
  }
  assert.deepEqual(waits, [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("but not longer than before once it answers, be it a conflict", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  for (const id of [1, 2]) {
    await world.socket.next("update-gbs-number").reply(error("ROOM_BUSY", { retryable: true }));
    assert.equal(world.clock.next, 2_000);
    await world.clock.advance(2_000);
    await world.socket.next("update-gbs-number").reply(conflict(row(id, { gbsNumber: 8, revision: 6 })));
    await world.clock.advance(2_000);
    void world.client.assignNumber(2, 3);
  }
});

test("an expired token keeps the edit until there is a new one", async () => {
  const world = new World({ token: (refresh) => (refresh ? "new" : "old") });
  await world.live();
  void world.client.assignNumber(1, 3);
  const first = world.socket.next("update-gbs-number");
  await first.reply(error("TOKEN_EXPIRED"));
  void world.client.assignNumber(2, 3);
  assert.deepEqual(world.socket.sent.map(({ event }) => event), ["authenticate"]); // nothing is sent meanwhile
  assert.deepEqual(cell(world), { status: "waiting" });
  await world.socket.next("authenticate").reply({ status: "OK", data: null, revision: 0 });
  assert.deepEqual(world.socket.next("update-gbs-number").argument, first.argument);
  assert.deepEqual(cell(world), { status: "saving" });
});

test("so does an expired cookie, over a new connection", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  const first = world.socket.next("update-gbs-number");
  await first.reply(error("TOKEN_EXPIRED"));
  await world.clock.advance(2_000);
  await world.socket.refuse("TOKEN_EXPIRED");
  assert.equal(world.state, "signed-out");
  assert.equal(world.snapshot.unsent, 1);
  assert.deepEqual(cell(world), { status: "waiting" });
  world.client.shown();
  await world.live();
  assert.deepEqual(world.socket.next("update-gbs-number").argument, first.argument);
});

test("at most eight commands are on their way, and the first is sent first", async () => {
  const world = new World();
  const rows = Array.from({ length: 20 }, (_, at) => row(at + 1));
  await world.live(rows);
  for (const { id } of rows) void world.client.assignNumber(id, 1);
  assert.equal(world.socket.sent.length, 8);
  for (const { id } of rows) {
    const { argument, reply } = world.socket.next("update-gbs-number");
    assert.equal(argument.userRetreatRegistrationId, id);
    await reply(ok(row(id, { gbsNumber: 1, revision: id })));
  }
  assert.equal(world.snapshot.unsent, 0);
});

test("the queue is bounded", async () => {
  const world = new World();
  await world.live(Array.from({ length: 600 }, (_, at) => row(at + 1)));
  await world.socket.cut();
  for (let id = 1; id <= 500; id += 1) void world.client.assignNumber(id, 1);
  const outcome = await world.client.assignNumber(501, 1);
  assert.equal(outcome.failure.code, "TOO_MANY_PENDING");
  assert.equal(world.client.row(501).gbsNumber, null);
});

test("a row that is not there cannot be edited", async () => {
  const world = new World();
  await world.live();
  assert.equal((await world.client.assignNumber(99, 1)).failure.code, "NOT_FOUND");
});

test("what is no number is not sent as null, which would unassign", async () => {
  const world = new World();
  await world.live([row(1, { gbsNumber: 3 })]);
  for (const number of [NaN, Infinity]) {
    assert.equal((await world.client.assignNumber(1, number)).failure.code, "VALIDATION_FAILED");
  }
  assert.deepEqual([world.client.row(1).gbsNumber, world.socket.sent], [3, []]);
});

test("an edit behind the end is refused at once, and leaves what others keep as it is", async () => {
  const storage = new Storage();
  const world = new World({ storage });
  await world.live();
  world.client.close();
  assert.equal((await world.client.assignNumber(1, 3)).failure.code, "CLOSED");
  assert.equal((await world.client.command("undo", {})).failure.code, "CLOSED");
  assert.equal(storage.items.size, 0);
});

test("any command can be sent, and shown until it is answered", async () => {
  const world = new World();
  await world.live();
  const touches = [1, 2].map((id) => ({ id, field: "gbsNumber", value: 6 }));
  const saved = world.client.command("bulk-assign-gbs", { assignments: [] }, { touches });
  assert.deepEqual(world.snapshot.rows.map(({ gbsNumber }) => gbsNumber), [6, 6]);
  void world.client.assignNumber(2, 7); // waits for it
  const { argument, reply } = world.socket.next("bulk-assign-gbs");
  assert.equal(argument.epoch, "a");
  assert.equal(world.socket.sent.length, 0);
  await reply({ status: "OK", data: { updatedCount: 2 }, revision: 5 });
  assert.deepEqual((await saved).data, { updatedCount: 2 });
  const later = world.socket.next("update-gbs-number").argument;
  assert.deepEqual([later.gbsNumber, later.baseRevision], [7, 5]); // which is no conflict with oneself
});

test("the id of an undo is not that of what it undoes", async () => {
  const world = new World();
  await world.live();
  void world.client.command("undo", { commandId: "of the change" });
  const { argument } = world.socket.next("undo");
  assert.equal(argument.commandId, "of the change");
  assert.match(argument.idempotencyKey, /^[0-9a-f-]{36}$/);
});

test("own changes are told from others'", async () => {
  const world = new World();
  await world.live();
  const seen = [];
  world.client.onChanges(({ own, by, fields }) => seen.push([own, by.userName, [...fields]]));
  void world.client.assignNumber(1, 3);
  const { commandId } = world.socket.next("update-gbs-number").argument;
  const change = { kind: "assign-number", by: { userId: 7, userName: "김간사" } };
  await world.update([row(1, { gbsNumber: 3, revision: 1 })], { changes: [{ ...change, revision: 1, ids: [1], commandId }] });
  await world.update([row(2, { gbsNumber: 4, revision: 2 })], { changes: [{ ...change, revision: 2, ids: [2] }] });
  assert.deepEqual(seen, [
    [true, "김간사", [[1, ["gbsNumber", "revision"]]]],
    [false, "김간사", [[2, ["gbsNumber", "revision"]]]],
  ]);
});

test("edits without an answer survive a reload, with their ids and what they rest on", async () => {
  const storage = new Storage();
  const world = new World({ storage, user: { userId: 7 } });
  await world.live([row(1, { revision: 4 }), row(2)], { revision: 4 });
  void world.client.assignNumber(1, 3);
  const { argument } = world.socket.next("update-gbs-number");
  await world.socket.cut();
  void world.client.saveMemo(2, { memo: "아직" });
  world.client.close();

  const next = new World({ storage, user: { userId: 7 } });
  assert.equal(next.snapshot.unsent, 2);
  await next.live([row(1, { revision: 4 }), row(2, { revision: 8 })], { revision: 8 });
  assert.equal(next.client.row(1).gbsNumber, 3);
  assert.deepEqual(next.socket.next("update-gbs-number").argument, argument);
  const memo = next.socket.next("create-lineup-memo").argument;
  assert.deepEqual([memo.memo, memo.baseRevision, memo.epoch], ["아직", 0, "a"]);
});

test("in a new epoch they are sent with their own, so that the server finds the conflict", async () => {
  const storage = new Storage();
  const world = new World({ storage });
  await world.live([row(1, { revision: 4 })], { revision: 4 });
  await world.socket.cut();
  void world.client.assignNumber(1, 3);
  await world.clock.advance(2_000);
  await world.live([row(1, { revision: 1 })], { revision: 1, epoch: "b" });
  const { argument, reply } = world.socket.next("update-gbs-number");
  assert.deepEqual([argument.baseRevision, argument.epoch], [4, "a"]);
  await reply(conflict(row(1, { gbsNumber: 2, revision: 1 })));
  world.client.resolve(world.snapshot.conflicts[0], "mine");
  const mine = world.socket.next("update-gbs-number").argument;
  assert.deepEqual([mine.baseRevision, mine.epoch], [1, "b"]);
});

test("an open conflict survives a reload as the edit that conflicts again", async () => {
  const storage = new Storage();
  const world = new World({ storage });
  await world.live();
  void world.client.assignNumber(1, 3);
  await world.socket.next("update-gbs-number").reply(conflict(row(1, { gbsNumber: 8, revision: 6 })));
  const next = new World({ storage });
  await next.live([row(1, { gbsNumber: 8, revision: 6 })], { revision: 6 });
  const { argument } = next.socket.next("update-gbs-number");
  assert.deepEqual([argument.gbsNumber, argument.baseRevision], [3, 0]);
  next.client.resolve(next.snapshot.conflicts[0] ?? { key: "" }, "theirs");
  world.client.resolve(world.snapshot.conflicts[0], "theirs");
  assert.deepEqual([...storage.items.values()], []);
});

test("another user's edits are not sent, nor what is not ours", async () => {
  const storage = new Storage();
  const world = new World({ storage, user: { userId: 7 } });
  await world.live();
  await world.socket.cut();
  void world.client.assignNumber(1, 3);
  assert.equal(new World({ storage, user: { userId: 8 } }).snapshot.unsent, 0);
  const [key] = storage.items.keys();
  for (const text of ["{", "7", '[{"commandId":7}]', "[null]"]) {
    storage.setItem(key, text);
    assert.equal(new World({ storage, user: { userId: 7 } }).snapshot.unsent, 0);
  }
});

test("a storage that is full or closed harms nothing", async () => {
  const denied = () => {
    throw new Error("SecurityError");
  };
  const world = new World({ storage: { getItem: denied, setItem: denied, removeItem: denied } });
  await world.live();
  void world.client.assignNumber(1, 3);
  assert.equal(world.socket.next("update-gbs-number").argument.gbsNumber, 3);
});

test("answers and screens are timed", async () => {
  const world = new World();
  await world.live();
  void world.client.assignNumber(1, 3);
  await world.clock.advance(16);
  world.client.painted();
  world.client.painted();
  await world.clock.advance(34);
  await world.socket.next("update-gbs-number").reply(ok(row(1, { gbsNumber: 3, revision: 1 })));
  const { answers, screens } = world.client.takeMetrics();
  assert.deepEqual([answers.sum, screens.sum], [50, 16]);
  assert.equal(answers.counts[answers.bounds.indexOf(50)], 1);
  assert.equal(screens.counts[screens.bounds.indexOf(20)], 1);
});
