/** The life of the page a client is on: hidden, shown, frozen, asleep, offline, left. */

/** @import { LineupClient } from "./types.js" */

const PHONE = 30_000;
const DESKTOP = 600_000; // people switch to a spreadsheet and back
const REPORTS = "/api/v1/client-metrics";
const TICK = 5_000;
/** A tick that comes so late: the device has slept. */
const SLEPT = 30_000;

/**
 * Tell a client what happens to its page, and report what it has measured.
 *
 * @param {LineupClient} client
 * @param {object} page
 * @param {Window} page.window
 * @param {Document} page.document
 * @param {number} [page.hiddenAfter] milliseconds hidden until the connection is closed
 * @param {string | null} [page.reportTo] where metrics are sent to; `null`: nowhere
 * @param {number} [page.reportEvery] milliseconds
 * @returns {() => void} ends it
 */
export function watchPage(client, { window, document, hiddenAfter, reportTo = REPORTS, reportEvery = 60_000 }) {
  const { navigator } = window;
  const patience = hiddenAfter ?? (window.matchMedia("(pointer: coarse)").matches ? PHONE : DESKTOP);
  let hiddenSince = NaN;
  let timer = 0;
  let ticked = Date.now();

  const report = () => {
    const metrics = reportTo === null ? null : client.takeMetrics();
    if (reportTo !== null && metrics !== null) navigator.sendBeacon(reportTo, JSON.stringify(metrics));
  };
  const visibilityChanged = () => {
    window.clearTimeout(timer);
    ticked = Date.now();
    if (document.visibilityState === "hidden") {
      hiddenSince = Date.now();
      timer = window.setTimeout(() => client.hidden(), patience);
    } else if (Date.now() - hiddenSince > patience) {
      client.hidden(); // a frozen page has no timers: what was open is dead by now
      client.shown();
    } else {
      client.shown();
    }
  };
  const tick = () => {
    const late = Date.now() - ticked - TICK;
    ticked = Date.now();
    // Timers of a hidden page may be late for other reasons.
    if (late > SLEPT && document.visibilityState === "visible") client.woke();
  };
  /** @param {PageTransitionEvent} event */
  const left = (event) => {
    report();
    if (event.persisted) client.hidden(); // an open connection would keep it out of the cache
  };
  /** @param {PageTransitionEvent} event */
  const back = (event) => {
    if (event.persisted) client.shown();
  };
  const networkChanged = () => client.online(navigator.onLine);

  networkChanged();
  if (document.visibilityState === "hidden") visibilityChanged(); // opened in the background
  document.addEventListener("visibilitychange", visibilityChanged);
  window.addEventListener("pagehide", left);
  window.addEventListener("pageshow", back);
  window.addEventListener("online", networkChanged);
  window.addEventListener("offline", networkChanged);
  const ticking = window.setInterval(tick, TICK);
  const reporting = window.setInterval(report, reportEvery);

  return () => {
    window.clearTimeout(timer);
    window.clearInterval(ticking);
    window.clearInterval(reporting);
    document.removeEventListener("visibilitychange", visibilityChanged);
    window.removeEventListener("pagehide", left);
    window.removeEventListener("pageshow", back);
    window.removeEventListener("online", networkChanged);
    window.removeEventListener("offline", networkChanged);
  };
}
