// A tab with the package at hand: what the tests in a browser begin with.

/** A profile of its own: files and tabs of other tests are not there. */
export async function profile(t, browser) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

/**
 * A tab with the package at hand, and the store `shop` open, after each load anew. A `worker` is
 * the name of a global function.
 */
export async function openTab(context, url, options = {}, script = "index.js") {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page:", error));
  await page.addInitScript(prepare, [script, options]);
  await page.goto(url);
  await page.evaluate(() => opened);
  return page;
}

function prepare([script, options]) {
  if (location.protocol === "about:") return;
  globalThis.placed = (order, payload, id) => ({ entity: `order:${order}`, scope: "shop", type: "order.placed", payload, ...(id && { id }) });
  globalThis.payloads = async (region) => {
    const found = [];
    for await (const { payload } of store.query(region)) found.push(payload);
    return found;
  };
  globalThis.codeOf = (promise) => promise.then(() => "none", (error) => error.code);
  globalThis.opened = (async () => {
    globalThis.annals = await import(`/${script}`);
    const { worker, ...rest } = options;
    globalThis.store = await annals.openEventStore({ name: "shop", ...rest, ...(worker && { worker: globalThis[worker] }) });
  })();
}

export const role = (page) => page.evaluate(() => store.status.role);
export const payloads = (page, region) => page.evaluate((region) => payloads(region), region);
export const upTo = (count) => Array.from({ length: count }, (_, number) => number);
