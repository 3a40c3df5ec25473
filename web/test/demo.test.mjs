// The demo as its users meet it: two tabs that stay in step, undo, reload, no network, keys.
// With SCREENSHOTS=folder it leaves pictures of itself there.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, serve } from "./harness.mjs";
import { npm, run, start, web } from "./packed.mjs";

const WITHIN = { timeout: 180_000 };
const demo = join(web, "demo");
const { SCREENSHOTS } = process.env;

let browser;
let server;
before(async () => {
  // Some registries leave out packages of other platforms, and then `npm ci` refuses the lock file.
  const install = () => npm(["ci"], demo).catch(() => npm(["install", "--no-package-lock"], demo));
  if (!existsSync(join(demo, "node_modules"))) await install();
  await npm(["run", "build"], demo);
  server = await serve(join(demo, "dist"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function profile(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const errors = [];
  context.on("weberror", (error) => errors.push(error.error()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  return context;
}

async function openTab(context, url = server.url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.locator("body.is-ready").waitFor();
  return page;
}

const choose = (page, ...names) => names.reduce((before, name) => before.then(() => page.locator(".product", { hasText: name }).click()), Promise.resolve());
const shows = (page, id, text) => page.locator(`#${id}`).getByText(text, { exact: true }).or(page.locator(`#${id}`).filter({ hasText: new RegExp(`^${text.replaceAll(".", "\\.")}$`) })).first().waitFor();
const lines = (page) => page.locator("#lines .name").allTextContents();
const picture = (page, name) => (SCREENSHOTS ? page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }) : undefined);

test("two tabs stay in step, and a sale is paid once", WITHIN, async (t) => {
  const context = await profile(t);
  const [first, second] = [await openTab(context), await openTab(context)];
  await first.getByText("This tab leads").waitFor();
  await second.getByText("This tab follows").waitFor();
  await choose(first, "Espresso", "Carrot cake");
  await shows(second, "total", "6.90");
  await choose(second, "Apple");
  await shows(first, "total", "7.80");
  assert.deepEqual(await lines(first), ["Espresso", "Carrot cake", "Apple"]);
  await second.getByRole("button", { name: "Take Espresso off" }).click();
  await shows(first, "total", "5.40");
  await first.getByRole("button", { name: "Pay" }).click();
  for (const page of [first, second]) {
    await shows(page, "takings", "5.40");
    await shows(page, "sale-title", "Sale 2");
    assert.ok(await page.locator("#pay").isDisabled());
  }
  await first.close();
  await second.getByText("This tab leads").waitFor();
  await choose(second, "Green tea");
  await shows(second, "total", "3.10");
});

test("an undo takes back what any tab did last, also after a reload", WITHIN, async (t) => {
  const context = await profile(t);
  const [first, second] = [await openTab(context), await openTab(context)];
  await choose(first, "Espresso", "Apple");
  await first.keyboard.press("p");
  await shows(second, "takings", "3.30");
  await second.reload();
  await shows(second, "takings", "3.30");
  await second.locator("body.is-ready").waitFor();
  await second.keyboard.press("Control+z");
  for (const page of [first, second]) {
    await shows(page, "takings", "0.00");
    await shows(page, "total", "3.30");
  }
  await first.locator("#undo").click();
  await shows(second, "total", "2.40");
  await first.locator("#undo").click();
  await shows(second, "total", "0.00");
  assert.ok(await second.locator("#undo").isDisabled());
  const undone = second.locator("#log s");
  assert.deepEqual(await undone.allTextContents(), ["Sale 1 paid: 3.30", "Apple added to sale 1", "Espresso added to sale 1"], "nothing is forgotten");
});

test("the till opens and works without a network", WITHIN, async (t) => {
  const context = await profile(t);
  const page = await openTab(context);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await choose(page, "Lemonade");
  await shows(page, "total", "3.50");
  await page.close();
  await context.setOffline(true);
  const again = await openTab(context);
  await again.locator("#chips").getByText("Offline").waitFor();
  await shows(again, "total", "3.50");
  await choose(again, "Apple");
  await shows(again, "total", "4.40");
});

test("everything can be done with keys alone, and fits a phone in light and dark", WITHIN, async (t) => {
  for (const [name, options] of [
    ["phone-light", { viewport: { width: 375, height: 780 }, colorScheme: "light", hasTouch: true, isMobile: true }],
    ["phone-dark", { viewport: { width: 375, height: 780 }, colorScheme: "dark", hasTouch: true, isMobile: true }],
    ["tablet-light", { viewport: { width: 900, height: 760 }, colorScheme: "light" }],
    ["desk-light", { colorScheme: "light" }],
    ["desk-dark", { colorScheme: "dark" }],
  ]) {
    const page = await openTab(await profile(t, options));
    await picture(page, `${name}-empty`);
    for (const key of ["1", "8", "p", "2", "7", "9", "p", "4"]) await page.keyboard.press(key);
    await shows(page, "sale-title", "Sale 3");
    await shows(page, "total", "3.50");
    await page.keyboard.press("Control+z");
    await shows(page, "total", "0.00");
    await page.locator(".product").nth(4).focus();
    await page.keyboard.press("Enter");
    await shows(page, "total", "2.60");
    await page.keyboard.press("6");
    await shows(page, "total", "8.50");
    const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width[0] <= width[1], `${name} is ${width[0]} wide`);
    await picture(page, name);
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}-full.png`), fullPage: true });
    await page.getByRole("button", { name: "Take Croissant off" }).focus();
    await page.keyboard.press("Enter");
    await shows(page, "total", "5.90");
    assert.equal(await page.evaluate(() => document.activeElement.id), "undo", "the focus is not lost with the button");
  }
});

test("its inspector shows what happens at the till, and how its state came about", WITHIN, async (t) => {
  const context = await profile(t);
  const till = await openTab(context);
  await choose(till, "Espresso", "Apple");
  await shows(till, "total", "3.30");
  const [inspector] = await Promise.all([context.waitForEvent("page"), till.getByRole("link", { name: "Look into its store" }).click()]);
  await inspector.getByText("2 events").first().waitFor();
  await inspector.locator(".row .type").first().waitFor();
  assert.deepEqual(await inspector.locator(".row .type").allTextContents(), ["item.added", "item.added"]);
  await inspector.keyboard.press("4");
  await inspector.getByRole("button", { name: "Run" }).click();
  await inspector.locator(".state .tree").getByText("takings").first().waitFor();
  await inspector.keyboard.press("7");
  await inspector.getByText("follows: another tab holds the files").waitFor();
  await inspector.locator("td").getByText("leads", { exact: true }).waitFor();
  await inspector.locator("td").getByText("follows", { exact: true }).waitFor();
  await picture(inspector, "inspector");
});

test("what npm run dev starts works too", WITHIN, async (t) => {
  // Its two halves, without npm between them, so that both end with the test.
  await run(process.execPath, ["prepare.mjs"], demo);
  const vite = start(process.execPath, ["node_modules/vite/bin/vite.js", "--port", "0"], demo);
  t.after(() => vite.stop());
  const context = await profile(t);
  const [first, second] = [await openTab(context, await vite.url), await openTab(context, await vite.url)];
  await choose(first, "Espresso");
  await shows(second, "total", "2.40");
});
