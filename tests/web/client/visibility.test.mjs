import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { watchPage } from "../../../gbs_actor/web/client/visibility.js";

/** A page, a client that notes what it is told, and time that stands still. */
function watched({ phone = false, visibilityState = "visible", ...options } = {}) {
  mock.timers.enable({ apis: ["Date", "setTimeout", "setInterval"], now: 1_000_000 });
  const told = [];
  const sent = [];
  const reports = [{ attempts: 1 }];
  const snapshot = { unsent: 0 };
  const client = {
    getSnapshot: () => snapshot,
    hidden: () => told.push("hidden"),
    shown: () => told.push("shown"),
    woke: () => told.push("woke"),
    online: (online) => told.push(online ? "online" : "offline"),
    takeMetrics: () => reports.pop() ?? null,
  };
  const window = Object.assign(new EventTarget(), {
    navigator: { onLine: true, sendBeacon: (url, body) => sent.push([url, body]) },
    matchMedia: () => ({ matches: phone }),
    setTimeout: (...args) => setTimeout(...args),
    clearTimeout: (timer) => clearTimeout(timer),
    setInterval: (...args) => setInterval(...args),
    clearInterval: (timer) => clearInterval(timer),
  });
  const document = Object.assign(new EventTarget(), { visibilityState });
  const end = watchPage(client, { window, document, ...options });
  told.length = 0;
  return {
    snapshot,
    told,
    sent,
    reports,
    end,
    window,
    turn(state) {
      document.visibilityState = state;
      document.dispatchEvent(new Event("visibilitychange"));
    },
    leave: (persisted) => window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted })),
    back: (persisted) => window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted })),
    pass(milliseconds) {
      for (let left = milliseconds; left > 0; left -= 1_000) mock.timers.tick(Math.min(left, 1_000));
    },
    // The clock has jumped before any timer runs.
    sleep: (milliseconds) => mock.timers.tick(milliseconds),
  };
}

const timed = (name, run) =>
  test(name, () => {
    try {
      run();
    } finally {
      mock.timers.reset();
    }
  });

timed("a phone closes its connection after half a minute hidden, a desktop after ten minutes", () => {
  for (const [phone, patience] of [[true, 30_000], [false, 600_000]]) {
    const page = watched({ phone });
    page.turn("hidden");
    page.pass(patience - 1);
    assert.deepEqual(page.told, []);
    page.pass(1);
    assert.deepEqual(page.told, ["hidden"]);
    page.end();
    mock.timers.reset();
  }
});

timed("but not before all edits are saved", () => {
  const page = watched({ phone: true });
  page.snapshot.unsent = 1;
  page.turn("hidden");
  page.pass(100_000);
  assert.deepEqual(page.told, []);
  page.snapshot.unsent = 0;
  page.pass(5_000);
  assert.deepEqual(page.told, ["hidden"]);
});

timed("so does a page that was opened in the background", () => {
  const page = watched({ phone: true, visibilityState: "hidden" });
  page.pass(30_000);
  assert.deepEqual(page.told, ["hidden"]);
});

timed("how long may be set", () => {
  const page = watched({ hiddenAfter: 5 });
  page.turn("hidden");
  page.pass(5);
  assert.deepEqual(page.told, ["hidden"]);
});

timed("who comes back in time keeps the connection", () => {
  const page = watched({ phone: true });
  page.turn("hidden");
  page.pass(29_000);
  page.turn("visible");
  page.pass(60_000);
  assert.deepEqual(page.told, ["shown"]);
});

timed("a page that was frozen while hidden gets a new connection", () => {
  const page = watched({ phone: true });
  page.turn("hidden");
  page.sleep(40_000); // without timers
  page.told.length = 0;
  page.turn("visible");
  assert.deepEqual(page.told, ["hidden", "shown"]);
});

timed("sleep is noticed by the jump of the clock", () => {
  const page = watched();
  page.pass(300_000);
  page.sleep(20_000);
  assert.deepEqual(page.told, []);
  page.sleep(60_000);
  assert.deepEqual(page.told, ["woke"]);
  page.turn("hidden"); // timers of hidden pages are late for other reasons
  page.sleep(60_000);
  assert.deepEqual(page.told, ["woke"]);
});

timed("a page that goes into the back/forward cache closes its connection", () => {
  const page = watched();
  page.leave(true);
  page.back(true);
  assert.deepEqual(page.told, ["hidden", "shown"]);
});

timed("a page that is loaded or left tells nothing but its metrics", () => {
  const page = watched();
  page.back(false);
  page.leave(false);
  page.leave(false);
  assert.deepEqual(page.told, []);
  assert.deepEqual(page.sent, [["/api/v1/client-metrics", '{"attempts":1}']]);
});

timed("metrics are sent now and then", () => {
  const page = watched();
  page.pass(60_000);
  page.reports.push({ attempts: 2 });
  page.pass(60_000);
  assert.deepEqual(page.sent.map(([, body]) => body), ['{"attempts":1}', '{"attempts":2}']);
});

timed("or not at all", () => {
  const page = watched({ reportTo: null });
  page.pass(60_000);
  assert.deepEqual(page.sent, []);
});

timed("the network's coming and going is passed on", () => {
  const page = watched();
  page.window.navigator.onLine = false;
  page.window.dispatchEvent(new Event("offline"));
  page.window.navigator.onLine = true;
  page.window.dispatchEvent(new Event("online"));
  assert.deepEqual(page.told, ["offline", "online"]);
});

timed("ended, it does nothing any more", () => {
  const page = watched();
  page.end();
  page.turn("hidden");
  page.leave(true);
  page.pass(1_000_000);
  assert.deepEqual([page.told, page.sent], [[], []]);
});
