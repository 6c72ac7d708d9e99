// The stock client's browser build in pages of one Chromium: node browser.mjs EXECUTABLE
// Each client has a tab with a cookie jar and a cache of its own, empty at first.
import { chromium } from "playwright-core";
import { serveClients } from "./program.mjs";

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Else most loads of a page start processes that are never used.
    "--disable-features=" +
      [
        "BackForwardCache",
        "PreloadTopChromeWebUI",
        "ProactivelySwapBrowsingInstance",
        "SpareRendererForSitePerProcess",
      ].join(","),
  ],
});

// Tabs that no client uses. A new one takes longer than most tests.
const free = [];

async function makeTab() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const cache = await context.newCDPSession(page);
  const tab = { context, page, cache, say: () => {} };
  page.on("pageerror", (error) => console.error(error));
  await page.exposeFunction("say", (line) => tab.say(JSON.parse(line)));
  return tab;
}

// Ends what runs in the page, by loading it again, and leaves nothing behind for the next client.
async function clear({ context, page, cache }) {
  await page.reload();
  await context.clearCookies();
  await cache.send("Network.clearBrowserCache"); // and what preflights have allowed
}

async function takeTab(address) {
  const at = free.findIndex((tab) => tab.address === address);
  if (at >= 0) return free.splice(at, 1)[0];
  const tab = await makeTab();
  tab.address = address;
  await tab.page.goto(address);
  return tab;
}

const start = async ({ transports, page: address }, say) => {
  const tab = await takeTab(address);
  const { context, page } = tab;
  tab.say = say;

  const setCookie = (value) =>
    // For the host: the pages and servers on all of its ports.
    context.addCookies([
      { name: "accessToken", value, url: address, httpOnly: true, sameSite: "Lax" },
    ]);

  return {
    async end() {
      tab.say = () => {};
      await clear(tab);
      free.push(tab);
    },
    async perform({ cookie, headers, ...command }) {
      if (cookie) await setCookie(cookie);
      if (command.op === "cookie") {
        if (!cookie) await context.clearCookies();
        say({ id: command.id });
        return;
      }
      if (command.op === "connect") command.options = { transports, ...command.options };
      await page.evaluate((command) => window.perform(command), command);
    },
  };
};

await serveClients(start, () => browser.close());
