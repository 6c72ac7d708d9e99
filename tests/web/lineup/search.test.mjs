import assert from "node:assert/strict";
import { test } from "node:test";
import { found, searchable } from "../../../gbs_actor/web/static/lineup/search.js";

const finds = (text, query) => found(searchable(text), searchable(query));

test("initial consonants find syllables", () => {
  for (const query of ["ㅂㅅㅈ", "ㅅㅈ", "박ㅅㅈ", "ㅂ서준", "ㅂ"]) assert.ok(finds("박서준", query), query);
  for (const query of ["ㅂㅈ", "ㅃㅅㅈ", "ㅂㅅㅈㅎ", "ㄱ"]) assert.ok(!finds("박서준", query), query);
});

test("on the way to a name every state of the input method finds it", () => {
  const ways = {
    박서준: ["ㅂ", "바", "박", "밗", "박서", "박섲", "박서주", "박서준"],
    김민아: ["ㄱ", "기", "김", "김ㅁ", "김미", "김민", "김민ㅇ", "김민아"],
    미나: ["ㅁ", "미", "민", "미나"],
    값진: ["ㄱ", "가", "갑", "값", "값ㅈ", "값지", "값진"],
    과의: ["ㄱ", "고", "과", "광", "과ㅇ", "과으", "과의"],
    위원: ["우", "위", "윙", "위우", "위워", "위원"],
    달가: ["다", "달", "닭", "달가"],
  };
  for (const [name, queries] of Object.entries(ways)) {
    for (const query of queries) assert.ok(finds(name, query), `${query} for ${name}`);
  }
});

test("a syllable in the middle is complete", () => {
  assert.ok(!finds("간나", "가나"));
  assert.ok(!finds("박서준", "바서"));
  assert.ok(finds("박서준", "바"));
});

test("the last consonant belongs to the next syllable, or it is another name", () => {
  assert.ok(!finds("과", "구"));
  assert.ok(!finds("고", "과"));
  assert.ok(!finds("미라", "민"));
  assert.ok(!finds("미", "민"));
  assert.ok(!finds("박소", "밗하"));
});

test("all words are looked for, wherever they are, in any case and form", () => {
  assert.ok(finds("박서준 찬양팀\n010-1234-5678", "5678  ㅂㅅㅈ"));
  assert.ok(!finds("박서준 찬양팀", "박서준 방송"));
  assert.ok(finds("John Smith", "smith JOHN"));
  assert.ok(finds("박서준".normalize("NFD"), "박서"));
  assert.ok(finds("박서준", ""));
});

test("what looks like syntax is a text", () => {
  assert.ok(finds("a.*b [x] 😀", ".*b"));
  assert.ok(!finds("ab", "a.*b"));
  assert.ok(finds("😀가", "😀ㄱ"));
});
