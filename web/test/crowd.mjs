// Many tabs of one store: they append beside each other, and what they find at the end is counted.

import assert from "node:assert/strict";
import { openTab, payloads, role, upTo } from "./tab.mjs";

/** Beats are a fifteenth of it: a silent leader is replaced after some two seconds. */
export const IMPATIENT = { leaderTimeout: 5_000 };
export const APPENDS = 150;

/** Opens tabs one after the other, so that the first leads. Its worker can be told to end or to hang. */
export async function openTabs(context, url, count, options = {}) {
  await context.addInitScript(() => {
    globalThis.workerThatObeys = () => {
      const script = `import "${location.origin}/worker.js";
        new BroadcastChannel("orders").onmessage = ({ data }) => { if (data === "end") close(); while (data === "hang"); };`;
      return new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
    };
  });
  const pages = [];
  for (let tab = 0; tab < count; tab++) {
    pages.push(await openTab(context, url, { ...IMPATIENT, ...options, ...(tab === 0 && { worker: "workerThatObeys" }) }));
  }
  assert.equal(await role(pages[0]), "leader");
  return pages;
}

/** How tabs find each other, as an option. */
export const modeOf = (tabs) => (tabs === "broadcast" ? { tabs } : {});

export const order = (page, what) => page.evaluate((what) => new BroadcastChannel("orders").postMessage(what), what);

export const devTools = (page) => page.context().newCDPSession(page);

/** Each of these tabs appends to a stream of its own, each event after the one before, the last third on a word. */
export function appendFrom(pages) {
  return pages.map((page, tab) => page.evaluate(async ([tab, appends]) => {
    const versions = [];
    const goOn = new Promise((resolve) => { globalThis.goOn = resolve; });
    for (let number = 0; number < appends; number++) {
      if (number === appends * 2 / 3) await goOn;
      versions.push((await store.append(placed(tab, number), { expectedVersion: number === 0 ? "noStream" : number - 1 })).version);
    }
    return versions;
  }, [tab, APPENDS]));
}

export async function checkAll(pages, appending) {
  await Promise.all(pages.map((page) => page.evaluate(() => goOn())));
  for (const versions of await Promise.all(appending)) assert.deepEqual(versions, upTo(APPENDS));
  for (const page of pages) {
    for (const tab of pages.keys()) assert.deepEqual(await payloads(page, { stream: `order:${tab}` }), upTo(APPENDS));
  }
}

/** Pages that are hidden draw nothing, so that nothing may wait for it. */
export const becomes = (page, role) => page.waitForFunction((role) => store.status.role === role, role, { polling: 100 });

/** Whether one of the tabs leads, at last. */
export const oneLeads = (pages) => Promise.any(pages.map((page) => becomes(page, "leader")));
