// The packed package in what bundlers make of it: one application built by each, in Chromium.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, serve } from "./harness.mjs";
import { install, npm, pack, start, temporary } from "./packed.mjs";

const folder = temporary(after);
let packed;
let browser;
before(async () => {
  packed = await pack(folder);
  browser = await launch();
});
after(() => browser?.close());

/** A build or a browser that hangs says so. */
const WITHIN = { timeout: 180_000 };

const installed = new Map();
const fixture = (name) => installed.get(name) ?? installed.set(name, install(name, folder, packed)).get(name);

/** A profile whose pages complain to the test. */
async function profile(t) {
  const context = await browser.newContext();
  const complaints = [];
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("response", (response) => response.status() >= 400 && !response.url().endsWith("/favicon.ico") && complaints.push(`${response.status()} ${response.url()}`));
  t.after(() => context.close());
  return { context, complaints };
}

async function openTab(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => globalThis.app);
  await page.evaluate(async () => {
    globalThis.store = await app.openEventStore({ name: "till" });
    globalThis.sold = (payload) => ({ entity: "till:1", scope: "shop", type: "item.sold", payload });
    globalThis.payloads = async () => (await app.collect(store.query())).map(({ payload }) => payload);
  });
  return page;
}

/** Opens, appends, queries, subscribes, in two tabs and after a reload. */
async function works(t, url) {
  const { context, complaints } = await profile(t);
  const first = await openTab(context, url);
  const second = await openTab(context, url);
  const roles = await Promise.all([first, second].map((page) => page.evaluate(() => store.status.role)));
  assert.deepEqual(roles, ["leader", "follower"]);
  assert.equal(await first.evaluate(() => store.status.storage), "opfs");
  const followed = second.evaluate(async () => (await app.collect(store.subscribe({ type: "item.sold" }), 2)).map(({ payload }) => payload));
  await first.evaluate(() => store.append(sold({ cents: 450 }), { expectedVersion: "noStream" }));
  await second.evaluate(() => store.append(sold({ cents: 290 }), { expectedVersion: 0 }));
  assert.deepEqual(await followed, [{ cents: 450 }, { cents: 290 }]);
  const refused = await second.evaluate(() => store.append(sold(0), { expectedVersion: 0 }).catch((error) => [error instanceof app.AnnalsError, error.code]));
  assert.deepEqual(refused, [true, "VersionConflict"]);
  await first.close();
  await second.reload();
  await second.close();
  const again = await openTab(context, url);
  assert.deepEqual(await again.evaluate(() => payloads()), [{ cents: 450 }, { cents: 290 }]);
  assert.equal(await again.evaluate(() => store.status.role), "leader");
  // What does this is in the second wasm file.
  assert.deepEqual(await again.evaluate(() => store.verify().then(({ isWhole, events }) => [isWhole, events])), [true, 2]);
  const inMemory = await again.evaluate(async () => {
    const store = await app.openTestStore();
    await store.append(sold(1));
    return [(await app.collect(store.query())).length, (await store.verify()).isWhole];
  });
  assert.deepEqual(inMemory, [1, true]);
  assert.deepEqual(complaints, []);
}

for (const bundler of ["vite", "webpack", "esbuild"]) {
  test(`the package works in what ${bundler} builds`, WITHIN, async (t) => {
    const path = await fixture(bundler);
    await npm(["run", "build"], path);
    const server = await serve(join(path, "dist"));
    t.after(() => server.close());
    await works(t, server.url);
    const built = readdirSync(join(path, "dist"), { recursive: true }).map(String);
    assert.equal(built.filter((name) => name.endsWith(".wasm")).length, 2, `each wasm file once: ${built}`);
  });
}

test("the package works in Vite's development server", WITHIN, async (t) => {
  const path = await fixture("vite");
  const vite = start(process.execPath, ["node_modules/vite/bin/vite.js", "--port", "0"], path);
  t.after(() => vite.stop());
  await works(t, await vite.url);
});

test("a React component shows a live projection, and its failure", WITHIN, async (t) => {
  const path = await fixture("vite");
  await npm(["run", "build"], path);
  const server = await serve(join(path, "dist"));
  t.after(() => server.close());
  const { context, complaints } = await profile(t);
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(server.url);
    await page.waitForFunction(() => globalThis.showCounter);
    await page.evaluate(() => showCounter());
  }
  const shows = (text) => Promise.all(pages.map((page) => page.getByText(text, { exact: true }).waitFor()));
  await shows("count: null");
  await pages[1].evaluate(() => count(2));
  await pages[0].evaluate(() => count(3));
  await shows("count: 5");
  await pages[0].evaluate(() => count("reset"));
  await shows("count: null");
  await pages[0].evaluate(() => count("boom"));
  await shows("Error: boom");
  assert.deepEqual(complaints, []);
});
