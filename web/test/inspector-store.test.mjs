// The inspector over stores of the browser: in a page, in a tab of its own, as a page alone, and over
// backups that are dropped into it. With SCREENSHOTS=folder it leaves pictures of itself there.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, serve } from "./harness.mjs";
import { isAccessible, openPage, picture, says } from "./inspector-page.mjs";
import { web } from "./packed.mjs";

const WITHIN = { timeout: 120_000 };

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

/** A page of the origin with a store of some orders in two segments, which it keeps open. */
async function openShop(t) {
  const page = await openPage(browser, t);
  // A browser asks for it once, whatever the page says later.
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  await page.goto(server.url);
  await page.evaluate(async () => {
    document.documentElement.lang = "en";
    document.body.innerHTML = "<main style=\"position: fixed; inset: 0\"></main>";
    const { openEventStore } = await import("/index.js");
    globalThis.store = await openEventStore({ name: "shop" });
    globalThis.main = document.querySelector("main");
    const events = Array.from({ length: 60 }, (_, at) => ({ entity: `order:${at % 2}`, scope: "shop", type: "order.placed", payload: { cents: at } }));
    await store.appendBatch(events);
    await store.compact({ sealActive: true });
    await store.append({ entity: "order:9", scope: "shop", type: "order.paid", payload: Uint8Array.of(1, 2, 254) });
  });
  return page;
}

const exported = (page) => page.evaluate(async () => [...new Uint8Array(await new Response(await store.exportBackup()).arrayBuffer())]);

test("a browser’s store is verified, and shows its bytes, its segments, its tabs and its projections", WITHIN, async (t) => {
  const page = await openShop(t);
  await page.evaluate(async () => {
    const { mountInspector, storeSource } = await import("/inspector.js");
    const takings = {
      initialState: { cents: 0n, kinds: new Set() },
      evolve: ({ cents, kinds }, { type, payload }) => ({ cents: cents + BigInt(payload.cents ?? 0), kinds: new Set([...kinds, type]) }),
    };
    mountInspector(main, storeSource(store, "shop", { projections: { takings } }));
  });
  await says(page, /^61 events$/);
  await page.locator(".row.log").nth(3).click();
  await page.locator(".panel .tree").waitFor();
  await page.getByText("Hash chain").click();
  await says(page, "back to the first of the stream");
  await page.getByText("Bytes in the file").click();
  const record = await page.evaluate(() => store.recordBytes(57n).then(({ bytes, offset, file }) => ({ bytes: [...bytes], offset, file })));
  await page.locator(".panel").getByText(record.file).waitFor();
  const line = record.bytes.slice(0, 8).map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  assert.ok((await page.locator(".panel .hex").textContent()).startsWith(`${record.offset.toString(16).padStart(8, "0")}  ${line}`));
  assert.equal(await page.evaluate(() => store.recordBytes(1000n)), undefined);
  await page.keyboard.press("Escape");

  await page.keyboard.press("6");
  await page.getByRole("button", { name: "Verify" }).last().click();
  await says(page, "✓ Whole");
  assert.match(await page.locator(".verify-view .fields").textContent(), /events61/);
  assert.equal(await page.locator("progress").evaluate(({ value }) => value), 1);
  await picture(page, "browser-verify");

  await page.keyboard.press("7");
  const rowsOf = (title) => page.locator(`h2:text-is("${title}") + table tbody tr`).allTextContents();
  await page.locator("h2", { hasText: "Tabs" }).waitFor();
  assert.deepEqual((await rowsOf("Segments")).map((row) => /(sealed|active)(#\d+)/.exec(row)?.[0].slice(0, 8)), ["sealed#0", "active#6"]);
  assert.deepEqual((await rowsOf("Kinds")).map((row) => row.replace(/0x.{4}/, " ")), ["order.placed 60", "order.paid 1"]);
  assert.match((await rowsOf("Tabs")).join(), /leads$/);
  await isAccessible(page, "the storage of a browser");
  await picture(page, "browser-storage");

  await page.keyboard.press("4");
  await page.getByRole("button", { name: "Run" }).click();
  await page.locator(".state .tree").getByText("“1770”").waitFor();
  await page.getByLabel("Moment").focus();
  await page.keyboard.press("Home");
  await page.locator(".state .tree").getByText("“0”").waitFor();
  await isAccessible(page, "a projection of the page's own");
  await picture(page, "browser-state");
  await page.keyboard.press("5");
  await says(page, "61 events from");
});

test("a tab of its own shows the store, and closes with the page that opened it", WITHIN, async (t) => {
  const page = await openShop(t);
  await page.evaluate(async () => {
    const { openInspector } = await import("/inspector.js");
    const button = Object.assign(document.createElement("button"), { textContent: "Inspect", onclick: () => openInspector(store, "shop") });
    main.append(button);
  });
  const [tab] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("button", { name: "Inspect" }).click()]);
  await says(tab, /^61 events$/);
  await tab.locator(".row .type").first().waitFor();
  await tab.keyboard.press("/");
  await tab.keyboard.type("\"cents\":7");
  await says(tab, /^1 event matches$/);
  await isAccessible(tab, "a tab of its own");
  await picture(tab, "own-tab");
  await Promise.all([tab.waitForEvent("close"), page.goto(`${server.url}/inspector-page/index.html`)]);
});

test("a backup that is dropped is shown until its reader goes back", WITHIN, async (t) => {
  const page = await openShop(t);
  await page.evaluate(async (backup) => {
    const { mountInspector, storeSource } = await import("/inspector.js");
    await store.append({ entity: "order:9", scope: "shop", type: "order.paid", payload: null });
    mountInspector(main, storeSource(store, "shop"));
    globalThis.drop = (name, length = backup.length) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([Uint8Array.from(backup.slice(0, length))], name));
      for (const kind of ["dragover", "drop"]) main.firstElementChild.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
    };
  }, await exported(page));
  await says(page, /^62 events$/);
  await page.evaluate(() => drop("broken.annals", 500));
  await page.getByText("broken.annals can’t be shown").waitFor();
  await says(page, /^62 events$/);
  await page.evaluate(() => drop("monday.annals"));
  await page.locator(".title").getByText("monday.annals").waitFor();
  await says(page, /^61 events$/);
  await page.keyboard.press("7");
  await page.getByText("alone, in memory").waitFor();
  await picture(page, "backup");
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await says(page, /^62 events$/);
});

test("the page alone opens stores of its origin and backups, begins none, and asks nobody", WITHIN, async (t) => {
  const shop = await openShop(t);
  const backup = Buffer.from(await exported(shop));
  const page = await shop.context().newPage();
  const [wrong, asked] = [[], new Set()];
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });
  page.on("request", (request) => { if (/^http/.test(request.url())) asked.add(new URL(request.url()).pathname); });
  await page.goto(`${server.url}/inspector-page/index.html`);
  await page.getByRole("button", { name: "shop" }).waitFor();
  await picture(page, "page-alone");
  await isAccessible(page, "the page alone");
  await page.getByRole("button", { name: "shop" }).click();
  await says(page, /^61 events$/);
  await page.keyboard.press("4");
  await page.getByRole("button", { name: "Run" }).click();
  await page.locator(".state .tree").waitFor();
  await page.getByRole("button", { name: "Stores" }).click();
  await page.getByRole("button", { name: "shop" }).waitFor();
  await page.locator("input[type=file]").setInputFiles({ name: "shop.annals", mimeType: "", buffer: backup });
  await page.locator(".title").getByText("shop.annals").waitFor();
  await page.goto(`${server.url}/inspector-page/index.html#nowhere`);
  await page.getByText("this site has no store").waitFor();
  const names = await page.evaluate(async () => Array.fromAsync((await (await navigator.storage.getDirectory()).getDirectoryHandle("annals")).keys()));
  assert.deepEqual([names, wrong], [["shop"], []]);
  assert.deepEqual([...asked].sort(), ["/inspector-page/index.html", "/inspector-page/reducer.html"]);
});

test("JSON that is none keeps no event from being shown, and no number is shown as another", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  await page.goto(server.url);
  const payloads = await page.evaluate(async () => {
    const [{ openEventStore }, { mountInspector, storeSource }] = await Promise.all([import("/inline.js"), import("/inspector.js")]);
    const store = await openEventStore({ name: "exact", storage: "memory" });
    const { stringify } = JSON;
    // As another writer would put it.
    const write = async (text) => {
      JSON.stringify = () => text;
      const done = store.append({ entity: "a", scope: "s", type: "made.up", payload: {} });
      JSON.stringify = stringify;
      await done;
    };
    for (const text of ["{\"n\":12345678901234567890,\"m\":1e2}", "{broken", "{\"after\":true}"]) await write(text);
    const payloads = [];
    for await (const { payload } of store.query()) payloads.push(payload instanceof Uint8Array ? "bytes" : typeof payload);
    const main = document.createElement("main");
    main.style.cssText = "position: fixed; inset: 0";
    document.body.append(main);
    mountInspector(main, storeSource(store, "exact"));
    return payloads;
  });
  assert.deepEqual(payloads, ["object", "bytes", "object"]);
  await says(page, /^3 events$/);
  await page.locator(".row .preview", { hasText: "{broken" }).click();
  await page.locator(".panel").getByText("It says that it is JSON, and is not.").waitFor();
  await page.locator(".row .num").nth(2).click();
  await page.locator(".panel .tree").getByText("12345678901234567890").waitFor();
  assert.match(await page.locator(".panel .tree").textContent(), /m: 100/);
});
