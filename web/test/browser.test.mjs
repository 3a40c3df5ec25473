// The package in a browser: one tab, many tabs, tabs that go without a word.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, serve } from "./harness.mjs";
import { openTab as openTabAt, payloads, profile as profileOf, role, upTo } from "./tab.mjs";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");

let browser;
let server;
before(async () => {
  server = await serve(dist);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const profile = (t) => profileOf(t, browser);
const openTab = (context, options, script) => openTabAt(context, server.url, options, script);

test("events are there after a reload", async (t) => {
  const context = await profile(t);
  const page = await openTab(context);
  const receipt = await page.evaluate(async () => {
    const { sequence, durable, version } = await store.append(placed(5, { total: 995 }), { expectedVersion: "noStream" });
    return { sequence: String(sequence), durable, version };
  });
  assert.deepEqual(receipt, { sequence: "0", durable: true, version: 0 });
  assert.equal(await role(page), "leader");
  await page.close();
  const again = await openTab(context);
  assert.deepEqual(await payloads(again), [{ total: 995 }]);
  assert.equal(await again.evaluate(() => store.append(placed(5, 1), { expectedVersion: 0 }).then(({ version }) => version)), 1);
  assert.deepEqual(await again.evaluate(() => store.status.storage), "opfs");
});

test("a store survives being closed and opened in one page, many times", async (t) => {
  const page = await openTab(await profile(t));
  const seen = await page.evaluate(async () => {
    for (let round = 0; round < 5; round++) {
      await store.append(placed(round, round));
      await store.close();
      globalThis.store = await annals.openEventStore({ name: "shop" });
    }
    return payloads();
  });
  assert.deepEqual(seen, upTo(5));
});

for (const tabs of ["shared-worker", "broadcast"]) {
  test(`b28 a second tab appends, reads and follows through the first (${tabs})`, async (t) => {
    const context = await profile(t);
    const first = await openTab(context, { tabs });
    const second = await openTab(context, { tabs });
    assert.deepEqual([await role(first), await role(second)], ["leader", "follower"]);
    await first.evaluate(() => {
      globalThis.live = store.liveProjection({ initialState: [], evolve: (state, { payload }) => [...state, payload] });
    });
    await second.evaluate(async () => {
      for (let number = 0; number < 50; number++) await store.append(placed(1, number), { expectedVersion: number === 0 ? "noStream" : number - 1 });
    });
    assert.deepEqual(await payloads(first), upTo(50));
    await first.waitForFunction(() => live.getSnapshot().length === 50);
    assert.deepEqual(await first.evaluate(() => live.getSnapshot()), upTo(50));
    assert.equal(await first.evaluate(() => codeOf(store.append(placed(1, "late"), { expectedVersion: 3 }))), "VersionConflict");
  });

  for (const [how, end] of [["closed", (page) => page.close()], ["reloaded elsewhere", (page) => page.goto("about:blank")]]) {
    test(`b12 nothing is lost or doubled when the leader is ${how} while others append (${tabs})`, async (t) => {
      const context = await profile(t);
      const first = await openTab(context, { tabs });
      const others = [await openTab(context, { tabs }), await openTab(context, { tabs })];
      const appending = others.map((page, tab) => page.evaluate(async (tab) => {
        const receipts = [];
        for (let number = 0; number < 300; number++) receipts.push(await store.append(placed(tab, `${tab}:${number}`)));
        return receipts.map(({ id, version }) => [id, version]);
      }, tab));
      await others[0].waitForFunction(() => store.status.end > 40n);
      await end(first);
      const receipts = await Promise.all(appending);
      // All may have been appended before the first tab was gone.
      await Promise.any(others.map((page) => page.waitForFunction(() => store.status.role === "leader")));
      const roles = await Promise.all(others.map(role));
      assert.deepEqual(roles.toSorted(), ["follower", "leader"]);
      for (const [tab, page] of others.entries()) {
        assert.deepEqual(receipts[tab].map(([, version]) => version), upTo(300), "versions in the order of the appends");
        const stored = await page.evaluate((tab) => payloads({ stream: `order:${tab}` }), tab);
        assert.deepEqual(stored, upTo(300).map((number) => `${tab}:${number}`));
      }
      assert.equal(await others[0].evaluate(() => store.stats().then(({ events }) => events)), 600);
    });
  }
}

test("appends of many tabs in flight survive a worker that is ended", async (t) => {
  const context = await profile(t);
  const pages = [];
  for (let tab = 0; tab < 5; tab++) pages.push(await openTab(context));
  const appending = pages.slice(1).map((page, tab) => page.evaluate((tab) =>
    Promise.all(Array.from({ length: 200 }, (_, number) => store.append(placed(`${tab}:${number}`, 0), { expectedVersion: "noStream" }))).then((all) => all.length), tab));
  await pages[0].close();
  assert.deepEqual(await Promise.all(appending), [200, 200, 200, 200]);
  const stats = await pages[1].evaluate(() => store.stats().then(({ events, entities }) => [events, entities]));
  assert.deepEqual(stats, [800, 800]);
});

test("b31 a subscription goes on through a change of leaders, without a gap", async (t) => {
  const context = await profile(t);
  const first = await openTab(context);
  const second = await openTab(context);
  await second.evaluate(() => {
    globalThis.seen = [];
    (async () => { for await (const { payload } of store.subscribe()) seen.push(payload); })();
  });
  await first.evaluate(async () => { for (let number = 0; number < 20; number++) await store.append(placed(1, number)); });
  await first.close();
  await second.evaluate(async () => { for (let number = 20; number < 40; number++) await store.append(placed(1, number)); });
  await second.waitForFunction(() => seen.length === 40);
  assert.deepEqual(await second.evaluate(() => seen), upTo(40));
});

test("many segments and many reloads leave every event in its place", async (t) => {
  const context = await profile(t);
  let page = await openTab(context, { durability: "relaxed" });
  for (let round = 0; round < 4; round++) {
    await page.evaluate(async (round) => {
      const batch = Array.from({ length: 1000 }, (_, number) => placed(number % 10, `${round}:${number}:${"x".repeat(200)}`));
      await store.appendBatch(batch);
    }, round);
    await page.reload();
    await page.close();
    page = await openTab(context, { durability: "relaxed" });
  }
  const seen = await payloads(page);
  assert.deepEqual(seen.map((payload) => payload.slice(0, -201)), upTo(4000).map((at) => `${Math.floor(at / 1000)}:${at % 1000}`));
  const { openHandles, recovery } = await page.evaluate(async () => {
    const { openHandles, recovery } = await store.stats();
    return { openHandles, recovery };
  });
  assert.ok(openHandles <= 8);
  assert.equal(recovery.tornBytes, 0);
});

test("memory is memory, and never a silent substitute", async (t) => {
  const context = await profile(t);
  const page = await openTab(context, { storage: "memory" });
  await page.evaluate(() => store.append(placed(1, 1)));
  assert.deepEqual(await page.evaluate(() => [store.status.storage, store.status.role]), ["memory", "alone"]);
  const codes = await page.evaluate(async () => {
    const original = StorageManager.prototype.getDirectory;
    delete StorageManager.prototype.getDirectory;
    const refused = await codeOf(annals.openEventStore({ name: "none" }));
    const other = await annals.openEventStore({ name: "none", onUnavailable: "memory" });
    StorageManager.prototype.getDirectory = original;
    return [refused, other.status.storage];
  });
  assert.deepEqual(codes, ["StorageUnavailable", "memory"]);
});

test("a name that is none, and a signal that is aborted, open nothing", async (t) => {
  const page = await openTab(await profile(t));
  assert.deepEqual(await page.evaluate(() => Promise.all([
    codeOf(annals.openEventStore({ name: "../shop" })),
    codeOf(annals.openEventStore({ name: ".." })),
    annals.openEventStore({ name: "x", signal: AbortSignal.abort("no") }).catch(String),
  ])), ["InvalidInput", "InvalidInput", "no"]);
});

test("the inline build needs no file beside it", async (t) => {
  const context = await profile(t);
  const first = await openTab(context, {}, "inline.js");
  const second = await openTab(context, {}, "inline.js");
  await second.evaluate(() => store.append(placed(1, "inline")));
  assert.deepEqual(await payloads(first), ["inline"]);
  assert.deepEqual([await role(first), await role(second)], ["leader", "follower"]);
});

test("a page that is kept in the back/forward cache lets others lead and comes back", async (t) => {
  const context = await profile(t);
  const first = await openTab(context);
  const second = await openTab(context);
  await first.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await second.evaluate(() => store.append(placed(1, "while hidden")));
  assert.deepEqual([await role(first), await role(second)], ["waiting", "leader"]);
  await first.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  assert.deepEqual(await payloads(first), ["while hidden"]);
  assert.equal(await role(first), "follower");
});
