/** Values of edits, as texts. */
import { NOTHING } from "../shared/format.js";
import { nameOf } from "./palette.js";
import { texts } from "./strings.js";

/** @param {import("../../client/types.js").MemoValue} memo */
export function shownMemo(memo) {
  if (!memo) return texts.conflict.noMemo;
  const colour = memo.color ? ` (${nameOf(memo.color)})` : "";
  return `${memo.memo || NOTHING}${colour}`;
}

/** @param {number | null} number */
export const shownNumber = (number) => (number === null ? texts.conflict.noNumber : String(number));
