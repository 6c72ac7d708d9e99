/** The live line-up for browsers, without any framework. */
export { createLineup } from "./lineup.js";
export { keyOf } from "./pending.js";
export { compareRows } from "./order.js";
