// Starts one Chromium, headless.
import { chromium } from "playwright-core";

export const launch = (executablePath) =>
  chromium.launch({
    executablePath,
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
