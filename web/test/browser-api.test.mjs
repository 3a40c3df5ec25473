// What only a browser can show of the API: persistence, the status of tabs, waiting without a leader.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, serve } from "./harness.mjs";
import { web } from "./packed.mjs";

const WITHIN = { timeout: 60_000 };

let browser;
let server;
before(async () => {
  server = await serve(join(web, "dist"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function openTab(context) {
  const page = await context.newPage();
  await page.goto(server.url);
  await page.evaluate(async () => {
    globalThis.annals = await import("/index.js");
    globalThis.store = await annals.openEventStore({ name: "shop" });
    globalThis.placed = (payload) => ({ entity: "order:1", scope: "shop", type: "order.placed", payload });
  });
  return page;
}

async function profile(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

test("persistence is asked for, promised or not, and the status tells", WITHIN, async (t) => {
  const context = await profile(t);
  const page = await openTab(context);
  const ask = () => page.evaluate(async () => {
    let told;
    const stop = store.onStatus(({ persisted }) => { told = persisted; });
    const promised = await store.persist();
    stop();
    return [promised, store.status.persisted, told];
  });
  assert.deepEqual(await ask(), [false, false, undefined], "nothing has changed, so nobody is told");
  const devtools = await context.newCDPSession(page);
  const { targetInfo: { browserContextId } } = await devtools.send("Target.getTargetInfo");
  const grant = { permission: { name: "persistent-storage" }, setting: "granted", origin: server.url, browserContextId };
  await devtools.send("Browser.setPermission", grant);
  assert.deepEqual(await ask(), [true, true, true]);
  // The permission goes with the tools that gave it, so the first page stays.
  const other = await openTab(context);
  assert.equal(await other.evaluate(() => store.status.persisted), true, "the promise is for all tabs");
});

test("the status of a tab is one object until it changes, and the lag of a projection ends", WITHIN, async (t) => {
  const context = await profile(t);
  const [first, second] = [await openTab(context), await openTab(context)];
  assert.ok(await second.evaluate(() => store.status === store.status));
  await first.evaluate(() => store.appendBatch(Array.from({ length: 3000 }, (_, number) => placed(number))));
  const lags = await second.evaluate(async () => {
    const lags = [];
    store.onStatus(({ lag }) => lags.push(lag));
    const live = store.liveProjection({ initialState: 0, evolve: (count) => count + 1 });
    await live.ready;
    while (store.status.lag > 0) await new Promise((resolve) => { const stop = store.onStatus(() => { stop(); resolve(); }); });
    return [live.getSnapshot(), lags.some((lag) => lag > 0), lags.at(-1), lags.every((lag, at) => at === 0 || lag <= lags[at - 1] || lags[at - 1] === 0)];
  });
  assert.deepEqual(lags, [3000, true, 0, true]);
});

test("what waits for a leader can be aborted", WITHIN, async (t) => {
  const context = await profile(t);
  const page = await openTab(context);
  // As in the back/forward cache: the page has left the others, and nobody leads.
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  const outcomes = await page.evaluate(async () => {
    const { signal } = globalThis.stop = new AbortController();
    const waiting = [
      store.append(placed(1), { signal }),
      (async () => { for await (const _ of store.query({}, { signal })); })(),
      (async () => { for await (const _ of store.subscribe({}, { signal })); return "ended"; })(),
      store.liveProjection({ initialState: 0, evolve: (count) => count + 1, signal }).ready,
    ];
    const { role, pending } = store.status;
    stop.abort("left");
    return [role, pending > 0, await Promise.all(waiting.map((promise) => promise.catch((reason) => reason)))];
  });
  assert.deepEqual(outcomes, ["waiting", true, ["left", "left", "ended", "left"]]);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  assert.equal(await page.evaluate(() => store.append(placed(1)).then(({ version }) => version)), 0, "what was left was never sent");
});
