// A client, its clock, and its server.
import { createLineup } from "../../../gbs_actor/web/client/index.js";
import { FakeClock, settle } from "./clock.mjs";
import { FakeSocket } from "./socket.mjs";

export const row = (id, more = {}) => ({
  id,
  userId: id,
  gbsNumber: null,
  totalCount: 0,
  maleCount: 0,
  femaleCount: 0,
  fullAttendanceCount: 0,
  partialAttendanceCount: 0,
  univGroupId: 1,
  univGroupNumber: 1,
  gradeId: 1,
  gradeNumber: 1,
  gender: "MALE",
  name: `사람 ${id}`,
  phoneNumber: "",
  currentLeader: "",
  isLeader: false,
  isFullAttendance: true,
  gbsMemo: "",
  lineupMemo: "",
  lineupMemoId: null,
  lineupMemocolor: "",
  userType: null,
  userRetreatRegistrationScheduleIds: [1, 2],
  createdAt: "2024-01-01T00:00:00.000Z",
  updatedAt: "2024-01-01T00:00:00.000Z",
  unresolvedLineupHistoryMemo: null,
  adminMemo: null,
  revision: 0,
  ...more,
});

/** What sessionStorage is. */
export class Storage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => void this.items.set(key, value);
  removeItem = (key) => void this.items.delete(key);
}

export class World {
  clock = new FakeClock();
  random = 1;
  #socket;

  constructor(options = {}) {
    this.client = createLineup({
      slug: "winter",
      io: (url, given) => (this.#socket = new FakeSocket(url, given)),
      clock: this.clock,
      random: () => this.random,
      ...options,
    });
  }

  get socket() {
    return this.#socket;
  }

  get snapshot() {
    return this.client.getSnapshot();
  }

  get state() {
    return this.snapshot.connection.state;
  }

  /** Connect and join. */
  async live(rows = [row(1), row(2)], { revision = 0, epoch = "a", full = true } = {}) {
    await this.socket.open();
    const join = this.socket.next("join-retreat");
    await join.reply({ status: "OK", data: rows, revision, epoch, full });
    return join.argument;
  }

  /** An update in the batch form. */
  async update(rows, { revision = Math.max(0, ...rows.map((each) => each.revision)), groups = [], changes = [], removed } = {}) {
    await this.socket.receive("lineups-updated", { revision, rows, groups, changes, removed });
  }

  settle = settle;
}

export const ok = (data, revision = data.revision) => ({ status: "OK", data, revision });
export const error = (code, more = {}) => ({ status: "ERROR", code, message: code, ...more });
export const conflict = (data, { field = "gbsNumber", theirs = data.gbsNumber, revision = data.revision } = {}) =>
  error("CONFLICT", {
    data,
    conflict: { field, theirs, changedBy: "이간사", changedAt: "2024-01-02T00:00:00.000Z", revision },
  });
