// Many tabs of one store, and leaders that go without a word: closed, crashed, ended, asleep,
// hung or stopped. Whatever happens, nothing is lost, nothing is doubled, and order is kept.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { APPENDS, appendFrom, checkAll, devTools, modeOf, oneLeads, openTabs, order } from "./crowd.mjs";
import { launch, serve } from "./harness.mjs";
import { openTab, payloads, profile, upTo } from "./tab.mjs";

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

/** The id of the process that a page runs in: the one that works while the page does. */
async function rendererOf(page) {
  const session = await browser.newBrowserCDPSession();
  const times = async () => {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    return new Map(processInfo.filter(({ type }) => type === "renderer").map(({ id, cpuTime }) => [id, cpuTime]));
  };
  const before = await times();
  await page.evaluate(() => { for (const end = performance.now() + 500; performance.now() < end;); });
  const after = await times();
  await session.detach();
  return [...after.keys()].sort((a, b) => (after.get(b) - (before.get(b) ?? 0)) - (after.get(a) - (before.get(a) ?? 0)))[0];
}

/** Every way in which a leader goes; what it returns brings it back. */
const WAYS = {
  closed: (page) => void page.close(),
  crashed: async (page) => void (await devTools(page)).send("Page.crash").catch(() => {}),
  "without its worker": (page) => order(page, "end").then(() => {}),
  "hung in its worker": (page) => order(page, "hang").then(() => {}),
  // Headless pages are never hidden, so that nothing but the events puts them to sleep.
  "put to sleep": async (page) => {
    await page.evaluate(() => document.dispatchEvent(new Event("freeze")));
    return () => page.evaluate(() => document.dispatchEvent(new Event("resume")));
  },
};

for (const [how, end] of Object.entries(WAYS)) {
  for (const [count, tabs] of [[2, "broker"], [5, "broker"], [5, "broadcast"]]) {
    test(`b12 nothing is lost or doubled in ${count} tabs by ${tabs} when the leader is ${how}`, async (t) => {
      const context = await profile(t, browser);
      const [first, ...others] = await openTabs(context, server.url, count, modeOf(tabs));
      const appending = appendFrom(others);
      await others[0].waitForFunction(() => store.status.end > 20n);
      const comeBack = await end(first);
      await checkAll(others, appending);
      await oneLeads(others);
      assert.equal(await others[0].evaluate(() => store.stats().then(({ events }) => events)), others.length * APPENDS);
      if (!comeBack) return;
      await comeBack();
      await first.waitForFunction(() => store.status.role === "follower");
      assert.deepEqual(await payloads(first, { stream: "order:0" }), upTo(APPENDS));
    });
  }
}

test("b12 a leader whose process stops blocks its successor, says so, and costs nothing when it goes on", async (t) => {
  const context = await profile(t, browser);
  // Longer than a successor tries to open the files.
  const patient = { leaderTimeout: 12_000 };
  const [first, ...others] = await openTabs(context, server.url, 3, patient);
  const own = await rendererOf(first);
  await others[0].evaluate(() => store.append(placed(9, "before")));
  process.kill(own, "SIGSTOP");
  try {
    const codes = await Promise.all(others.map((page, tab) => page.evaluate((tab) => codeOf(store.append(placed(9, `blocked ${tab}`))), tab)));
    assert.ok(codes.every((code) => code === "StoreBusy" || code === "LeaderLost"), String(codes));
    assert.ok(codes.includes("StoreBusy"), `who tried to open the files says what it met: ${codes}`);
  } finally {
    process.kill(own, "SIGCONT");
  }
  await checkAll(others, appendFrom(others));
  // What was refused may have been written all the same, once at most.
  const late = await payloads(others[0], { stream: "order:9" });
  assert.equal(late[0], "before");
  assert.deepEqual(late.slice(1).toSorted(), [...new Set(late.slice(1))].toSorted());
  await first.waitForFunction(() => ["follower", "leader"].includes(store.status.role));
  assert.deepEqual(await payloads(first, { stream: "order:1" }), upTo(APPENDS));
});

test("b06 storms of reloads lose nothing and double nothing", async (t) => {
  const context = await profile(t, browser);
  // An event's id is a function of tab and number, so that a page asks again what it has no answer for.
  await context.addInitScript(() => {
    globalThis.idOf = (tab, number) => `0192f000-0000-7000-8${String(tab).padStart(3, "0")}-${String(number).padStart(12, "0")}`;
    globalThis.appendOn = async (tab) => {
      for (;;) {
        const number = Number(localStorage.getItem(`tab ${tab}`) ?? 0);
        await store.append(placed(tab, number, idOf(tab, number)));
        localStorage.setItem(`tab ${tab}`, number + 1);
      }
    };
  });
  const pages = [];
  for (let tab = 0; tab < 5; tab++) pages.push(await openTab(context, server.url));
  for (let round = 0; round < 6; round++) {
    await Promise.all(pages.map(async (page, tab) => {
      await page.evaluate((tab) => void appendOn(tab).catch(() => {}), tab);
      const reached = await page.evaluate((tab) => Number(localStorage.getItem(`tab ${tab}`) ?? 0), tab);
      await page.waitForFunction(([tab, count]) => Number(localStorage.getItem(`tab ${tab}`)) > count, [tab, reached + 5]);
      // All at once in even rounds, one by one in odd ones.
      if (round % 2 === 0) await page.reload();
    }));
    if (round % 2 === 1) for (const page of pages) await page.reload();
    await Promise.all(pages.map((page) => page.evaluate(() => opened)));
  }
  for (const tab of pages.keys()) {
    const acknowledged = await pages[0].evaluate((tab) => Number(localStorage.getItem(`tab ${tab}`)), tab);
    const stored = await payloads(pages[0], { stream: `order:${tab}` });
    assert.deepEqual(stored, upTo(stored.length), "in order and once");
    // The last one may have been written without an answer.
    assert.ok(stored.length === acknowledged || stored.length === acknowledged + 1, `${stored.length} of ${acknowledged}`);
  }
});

for (const who of ["leader", "follower"]) {
  test(`b11 a full quota refuses what the ${who} appends, keeps the rest readable, and passes`, async (t) => {
    const context = await profile(t, browser);
    const first = await openTab(context, server.url);
    const page = who === "leader" ? first : await openTab(context, server.url);
    const session = await devTools(page);
    await page.evaluate(() => store.append(placed(0, "first")));
    await session.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 4 << 20 });
    const { code, written } = await page.evaluate(async () => {
      for (let written = 0; written < 1000; written++) {
        const code = await codeOf(store.append(placed(1, `${written}:${"x".repeat(100_000)}`)));
        if (code !== "none") return { code, written };
      }
    });
    assert.equal(code, "QuotaExceeded");
    assert.ok(written > 0);
    const numbers = async (page) => (await payloads(page, { stream: "order:1" })).map((payload) => Number.parseInt(payload));
    assert.deepEqual(await numbers(page), upTo(written));
    await session.send("Storage.overrideQuotaForOrigin", { origin: server.url });
    await page.evaluate((written) => store.append(placed(1, `${written}:again`)), written);
    assert.deepEqual(await numbers(first), upTo(written + 1));
    await first.close();
    const again = who === "leader" ? await openTab(context, server.url) : page;
    assert.deepEqual(await numbers(again), upTo(written + 1));
    assert.deepEqual(await payloads(again, { stream: "order:0" }), ["first"]);
  });
}
