import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, keep } from "../../../gbs_actor/web/static/lineup/order.js";

const row = (id, number, name = "") => ({ id, number, name });
const rule = { matches: ({ number }) => number !== 9, compare: (one, other) => one.number - other.number };
const ids = (rows) => rows.map(({ id }) => id);

test("rows are arranged by the rule, equal ones as they were", () => {
  const { ids: arranged } = arrange([row(1, 3), row(2, 1), row(3, 9), row(4, 1)], rule);
  assert.deepEqual(arranged, [2, 4, 1]);
});

test("a row that changes stays where it is, and is counted", () => {
  const rows = [row(1, 1), row(2, 2), row(3, 3)];
  const arrangement = arrange(rows, rule);
  const changed = [row(1, 1), row(3, 3), row(2, 7)];
  const { rows: shown, displaced } = keep(arrangement, changed, rule);
  assert.deepEqual(ids(shown), [1, 2, 3]);
  assert.equal(shown[1], changed[2]);
  assert.equal(displaced, 1);
});

test("a change that moves nothing is not counted, nor one that was taken back", () => {
  const rows = [row(1, 1), row(2, 2)];
  const arrangement = arrange(rows, rule);
  assert.equal(keep(arrangement, [rows[0], row(2, 2, "other")], rule).displaced, 0);
  assert.equal(keep(arrangement, [rows[0], row(2, 5)], rule).displaced, 1);
  assert.equal(keep(arrangement, [rows[0], row(2, 2)], rule).displaced, 0);
});

test("who matches no more stays, who matches now or is new waits, who is gone goes", () => {
  const arrangement = arrange([row(1, 1), row(2, 9), row(3, 3)], rule);
  const { rows, displaced } = keep(arrangement, [row(1, 9), row(2, 2), row(4, 4)], rule);
  assert.deepEqual(ids(rows), [1]);
  assert.equal(displaced, 3);
});

test("without changes all is as arranged", () => {
  const rows = Array.from({ length: 500 }, (_, id) => row(id, (id * 7919) % 101));
  const arrangement = arrange(rows, rule);
  const { rows: shown, displaced } = keep(arrangement, rows, rule);
  assert.deepEqual(ids(shown), arrangement.ids);
  assert.equal(displaced, 0);
  assert.deepEqual(ids(shown.toSorted(rule.compare)), arrangement.ids);
});
