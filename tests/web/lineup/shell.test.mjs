import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { texts } from "../../../gbs_actor/web/static/lineup/strings.js";

test("the HTML says what the page says while it loads, so that the text stays", async () => {
  const html = await readFile(new URL("../../../gbs_actor/web/static/lineup/index.html", import.meta.url), "utf8");
  assert.match(html, new RegExp(`<p role="status" class="note">${texts.loading}</p>`));
});
