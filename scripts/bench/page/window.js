// What is measured within the line-up page; it runs before the page's own scripts.
window.bench = (() => {
  const ROW = ".grid-row:not([hidden])";
  const all = (selector) => [...document.querySelectorAll(selector)];
  const now = () => performance.timeOrigin + performance.now();
  const frame = () => new Promise(requestAnimationFrame);
  // The first task behind what was called from a frame's callbacks: style, layout and paint are done.
  const frameOver = () =>
    new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(now());
      port2.postMessage(null);
    });

  /** When the frame was over that changed a part of the document as wanted. */
  const changed = (node, wanted) =>
    new Promise((done) => {
      const observer = new MutationObserver(() => {
        if (!wanted()) return;
        observer.disconnect();
        const { at, frames } = pressed;
        void frameOver().then((shown) => done({ shown, frames, pressed: at }));
      });
      observer.observe(node, { subtree: true, childList: true, characterData: true });
    });

  /** The last Enter: when, and the frames since. */
  let pressed = { at: 0, frames: 0 };
  const countFrames = async ({ key, timeStamp }) => {
    if (key !== "Enter") return;
    const counted = (pressed = { at: performance.timeOrigin + timeStamp, frames: 0 });
    for (; pressed === counted && counted.frames < 100; counted.frames += 1) await frame();
  };
  window.addEventListener("keydown", countFrames, { capture: true });

  let watched, listReceived;
  window.WebSocket = class extends WebSocket {
    constructor(...options) {
      super(...options);
      this.addEventListener("message", ({ data }) => {
        if (data.length > 10_000) listReceived ??= performance.now(); // whatever else comes is shorter
      });
    }
    send(data) {
      super.send(window.singleRows ? data.replace('{"updates":"batch"}', "{}") : data);
    }
  };
  const listShown = changed(document, () => document.querySelector(`${ROW} .grid-text:not(:empty)`));
  const longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries())).observe({ type: "longtask" });

  return {
    /** Milliseconds since the navigation began, and what was loaded. */
    async loaded() {
      const [page] = performance.getEntriesByType("navigation");
      const files = performance.getEntriesByType("resource");
      const loaded = (part) => Math.max(...files.filter(({ name }) => name.includes(part)).map(({ responseEnd }) => responseEnd));
      const [paint] = performance.getEntriesByName("first-contentful-paint");
      return {
        html: page.responseEnd,
        scripts: loaded("js"),
        firstPaint: paint.startTime,
        details: loaded("/api/v1/retreat/"),
        listReceived,
        listShown: (await listShown).shown - performance.timeOrigin,
        requests: files.length + 1,
        bytes: [page, ...files].reduce((sum, { transferSize }) => sum + transferSize, 0),
      };
    },
    /** Begin to wait until a cell reads so. */
    watch(phone, key, text) {
      const column = all(".grid-head [data-column]").findIndex(({ dataset }) => dataset.column === key);
      const row = all(ROW).find(({ textContent }) => textContent.includes(phone));
      const cell = row.children[column].querySelector(".grid-text");
      watched = changed(cell, () => cell.textContent === text);
    },
    watched: () => watched,
    /** Milliseconds between frames, and those of long tasks, while somebody scrolls. */
    async scroll(milliseconds, pixels) {
      const scroller = document.querySelector(".grid-scroller");
      const times = [];
      longTasks.length = 0;
      const end = performance.now() + milliseconds;
      for (let last = await frame(), down = 1; last < end; ) {
        scroller.scrollTop += down * pixels;
        if (scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 2) down = -1;
        if (scroller.scrollTop === 0) down = 1;
        const next = await frame();
        times.push(next - last);
        last = next;
      }
      return { times, longTasks: longTasks.map(({ duration }) => duration) };
    },
    /** Ask for a path, as a page would that polls. */
    poll: async (path, cache) => (await fetch(path, { cache })).text(),
  };
})();
