// Tabs that the browser puts to sleep: frozen, with a word or without, and in the back/forward cache.
// A frozen page's worker is frozen too, so that a leader's files are its own until it thaws.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { appendFrom, becomes, checkAll, devTools, modeOf, oneLeads, openTabs, order } from "./crowd.mjs";
import { launch, launchPlain, serve } from "./harness.mjs";
import { web } from "./packed.mjs";
import { openTab, payloads, profile, role, upTo } from "./tab.mjs";

const WITHIN = { timeout: 90_000 };
const MODES = ["broker", "broadcast"];
const OWN = 60;

let server;
before(async () => {
  // What is not to be stored is not kept in the back/forward cache either.
  server = await serve(join(web, "dist"), { "cache-control": "no-cache" });
});
after(() => server?.close());

async function plainProfile(t) {
  const { context, close } = await launchPlain();
  t.after(close);
  return context;
}

/** The tab appends by itself, to a stream of its own; `own` is done when all is answered. */
async function appendOwn(page) {
  await page.evaluate((count) => {
    globalThis.own = (async () => {
      const versions = [];
      for (let number = 0; number < count; number++) {
        versions.push((await store.append(placed("own", number), { expectedVersion: number === 0 ? "noStream" : number - 1 })).version);
      }
      return versions;
    })();
  }, OWN);
}

async function checkOwn(page, pages) {
  assert.deepEqual(await page.evaluate(() => own), upTo(OWN));
  for (const page of pages) assert.deepEqual(await payloads(page, { stream: "order:own" }), upTo(OWN));
}

/** The client that holds the lock of the store. */
const holder = (page) => page.evaluate(async () => (await navigator.locks.query()).held.find(({ name }) => name === "annals:shop")?.clientId);

/** Lets time pass in a page. */
const wait = (page, delay) => page.evaluate((delay) => new Promise((resolve) => setTimeout(resolve, delay)), delay);

/** Freezes a page that is hidden, and gives what thaws it. */
async function freeze(page) {
  await page.evaluate(() => {
    globalThis.heard = [];
    for (const name of ["freeze", "resume"]) addEventListener(name, () => heard.push(name), true);
  });
  const tools = await devTools(page);
  await tools.send("Page.setWebLifecycleState", { state: "frozen" });
  return async () => {
    await tools.send("Page.setWebLifecycleState", { state: "active" });
    assert.deepEqual(await page.evaluate(() => heard), ["freeze", "resume"], "the page was asleep");
  };
}

for (const tabs of MODES) {
  for (const count of [2, 5]) {
    test(`b12 nothing is lost or doubled in ${count} tabs by ${tabs} when the browser freezes the leader`, WITHIN, async (t) => {
      const context = await plainProfile(t);
      const [first, ...others] = await openTabs(context, server.url, count, modeOf(tabs));
      const appending = appendFrom(others);
      await appendOwn(first);
      await others[0].waitForFunction(() => store.status.end > 20n, undefined, { polling: 50 });
      const thaw = await freeze(first);
      await checkAll(others, appending);
      await oneLeads(others);
      const late = await openTab(context, server.url, modeOf(tabs));
      assert.equal(await role(late), "follower");
      await thaw();
      await becomes(first, "follower");
      await checkOwn(first, [first, late, ...others]);
    });

    test(`b12 a leader frozen without a word loses the lead to ${count - 1} that come by ${tabs}, who go on when it thaws`, WITHIN, async (t) => {
      const context = await plainProfile(t);
      const [first] = await openTabs(context, server.url, 1, modeOf(tabs));
      await first.evaluate(() => addEventListener("freeze", (event) => event.stopPropagation(), true));
      const watcher = await context.newPage();
      await watcher.goto(server.url);
      const leader = await holder(watcher);
      await appendOwn(first);
      await first.waitForFunction(() => store.status.end > 20n, undefined, { polling: 50 });
      const thaw = await freeze(first);
      const opening = upTo(count - 1).map(() => openTab(context, server.url, modeOf(tabs)));
      while ((await holder(watcher)) === leader) await wait(watcher, 100);
      await thaw();
      const others = await Promise.all(opening);
      await checkAll(others, appendFrom(others));
      await oneLeads(others);
      await becomes(first, "follower");
      await checkOwn(first, [first, ...others]);
    });
  }
}

for (const count of [2, 5]) {
  test(`b12 ${count - 1} tabs that come by broadcast take the lead from a worker that hangs`, WITHIN, async (t) => {
    const browser = await launch();
    t.after(() => browser.close());
    const context = await profile(t, browser);
    const [first] = await openTabs(context, server.url, 1, modeOf("broadcast"));
    await appendOwn(first);
    // Whoever leads and waits for nothing does not notice that its worker hangs.
    await first.evaluate(() => own);
    await order(first, "hang");
    const others = await Promise.all(upTo(count - 1).map(() => openTab(context, server.url, modeOf("broadcast"))));
    await checkAll(others, appendFrom(others));
    await oneLeads([first, ...others]);
    await checkOwn(first, [first, ...others]);
  });
}

/** Leaves a page for another one, so that it goes to the back/forward cache. What it returns comes back; the other page of the site waits for it. */
async function leave(page, other) {
  await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => localStorage.setItem("shown", String(persisted))));
  await page.goto("about:blank");
  return async () => {
    await page.evaluate(() => history.back()).catch(() => {});
    // The page left has no context to wait in.
    while ((await other.evaluate(() => localStorage.getItem("shown"))) === null) await wait(other, 50);
    assert.equal(await other.evaluate(() => localStorage.getItem("shown")), "true", "the page comes out of the cache");
    await other.evaluate(() => localStorage.removeItem("shown"));
  };
}

/** Follows a stream in each way that there is: `seen` by a subscription, `live` by a projection. */
async function follow(page, stream) {
  await page.evaluate(async (stream) => {
    globalThis.seen = [];
    globalThis.live = store.liveProjection({ region: { stream }, initialState: [], evolve: (all, { payload }) => [...all, payload] });
    await live.ready;
    (async () => { for await (const { payload } of store.subscribe({ stream })) seen.push(payload); })();
  }, stream);
}

async function checkFollowed(page, expected) {
  await page.waitForFunction((count) => seen.length >= count && live.getSnapshot().length >= count, expected.length, { polling: 100 });
  assert.deepEqual(await page.evaluate(() => [seen, live.getSnapshot(), live.error]), [expected, expected, undefined]);
}

for (const tabs of MODES) {
  for (const who of ["leader", "follower"]) {
    test(`b12 a ${who} by ${tabs} that comes out of the back/forward cache goes on where it was`, WITHIN, async (t) => {
      const context = await plainProfile(t);
      const pages = await openTabs(context, server.url, 2, modeOf(tabs));
      const [page, other] = who === "leader" ? pages : pages.toReversed();
      await follow(page, "order:own");
      await page.evaluate(() => {
        const append = (payload) => () => { globalThis[payload] = store.append(placed("hidden", payload)).then(({ version }) => version); };
        // One just before the store leaves, one just after.
        addEventListener("pagehide", append("before"), true);
        addEventListener("pagehide", append("after"));
      });
      await appendOwn(page);
      await page.waitForFunction(() => store.status.end > 20n, undefined, { polling: 50 });
      const comeBack = await leave(page, other);
      await other.evaluate(() => store.append(placed("other", "away")));
      assert.equal(await role(other), "leader");
      await comeBack();
      await becomes(page, "follower");
      await checkOwn(page, [page, other]);
      const hidden = await page.evaluate(async () => [await before, await after].toSorted());
      assert.deepEqual(hidden, [0, 1]);
      assert.deepEqual((await payloads(other, { stream: "order:hidden" })).toSorted(), ["after", "before"]);
      assert.deepEqual(await payloads(page, { stream: "order:other" }), ["away"]);
      await other.evaluate((own) => store.append(placed("own", own)), OWN);
      await checkFollowed(page, upTo(OWN + 1));
      // And once more, as a follower.
      const comeBackAgain = await leave(page, other);
      await other.evaluate((own) => store.append(placed("own", own + 1)), OWN);
      await comeBackAgain();
      await checkFollowed(page, upTo(OWN + 2));
    });
  }
}

test("b12 what waits in a page is not given up because the page was away for long", WITHIN, async (t) => {
  const context = await plainProfile(t);
  const patience = 4_000;
  const [page] = await openTabs(context, server.url, 1, { leaderTimeout: patience });
  const watcher = await context.newPage();
  await watcher.goto(server.url);
  await page.evaluate(() => addEventListener("pagehide", () => { globalThis.late = store.append(placed(1, "late")).then(({ version }) => version); }));
  const comeBack = await leave(page, watcher);
  await wait(watcher, patience + 500);
  await comeBack();
  // Nobody leads, so that the page must open the files anew before it has an answer.
  assert.equal(await page.evaluate(() => late), 0);
  assert.deepEqual(await payloads(page, { stream: "order:1" }), ["late"]);
});
