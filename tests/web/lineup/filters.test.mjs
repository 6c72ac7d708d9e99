import assert from "node:assert/strict";
import { test } from "node:test";
import { comparing } from "../../../gbs_actor/web/static/lineup/fields.js";
import { isFiltered, matching, NO_FILTERS, valuesIn, withSchedule, withValues } from "../../../gbs_actor/web/static/lineup/filters.js";

let made = 0;
const row = (values = {}) => ({
  id: (made += 1), gbsNumber: null, isLeader: false, gender: "MALE", univGroupNumber: 1, gradeNumber: 1, name: "박서준",
  phoneNumber: "010-1234-5678", currentLeader: "", userType: null, lineupMemo: "", lineupMemocolor: "", gbsMemo: "",
  totalCount: 0, maleCount: 0, femaleCount: 0, fullAttendanceCount: 0, partialAttendanceCount: 0,
  userRetreatRegistrationScheduleIds: [], ...values,
});
const passes = (filters, values) => matching(filters)(row(values));

test("without filters all pass", () => {
  assert.ok(passes(NO_FILTERS, {}));
  assert.ok(!isFiltered(NO_FILTERS));
});

test("a column passes with the values that were chosen, the empty one too", () => {
  const filters = withValues(NO_FILTERS, "gbsNumber", new Set(["", "7"]));
  assert.ok(isFiltered(filters));
  assert.ok(passes(filters, {}));
  assert.ok(passes(filters, { gbsNumber: 7 }));
  assert.ok(!passes(filters, { gbsNumber: 70 }));
  assert.ok(!isFiltered(withValues(filters, "gbsNumber", null)));
});

test("memos are filtered by their colours, however they are written", () => {
  const filters = withValues(NO_FILTERS, "lineupMemo", new Set(["#FECACA"]));
  assert.ok(passes(filters, { lineupMemocolor: "#fecaca" }));
  assert.ok(!passes(filters, { lineupMemo: "#FECACA" }));
});

test("a schedule is ignored, wanted or not wanted", () => {
  const registered = { userRetreatRegistrationScheduleIds: [3] };
  const wanted = withSchedule(NO_FILTERS, 3, true);
  const unwanted = withSchedule(NO_FILTERS, 3, false);
  assert.deepEqual([passes(wanted, registered), passes(wanted, {})], [true, false]);
  assert.deepEqual([passes(unwanted, registered), passes(unwanted, {})], [false, true]);
  assert.ok(!isFiltered(withSchedule(wanted, 3, null)));
});

test("all filters have to be passed, and what one searches for", () => {
  const filters = { ...withValues(NO_FILTERS, "gender", new Set(["여"])), search: "ㅂㅅㅈ" };
  assert.ok(passes(filters, { gender: "FEMALE" }));
  assert.ok(!passes(filters, { gender: "MALE" }));
  assert.ok(!passes(filters, { gender: "FEMALE", name: "김하늘" }));
});

test("a row that has changed is searched as it is now", () => {
  const before = row({ lineupMemo: "찬양팀" });
  const search = matching({ ...NO_FILTERS, search: "방송" });
  assert.ok(!search(before));
  assert.ok(search({ ...before, lineupMemo: "방송팀" }));
});

test("the values of a column come in order with their numbers, the empty one last", () => {
  const rows = [10, 9, null, 10].map((gbsNumber) => row({ gbsNumber }));
  assert.deepEqual(valuesIn("gbsNumber", rows), [{ value: "9", count: 1 }, { value: "10", count: 2 }, { value: "", count: 1 }]);
});

test("rows are sorted by numbers or texts, the empty ones last either way", () => {
  const numbers = [3, null, 12, 1].map((gbsNumber) => row({ gbsNumber }));
  const sorted = (descending) => numbers.toSorted(comparing("gbsNumber", descending)).map(({ gbsNumber }) => gbsNumber);
  assert.deepEqual(sorted(false), [1, 3, 12, null]);
  assert.deepEqual(sorted(true), [12, 3, 1, null]);
  const leaders = ["홍", "", "김"].map((currentLeader) => row({ currentLeader }));
  assert.deepEqual(leaders.toSorted(comparing("currentLeader", true)).map(({ currentLeader }) => currentLeader), ["홍", "김", ""]);
});
