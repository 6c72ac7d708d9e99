// A Chromium without a window, with a fresh profile, for browser.mjs to make pages in:
// node chromium.mjs EXECUTABLE. Says where it is reached; ends with its input.
import { chromium } from "playwright-core";

const server = await chromium.launchServer({
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
  ],
});
process.stdout.write(server.wsEndpoint() + "\n");
process.stdin.on("end", () => server.close()).resume();
