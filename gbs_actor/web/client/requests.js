/** The event that an edit of a cell is sent as. */

/** @import { MemoValue, Row, Touch } from "./types.js" */

/**
 * @param {Touch} touch
 * @param {Row | undefined} row as the server has it
 * @returns {{ event: string, argument: object } | null} `null`: there is nothing to change
 */
export function requestOf({ id, field, value }, row) {
  if (field === "gbsNumber") {
    return { event: "update-gbs-number", argument: { userRetreatRegistrationId: id, gbsNumber: value } };
  }
  const memo = /** @type {MemoValue} */ (value);
  const memoId = row?.lineupMemoId ?? null;
  const target = { userRetreatRegistrationMemoId: memoId };
  if (memo === null) return memoId === null ? null : { event: "delete-lineup-memo", argument: target };
  if (memoId !== null) return { event: "update-lineup-memo", argument: { ...target, ...memo } };
  return { event: "create-lineup-memo", argument: { userRetreatRegistrationId: id, ...memo } };
}

/**
 * A value as conflicts and rows have it.
 *
 * @param {any} theirs
 * @returns {number | MemoValue}
 */
export function valueOf(theirs) {
  if (theirs === null || typeof theirs !== "object") return theirs;
  return { memo: theirs.memo, color: theirs.color };
}
