// Pages of one Chromium that are used as a person would: node pages.mjs EXECUTABLE
// Each client is a page with a profile of its own; see ../browser_page.py.
import { readFile } from "node:fs/promises";
import { launch } from "./chromium.mjs";
import { serveClients } from "./program.mjs";

const browser = await launch(process.argv[2]);

const TIMEOUT = 25_000; // milliseconds; sooner than browser_page.py gives up
const AXE = new URL("node_modules/axe-core/axe.min.js", import.meta.url);

// Not waitForFunction: that evaluates within the page, where its policy forbids it.
async function until(page, expression) {
  for (const end = Date.now() + TIMEOUT; Date.now() < end; ) {
    if (await page.evaluate(expression)) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`never: ${expression}`);
}

const start = async ({ width, height, scheme, touch, scale = 1 }, send) => {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    locale: "ko-KR",
    hasTouch: touch,
    deviceScaleFactor: scale,
    timezoneId: "Asia/Seoul",
  });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  const problems = [];
  const requests = [];
  const stubbed = [];
  let session;
  page.on("pageerror", (error) => problems.push(`pageerror: ${error}`));
  page.on("dialog", (dialog) => {
    if (dialog.type() === "beforeunload") return dialog.accept();
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      problems.push(`${message.type()}: ${message.text()} ${message.location().url}`);
    }
  });
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));

  const operations = {
    goto: ({ url }) => page.goto(url).then((response) => response?.headers() ?? {}),
    reload: () => page.reload().then(() => null),
    fill: ({ at, value }) => page.fill(at, value),
    choose: ({ at, value }) => page.selectOption(at, value).then(() => null),
    click: ({ at, position }) => page.click(at, { position }),
    press: ({ key }) => page.keyboard.press(key),
    hover: ({ at }) => page.hover(at),
    see: ({ at }) => page.waitForSelector(at).then(() => null),
    miss: ({ at }) => page.waitForSelector(at, { state: "detached" }).then(() => null),
    evaluate: ({ expression }) => page.evaluate(expression),
    until: ({ expression }) => until(page, expression),
    type: ({ text }) => page.keyboard.type(text),
    mouse: async ({ does, x, y, count = 1 }) => {
      if (x !== undefined) await page.mouse.move(x, y);
      if (does !== "move") await page.mouse[does]({ clickCount: count });
    },
    tap: ({ x, y }) => page.touchscreen.tap(x, y),
    keyboard: ({ does, key }) => page.keyboard[does](key),
    cdp: async ({ method, params }) => (session ??= await context.newCDPSession(page)).send(method, params),
    // What axe finds wrong below a place, as "rule: place".
    axe: async ({ at }) => {
      await page.evaluate(await readFile(AXE, "utf8"));
      const { violations } = await page.evaluate((place) => axe.run(place), at);
      return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
    },
    cookie: (cookie) => context.addCookies([cookie]),
    // Makes time one's own, to jump over some milliseconds of it; to be called before goto.
    clock: ({ forward }) => (forward === undefined ? page.clock.install() : page.clock.fastForward(forward)).then(() => null),
    offline: ({ offline }) => context.setOffline(offline),
    resize: (size) => page.setViewportSize({ width: size.width, height: size.height }),
    screenshot: ({ path, whole, moving }) =>
      page.screenshot({ path, fullPage: whole, animations: moving ? "allow" : "disabled" }).then(() => null),
    // In place of the server; what the page has sent there is kept.
    stub: ({ path, status, value }) =>
      page.route(
        (url) => url.pathname === path,
        (route) => {
          const request = route.request();
          const headers = request.headers();
          stubbed.push({ method: request.method(), url: request.url(), headers, body: request.postData() });
          return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(value) });
        },
      ),
    stubbed: () => stubbed.splice(0),
    problems: () => problems.splice(0),
    requests: () => requests.splice(0),
  };

  return {
    end: () => context.close(),
    async perform({ id, op, ...command }) {
      try {
        send({ id, result: (await operations[op](command)) ?? null });
      } catch (error) {
        send({ id, error: String(error) });
      }
    },
  };
};

await serveClients(start, () => browser.close());
