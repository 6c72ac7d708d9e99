/** The columns of the line-up, as the grid takes them. */
import { visible } from "../shared/format.js";
import { FIELDS } from "./fields.js";
import { texts } from "./strings.js";

/**
 * @typedef {import("./grid/types.d.ts").Column} Column
 * @typedef {import("../../client/types.js").Row} Row
 * @typedef {{id: number, name: string, day: string, label: string}} Schedule
 * @typedef {{schedules: Schedule[], largestGroup: number}} Retreat
 */

/** In pixels. */
const WIDTHS = {
  gbsNumber: 76, fullAttendanceCount: 44, partialAttendanceCount: 52, maleCount: 36, femaleCount: 36, lineupMemo: 190,
  univGroupNumber: 46, gender: 44, gradeNumber: 44, name: 78, phoneNumber: 126, userType: 60, currentLeader: 66, gbsMemo: 110,
};
const SCHEDULE_WIDTH = 42;
const GROUP = new Set(["fullAttendanceCount", "partialAttendanceCount", "maleCount", "femaleCount"]);
const CENTERED = new Set([...GROUP, "gbsNumber", "univGroupNumber", "gender", "gradeNumber"]);
const GREATEST_NUMBER = 9999;
export const LONGEST_MEMO = 2000;

/** On a narrow screen what names a row, and what is edited, comes first. */
const NARROW_ORDER = ["gbsNumber", "name", "lineupMemo"];

/**
 * All columns, also those that are hidden.
 *
 * @param {Retreat} retreat
 * @param {boolean} narrow
 * @returns {Column[]}
 */
export function columnsOf({ schedules, largestGroup }, narrow) {
  const keys = Object.keys(FIELDS);
  const fields = narrow ? [...NARROW_ORDER, ...keys.filter((key) => !NARROW_ORDER.includes(key))] : keys;
  const columns = fields.map((key) => fieldColumn(key, largestGroup, narrow));
  columns.splice(-1, 0, ...scheduleColumns(schedules));
  return columns;
}

/** The key of a schedule's column. @param {number} id */
export const scheduleKey = (id) => `schedule-${id}`;

/**
 * @param {string} key
 * @param {number} largestGroup
 * @param {boolean} narrow
 * @returns {Column}
 */
function fieldColumn(key, largestGroup, narrow) {
  const { text } = FIELDS[key];
  return {
    key,
    title: texts.columns[key],
    width: narrow && key === "lineupMemo" ? 180 : WIDTHS[key],
    grow: key === "lineupMemo",
    align: CENTERED.has(key) ? "center" : undefined,
    sticky: key === "gbsNumber" || key === "name",
    rowHeader: key === "name",
    text,
    ...(GROUP.has(key) && {
      className: (/** @type {Row} */ row) => (row.isLeader && row.totalCount > largestGroup ? "figure too-large" : "figure"),
    }),
    ...OWN[key],
  };
}

/** What single columns have of their own. @type {Record<string, Partial<Column>>} */
const OWN = {
  gbsNumber: {
    className: "group-number",
    editor: "number",
    editable: (row) => !row.isLeader,
    validate: (text) => (numberOf(text) === undefined ? texts.editing.wrongNumber : undefined),
  },
  lineupMemo: {
    className: "memo",
    editor: "memo",
    editable: () => true,
    validate(text) {
      const { length } = text.trim();
      return length > LONGEST_MEMO ? texts.editing.memoTooLong(length, LONGEST_MEMO) : undefined;
    },
    render(content, { lineupMemo, lineupMemocolor }) {
      content.textContent = oneLine(lineupMemo);
      content.title = lineupMemo.length > 20 ? visible(lineupMemo, 500) : "";
      const cell = /** @type {HTMLElement} */ (content.parentElement);
      if (lineupMemocolor) cell.style.setProperty("--memo", lineupMemocolor);
      else cell.style.removeProperty("--memo");
      content.classList.toggle("coloured", lineupMemocolor !== "");
    },
  },
  name: { className: "person", render: (content, row) => renderVisibly(content, row.name) },
  currentLeader: { render: (content, row) => renderVisibly(content, row.currentLeader) },
  phoneNumber: { className: "phone" },
  userType: { className: ({ userType }) => (userType ? `type type-${userType}` : "") },
  gbsMemo: { className: "quiet", render: (content, row) => renderVisibly(content, FIELDS.gbsMemo.text(row)) },
};

/**
 * @param {HTMLElement} content
 * @param {string} text
 */
function renderVisibly(content, text) {
  content.textContent = oneLine(text);
}

/** @param {string} text */
function oneLine(text) {
  return text === "" ? "" : visible(text.replace(/\s*\n\s*/g, " ⏎ "), 300);
}

/**
 * The number that a text means; `null`: none, `undefined`: it is not one.
 *
 * @param {string} text
 */
export function numberOf(text) {
  const digits = text.trim();
  if (digits === "") return null;
  const number = Number(digits);
  return /^\d{1,9}$/.test(digits) && number >= 1 && number <= GREATEST_NUMBER ? number : undefined;
}

/**
 * @param {Schedule[]} schedules
 * @returns {Column[]}
 */
function scheduleColumns(schedules) {
  const days = [...new Set(schedules.map(({ day }) => day))];
  return schedules.map(({ id, name, label, day }) => {
    const attends = (/** @type {Row} */ row) => row.userRetreatRegistrationScheduleIds.includes(id);
    const dayClass = `schedule day-${days.indexOf(day) % 4}`;
    return {
      key: scheduleKey(id),
      title: name || label,
      label,
      width: SCHEDULE_WIDTH,
      align: "center",
      text: (row) => (attends(row) ? texts.attends : ""),
      className: (row) => (attends(row) ? `${dayClass} attends` : dayClass),
      headerClass: dayClass,
      render(content, row) {
        // A dot, by the style sheet; the word is for those who do not see it.
        if (!content.firstChild) content.append(Object.assign(document.createElement("span"), { className: "unseen" }));
        /** @type {Node} */ (content.firstChild).textContent = attends(row) ? texts.attends : "";
      },
    };
  });
}
