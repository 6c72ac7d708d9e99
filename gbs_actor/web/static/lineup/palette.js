/** The colours of memos and of people. */
import { texts } from "./strings.js";

/** The nine colours of a memo; the first is none. */
export const COLOURS = ["", "#FECACA", "#FED7AA", "#FEF08A", "#BBF7D0", "#BAE6FD", "#C7D2FE", "#E9D5FF", "#E5E5E5"];

/** @param {string} colour */
export const nameOf = (colour) => texts.colours[COLOURS.indexOf(colour.toUpperCase())] ?? colour;

const PEOPLE = 8;

/** The colour of a user, the same on all screens; as a CSS value. @param {number | null} userId */
export const colourOfUser = (userId) => `var(--person-${Math.abs(userId ?? 0) % PEOPLE})`;
