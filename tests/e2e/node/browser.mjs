// The stock client's browser build in a page of Chromium, driven line by line:
// node browser.mjs TRANSPORTS ENDPOINT PAGE. Each has a cookie jar of its own.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [transports, endpoint, address] = process.argv.slice(2);
const browser = await chromium.connect(endpoint);
const context = await browser.newContext();
const page = await context.newPage();
page.on("pageerror", (error) => console.error(error));
await page.exposeFunction("say", (line) => {
  process.stdout.write(line + "\n");
});
await page.goto(address);

const setCookie = (value) =>
  // For the host: the pages and servers on all of its ports.
  context.addCookies([
    { name: "accessToken", value, url: address, httpOnly: true, sameSite: "Lax" },
  ]);

for await (const line of createInterface({ input: process.stdin })) {
  const { cookie, headers, ...command } = JSON.parse(line);
  if (cookie) await setCookie(cookie);
  if (command.op === "cookie") {
    if (!cookie) await context.clearCookies();
    process.stdout.write(JSON.stringify({ id: command.id }) + "\n");
    continue;
  }
  if (command.op === "connect") {
    command.options = { transports: transports.split(","), ...command.options };
  }
  await page.evaluate((command) => window.perform(command), command);
}
