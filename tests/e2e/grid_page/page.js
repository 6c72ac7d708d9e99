// A page with the grid on it, and what a test asks of it: window.page.
import { createGrid } from "./grid/index.js";

const parameters = new URLSearchParams(location.search);
const can = () => !parameters.has("closed");
const NAMES = ["김하늘", "이서준", "박지우", "최도윤", "정하은", "강민준", "조서연"];

const text = (key, title, width, more) => ({ key, title, width, text: (row) => String(row[key] ?? ""), ...more });
const columns = [
  text("number", "GBS 번호", 84, {
    align: "center",
    sticky: true,
    editor: "number",
    editable: can,
    validate: (value) => (/^\d*$/.test(value) ? undefined : "숫자만 쓸 수 있습니다"),
  }),
  text("full", "전참", 60, { align: "end" }),
  text("part", "부분참", 60, { align: "end", className: (row) => (row.part > 4 ? "cell--over" : "") }),
  text("memo", "라인업 메모", 220, { grow: true, editor: "memo", editable: can }),
  text("department", "부서", 64),
  text("sex", "성별", 56, { align: "center" }),
  text("grade", "학년", 56, { align: "center" }),
  text("name", "이름", 84, { sticky: true, rowHeader: true }),
  text("phone", "전화번호", 130),
  text("leader", "현리더", 84),
  ...["금 저녁", "금 밤", "토 아침", "토 점심", "토 저녁", "토 밤", "일 아침", "일 점심", "일 예배", "일 저녁"].map(
    (title, index) => text(`s${index}`, title, 72, { align: "center", editable: can }),
  ),
];

const rowOf = (id) => ({
  id,
  number: id % 9 === 8 ? null : Math.floor(id / 8) + 1,
  full: id % 8 === 0 ? 5 : null,
  part: id % 8 === 0 ? 3 + (id % 5) : null,
  isLeader: id % 8 === 0,
  memo: id % 3 === 0 ? `메모 ${id}: 늦게 도착합니다` : "",
  department: `${(id % 7) + 1}부`,
  sex: id % 2 ? "남" : "여",
  grade: `${(id % 4) + 1}학년`,
  name: NAMES[id % NAMES.length],
  phone: `010-0000-${String(id).padStart(4, "0")}`,
  leader: NAMES[(id * 3) % NAMES.length],
  ...Object.fromEntries(columns.slice(10).map(({ key }, index) => [key, (id + index) % 3 ? "O" : ""])),
});

const texts = {
  label: "라인업",
  help: "셀을 고치려면 입력하세요. 표를 나가려면 Esc를 누른 다음 Tab을 누르세요.",
  editing: "편집 중",
  changed: "변경함",
  status: { saving: "저장 중", saved: "저장됨", failed: "저장 실패", waiting: "저장 대기" },
};

/** Notes when the text of a field is set while an input method composes one in it. */
function watchCompositions() {
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
  let composing = null;
  addEventListener("compositionstart", ({ target }) => (composing = target), true);
  addEventListener("compositionend", () => (composing = null), true);
  Object.defineProperty(HTMLTextAreaElement.prototype, "value", {
    get,
    set(value) {
      if (composing === this) console.error("a text was set while another was composed");
      set.call(this, value);
    },
  });
}

watchCompositions();

let rows = Array.from({ length: Number(parameters.get("rows") ?? 200) }, (_, id) => rowOf(id));
const events = [];
const notes = new Map();
let drawn = 0;

const grid = createGrid(document.getElementById("grid"), {
  columns: columns.map((column) => ({ ...column, render: parameters.has("render") && column.key === "name" ? drawName : undefined })),
  texts,
  rowHeight: Number(parameters.get("height") ?? 32),
  readOnly: parameters.has("readonly"),
  rowClass: (row) => (row.isLeader ? "row--leader" : ""),
  rowLabel: (row) => row.name,
  onEdit(row, column, value) {
    events.push(["edit", row.id, column.key, value]);
    page.update(row.id, { [column.key]: value });
  },
  onEditing: (row, column, on) => events.push(["editing", row.id, column.key, on]),
  onDelete: (selected) => events.push(["delete", ...size(selected)]),
  onPaste: (selected, pasted) => events.push(["paste", ...size(selected), pasted]),
  onSelect: () => events.push(["select"]),
  onOpen: (row, column) => events.push(["open", row.id, column.key]),
  onResize: (column, width) => events.push(["resize", column.key, width]),
  renderPanel: parameters.has("panel") ? drawPanel : undefined,
});
grid.setRows(rows);

const size = ({ rows: selectedRows, columns: selectedColumns }) => [
  selectedRows.map((row) => row.id),
  selectedColumns.map((column) => column.key),
];

function drawName(content, row) {
  drawn += 1;
  content.textContent = row.name;
}

function drawPanel(panel, { column, change, commit }) {
  if (column.key !== "memo") return false;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "swatch";
  button.setAttribute("aria-label", "노랑");
  button.addEventListener("click", () => {
    change();
    commit();
  });
  panel.append(button);
  return true;
}

addEventListener("copy", (event) => {
  page.copied = event.clipboardData.getData("text/plain");
});

const page = {
  grid,
  columns,
  copied: null,
  get rows() {
    return rows;
  },
  get drawn() {
    return drawn;
  },
  /** What the grid has reported since the last call, of these kinds. */
  events: (...kinds) => events.splice(0).filter(([kind]) => kinds.includes(kind)),
  update(id, changes) {
    rows = rows.map((row) => (row.id === id ? { ...row, ...changes } : row));
    if (parameters.has("sorted")) rows.sort((one, other) => one.number - other.number || one.id - other.id);
    grid.setRows(rows);
  },
  setRows(given) {
    rows = given;
    grid.setRows(rows);
  },
  /** Show a note with a button below each of these cells. */
  setNotes(cells) {
    for (const [id, key] of cells) {
      const name = `${id}:${key}`;
      if (notes.has(name)) continue;
      const element = document.createElement("div");
      element.className = "banner warn";
      const button = document.createElement("button");
      button.textContent = "상대 값 사용";
      element.append(`이서준: ${name}`, button);
      notes.set(name, { id, key, element });
    }
    grid.setNotes(cells.map(([id, key]) => notes.get(`${id}:${key}`)));
  },
  /** Reverse the order of the rows. */
  reverse() {
    page.setRows([...rows].reverse());
  },
  /** Where the selection is: [id, key] of the active cell, and [rows, columns] of the range. */
  selection() {
    const active = document.querySelector(".grid-cell.active");
    const selected = grid.selected();
    if (!active || !selected) return null;
    const id = rows[Number(active.parentElement.getAttribute("aria-rowindex")) - 2].id;
    const key = columns[Number(active.getAttribute("aria-colindex")) - 1].key;
    return [id, key, selected.rows.length, selected.columns.length];
  },
  /** The element of a cell, if it is drawn. */
  cell(id, key) {
    const index = rows.findIndex((row) => row.id === id) + 2;
    const column = columns.findIndex((each) => each.key === key) + 1;
    return document.querySelector(`.grid-row:not([hidden])[aria-rowindex="${index}"] > [aria-colindex="${column}"]`);
  },
  text: (id, key) => page.cell(id, key)?.querySelector(".grid-text").textContent ?? null,
  box(id, key) {
    const { x, y, width, height } = page.cell(id, key).getBoundingClientRect();
    return { x, y, width, height };
  },
};
window.page = page;
