/** Names and places of tasks. A place is "module:line function". */

/** Whether a call is in this package, not in a library. */
export function isOwn(place) {
  return place.startsWith("gbs_actor.");
}

/** A name without that of this package, which most begin with. */
export function withoutPackage(name) {
  return name.replace(/^gbs_actor\./, "");
}

/** Where a task waits: the innermost call of our own, since all end within Trio. */
export function placeOf(calls) {
  return calls.findLast(isOwn) ?? calls.findLast((call) => !call.startsWith("trio.")) ?? calls.at(-1) ?? "";
}
