// What the tests of the inspector do with its pages.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { SCREENSHOTS } = process.env;

export const DESK = { viewport: { width: 1280, height: 800 } };

/** A page that must not ask anybody but its own server, nor fail at anything. */
export async function openPage(browser, t, options = DESK) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  let own;
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });
  page.on("request", (request) => {
    const url = new URL(request.url());
    own ??= url.origin;
    if (url.origin !== own && !["blob:", "data:", "about:"].includes(url.protocol)) wrong.push(request.url());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

export const says = (page, text) => page.locator("[role=status]:visible, .count:visible").filter({ hasText: text }).first().waitFor();
export const picture = (page, name) => (SCREENSHOTS ? page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }) : undefined);

export async function isAccessible(page, where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`), []);
}
