// A room that decides as the server does, behind a network that delays, cuts and loses.
import { row } from "./world.mjs";

const MEMO = new Set(["create-lineup-memo", "update-lineup-memo", "delete-lineup-memo"]);

export class Room {
  epoch = "a";
  revision = 0;
  /** By id: the row, and per field the last change: { revision, by }. */
  people = new Map();
  /** By commandId: the ack of what was accepted. */
  #accepted = new Map();
  /** What was accepted of the client in this epoch: { key, value, replaced }. */
  log = [];
  /** And in earlier ones, which the server remembers nothing of. */
  formerly = [];
  #lastMemo = 0;

  constructor(rows) {
    for (const each of rows) this.people.set(each.id, { row: each, number: { revision: 0 }, memo: { revision: 0 } });
  }

  get rows() {
    return [...this.people.values()].map((person) => ({ ...person.row }));
  }

  /** The answer to a join, and to a command; and the update that goes out before it, if any. */
  answer(event, argument) {
    if (event === "join-retreat") return { reply: this.#join(argument) };
    if (event === "user-editing" || event === "authenticate") return { reply: { status: "OK", data: null, revision: this.revision } };
    const known = this.#accepted.get(argument.commandId);
    if (known !== undefined) return { reply: known };
    const person = MEMO.has(event) && event !== "create-lineup-memo" ? this.#owner(argument) : this.people.get(argument.userRetreatRegistrationId);
    if (person === undefined) return { reply: { status: "ERROR", code: "NOT_FOUND", message: "" } };
    return this.#decide(event, argument, person);
  }

  /** Somebody else writes. */
  write(id, field, value) {
    const person = this.people.get(id);
    return this.#change(person, field, value, "other");
  }

  startAnew(epoch) {
    this.epoch = epoch;
    this.revision = 0;
    this.formerly.push(...this.log.splice(0));
    this.#accepted.clear();
    for (const person of this.people.values()) {
      person.row = { ...person.row, revision: 0 };
      person.number = person.memo = { revision: 0 };
    }
  }

  #join({ since, epoch }) {
    const full = epoch !== this.epoch || since > this.revision;
    const data = this.rows.filter((each) => full || each.revision >= since);
    return { status: "OK", data, revision: this.revision, epoch: this.epoch, full };
  }

  #owner({ userRetreatRegistrationMemoId: memoId }) {
    return [...this.people.values()].find((person) => person.row.lineupMemoId === memoId);
  }

  #decide(event, argument, person) {
    const isMemo = MEMO.has(event);
    const stamp = isMemo ? person.memo : person.number;
    const value = isMemo ? (event === "delete-lineup-memo" ? null : argument.memo) : argument.gbsNumber;
    const now = isMemo ? (person.row.lineupMemoId === null ? null : person.row.lineupMemo) : person.row.gbsNumber;
    const exists = event === "create-lineup-memo" && now !== null;
    const unseen = argument.epoch !== this.epoch || stamp.revision > argument.baseRevision;
    if (now !== value && (unseen || exists)) {
      const theirs = isMemo && now !== null ? { memoId: person.row.lineupMemoId, memo: now, color: "" } : now;
      const conflict = { field: isMemo ? "lineupMemo" : "gbsNumber", theirs, changedBy: "", changedAt: null, revision: stamp.revision };
      return { reply: { status: "ERROR", code: "CONFLICT", message: "", data: { ...person.row }, conflict } };
    }
    let update;
    if (now !== value) {
      update = this.#change(person, isMemo ? "lineupMemo" : "gbsNumber", value, argument.commandId);
      this.log.push({ value, key: `${person.row.id}:${isMemo ? "lineupMemo" : "gbsNumber"}`, replaced: stamp });
    }
    const reply = { status: "OK", data: { ...person.row }, revision: this.revision };
    this.#accepted.set(argument.commandId, reply);
    return { update, reply };
  }

  #change(person, field, value, by) {
    this.revision += 1;
    const { revision } = this;
    if (field === "gbsNumber") {
      person.row = { ...person.row, gbsNumber: value, revision };
      person.number = { revision, by };
    } else {
      const id = value === null ? null : (person.row.lineupMemoId ?? (this.#lastMemo += 1));
      person.row = { ...person.row, lineupMemo: value ?? "", lineupMemoId: id, revision };
      person.memo = { revision, by };
    }
    const change = { revision, kind: "assign-number", by: { userId: 1, userName: "" }, ids: [person.row.id], commandId: by };
    return { revision, rows: [{ ...person.row }], groups: [], changes: [change] };
  }
}
