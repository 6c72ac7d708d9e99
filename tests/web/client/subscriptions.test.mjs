import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram } from "../../../gbs_actor/web/client/histogram.js";
import { row, World } from "./world.mjs";

test("a snapshot stays the same object until something changes", async () => {
  const world = new World();
  await world.live([row(1), row(2)]);
  const before = world.snapshot;
  assert.equal(world.snapshot, before);
  await world.update([row(1)], { revision: 3 });
  assert.notEqual(world.snapshot, before);
  assert.equal(world.snapshot.rows, before.rows);
  await world.update([row(1, { lineupMemo: "새 메모", revision: 4 })]);
  assert.notEqual(world.snapshot.rows, before.rows);
  assert.equal(world.snapshot.rows[1], before.rows[1]);
});

test("a row and the snapshot read the same to whoever listens to a row", async () => {
  const world = new World();
  await world.live([row(1)]);
  const seen = [];
  world.client.subscribeRow(1, () => seen.push(world.snapshot.rows[0] === world.client.row(1)));
  assert.equal(world.snapshot.rows[0].gbsNumber, null);
  await world.socket.receive("lineup-updated", row(1, { gbsNumber: 3, revision: 1 }));
  assert.deepEqual(seen, [true]);
});

test("a listener that throws keeps neither the others nor the connection from going on", async (context) => {
  const thrown = [];
  const { queueMicrotask } = globalThis;
  context.mock.method(globalThis, "queueMicrotask", (callback) =>
    queueMicrotask(() => {
      try {
        callback();
      } catch (error) {
        thrown.push(error.message);
      }
    }),
  );
  const world = new World();
  let calls = 0;
  for (const subscribe of [world.client.subscribe, (listener) => world.client.subscribeRow(1, listener)]) {
    subscribe(() => {
      throw new Error("theirs");
    });
    subscribe(() => (calls += 1));
  }
  await world.live([row(1)]);
  assert.equal(world.state, "live");
  assert.ok(calls >= 2);
  assert.ok(thrown.includes("theirs"));
});

test("a rejoin with the whole list keeps the rows that read as before", async () => {
  const world = new World();
  await world.live([row(1), row(2), row(3)]);
  const before = world.snapshot.rows;
  await world.socket.cut();
  await world.clock.advance(2_000);
  await world.live([row(1), row(2, { gbsNumber: 4 })]);
  const { rows } = world.snapshot;
  assert.deepEqual(rows.map(({ id }) => id), [2, 1]);
  assert.equal(rows[1], before[0]);
});

test("listeners are called once for what happens together", async () => {
  const world = new World();
  let called = 0;
  const end = world.client.subscribe(() => (called += 1));
  await world.live();
  await world.settle();
  called = 0;
  void world.client.assignNumber(1, 3);
  void world.client.assignNumber(2, 3);
  assert.equal(called, 0);
  await world.settle();
  assert.equal(called, 1);
  end();
  void world.client.assignNumber(1, 4);
  await world.settle();
  assert.equal(called, 1);
});

test("a row's listener is called only for that row", async () => {
  const world = new World();
  await world.live();
  const called = [];
  const ends = [1, 2].map((id) => world.client.subscribeRow(id, () => called.push(id)));
  await world.update([row(2, { gbsNumber: 4, revision: 1 })]);
  await world.update([], { revision: 2, groups: [{ gbsNumber: 4, revision: 2, gbsMemo: "2층", totalCount: 1 }] });
  await world.update([row(2)], { revision: 2, removed: [1] });
  assert.deepEqual(called, [2, 2, 2, 1]);
  assert.equal(world.client.row(1), undefined);
  ends.forEach((end) => end());
  void world.client.assignNumber(2, 9);
  assert.equal(called.length, 4);
});

test("quantiles are of all values, a report of those since the last one", () => {
  const histogram = new Histogram();
  assert.deepEqual(histogram.quantiles, { count: 0, p50: 0, p95: 0, p99: 0 });
  for (let at = 0; at < 99; at += 1) histogram.add(4);
  histogram.add(60_000);
  assert.equal(histogram.take().sum, 99 * 4 + 60_000);
  histogram.add(-3); // the clock was set
  const { counts, sum, bounds } = histogram.take();
  assert.deepEqual([counts[0], counts.length, sum], [1, bounds.length + 1, 0]);
  const { count, p50, p99 } = histogram.quantiles;
  assert.equal(count, 101);
  assert.ok(p50 > 2 && p50 < 5);
  assert.ok(p99 <= 5);
});
