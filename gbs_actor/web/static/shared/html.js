/**
 * Preact with htm: what every module that shows something imports.
 * Texts become text nodes; nothing here, or in the pages, parses HTML.
 */
import { Fragment, h, render } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { Fragment, render };
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
