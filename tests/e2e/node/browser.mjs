// The stock client's browser build in pages of one Chromium: node browser.mjs EXECUTABLE
// Each client has a tab with a cookie jar and a cache of its own, empty at first.
import { launch } from "./chromium.mjs";
import { serveClients } from "./program.mjs";

const browser = await launch(process.argv[2]);

// Tabs that no client uses. A new one takes longer than most tests.
const free = [];

async function makeTab() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const cache = await context.newCDPSession(page);
  const tab = { context, page, cache, send: () => {} };
  page.on("pageerror", (error) => console.error(error));
  await page.exposeFunction("send", (line) => tab.send(JSON.parse(line)));
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

const start = async ({ transports, page: address }, send) => {
  const tab = await takeTab(address);
  const { context, page } = tab;
  tab.send = send;

  const setCookie = (value) =>
    // For the host: the pages and servers on all of its ports.
    context.addCookies([
      { name: "accessToken", value, url: address, httpOnly: true, sameSite: "Lax" },
    ]);

  return {
    async end() {
      tab.send = () => {};
      await clear(tab);
      free.push(tab);
    },
    async perform({ cookie, headers, ...command }) {
      if (cookie) await setCookie(cookie);
      if (command.op === "cookie") {
        if (!cookie) await context.clearCookies();
        send({ id: command.id });
        return;
      }
      if (command.op === "connect") command.options = { transports, ...command.options };
      await page.evaluate((command) => window.perform(command), command);
    },
  };
};

await serveClients(start, () => browser.close());
