import assert from "node:assert/strict";
import { test } from "node:test";
import { wordDiff } from "../../../gbs_actor/web/static/lineup/diff.js";

const joined = (parts, ...kinds) => parts.filter(({ kind }) => kinds.includes(kind)).map(({ text }) => text).join("");

test("words that differ are removed and added", () => {
  assert.deepEqual(wordDiff("둘째 날 방송팀 합류", "둘째 날 찬양팀 합류"), [
    { kind: "same", text: "둘째 날 " },
    { kind: "removed", text: "방송팀" },
    { kind: "added", text: "찬양팀" },
    { kind: "same", text: " 합류" },
  ]);
});

test("either text can be read from the difference of any two", () => {
  const words = ["가", "나", "다", " ", "\n", "라마"];
  let seed = 1;
  const random = (most) => (seed = (seed * 48271) % 2147483647) % most;
  for (let turn = 0; turn < 500; turn += 1) {
    const text = () => Array.from({ length: random(12) }, () => words[random(words.length)]).join(random(2) ? " " : "");
    const [before, after] = [text(), text()];
    const parts = wordDiff(before, after);
    assert.equal(joined(parts, "same", "removed"), before);
    assert.equal(joined(parts, "same", "added"), after);
  }
});

test("equal texts have one part, and none has none", () => {
  assert.deepEqual(wordDiff("가 나", "가 나"), [{ kind: "same", text: "가 나" }]);
  assert.deepEqual(wordDiff("", ""), []);
});

test("long texts are compared as a whole, in no time", () => {
  const long = Array.from({ length: 1000 }, (_, number) => `w${number}`).join(" ");
  const began = performance.now();
  assert.equal(wordDiff(long, `${long} x`).length, 2);
  assert.ok(performance.now() - began < 100);
});
