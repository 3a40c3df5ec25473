// The second wasm file, which does long work: loaded when that is asked for, and not before.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, serve } from "./harness.mjs";
import { openTab as openTabAt, payloads, profile as profileOf } from "./tab.mjs";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");
const SECOND = "**/annals-jobs.wasm";

let browser;
let server;
before(async () => {
  // What a page needs that forbids all else.
  server = await serve(dist, { "content-security-policy": "script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const openTab = (context, options, script) => openTabAt(context, server.url, options, script);
const verified = (page) => page.evaluate(() => store.verify().then(({ isWhole, events }) => [isWhole, events]));

test("everyday work does not load the second file, long work loads it once", async (t) => {
  const context = await profileOf(t, browser);
  const asked = [];
  context.on("request", (request) => asked.push(new URL(request.url()).pathname));
  const first = await openTab(context);
  const second = await openTab(context);
  await first.evaluate(() => store.append(placed(1, 1)));
  await second.evaluate(() => store.append(placed(2, 2)));
  assert.equal((await payloads(second)).length, 2);
  const loads = () => asked.filter((path) => path === "/annals-jobs.wasm").length;
  assert.equal(loads(), 0);
  assert.deepEqual(await verified(second), [true, 2]);
  assert.deepEqual(await verified(first), [true, 2]);
  await first.evaluate(() => store.compact({ sealActive: true }));
  assert.equal(loads(), 1);
});

for (const failure of [{ status: 404 }, { body: "<!doctype html>" }, "abort"]) {
  test(`long work whose file can't be loaded says so, and may be asked for again (${JSON.stringify(failure)})`, async (t) => {
    const context = await profileOf(t, browser);
    await context.route(SECOND, (route) => (failure === "abort" ? route.abort() : route.fulfill(failure)));
    const leader = await openTab(context);
    const page = await openTab(context);
    await page.evaluate(() => store.append(placed(1, 1)));
    const code = await page.evaluate(() => store.verify().then(() => "verified", ({ code, message }) => [code, message.includes("annals-jobs.wasm")]));
    assert.deepEqual(code, ["LoadFailed", true]);
    await leader.evaluate(() => store.append(placed(1, 2)));
    assert.equal((await payloads(page)).length, 2);
    await context.unroute(SECOND);
    assert.deepEqual(await verified(page), [true, 2]);
  });
}

test("the second file is beside the first, or where the options say", async (t) => {
  const context = await profileOf(t, browser);
  const at = async (path) => (await context.route(path, async (route) => {
    const name = new URL(route.request().url()).searchParams.get("is") ?? new URL(route.request().url()).pathname.split("/").at(-1);
    await route.fulfill({ response: await route.fetch({ url: `${server.url}/${name}` }) });
  }));
  await at("**/elsewhere/*");
  const beside = await openTab(context, { name: "beside", wasmUrl: "/elsewhere/annals.wasm" });
  await context.route(`${server.url}/annals-jobs.wasm`, (route) => route.abort());
  assert.deepEqual(await verified(beside), [true, 0]);
  const said = await openTab(context, { name: "said", jobsWasmUrl: "/elsewhere/x?is=annals-jobs.wasm" });
  assert.deepEqual(await verified(said), [true, 0]);
});

test("what stands inside a script needs no file for long work", async (t) => {
  const page = await openTab(await profileOf(t, browser), { storage: "memory" }, "inline.js");
  await page.evaluate(() => store.append(placed(1, 1)));
  assert.deepEqual(await verified(page), [true, 1]);
});
