/** The live line-up for browsers, without any framework. */

/**
 * @typedef {import("./types.js").Base} Base
 * @typedef {import("./types.js").CellStatus} CellStatus
 * @typedef {import("./types.js").Change} Change
 * @typedef {import("./types.js").Conflict} Conflict
 * @typedef {import("./types.js").ConnectionState} ConnectionState
 * @typedef {import("./types.js").EditingMark} EditingMark
 * @typedef {import("./types.js").Failure} Failure
 * @typedef {import("./types.js").Field} Field
 * @typedef {import("./types.js").LineupClient} LineupClient
 * @typedef {import("./types.js").LineupOptions} LineupOptions
 * @typedef {import("./types.js").MemoValue} MemoValue
 * @typedef {import("./types.js").MetricsReport} MetricsReport
 * @typedef {import("./types.js").Outcome} Outcome
 * @typedef {import("./types.js").PresentUser} PresentUser
 * @typedef {import("./types.js").Row} Row
 * @typedef {import("./types.js").Snapshot} Snapshot
 * @typedef {import("./types.js").Touch} Touch
 */

export { createLineup } from "./lineup.js";
export { compareRows } from "./order.js";
export { keyOf } from "./pending.js";
