// The inspector as people meet it: over real events behind `annals inspect`, over a million made-up
// ones, and over what somebody hostile has appended. With SCREENSHOTS=folder it leaves pictures of
// itself there.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { inspectorAssets, inspectorOptions } from "../build/inspector.mjs";
import { launch, serve } from "./harness.mjs";
import { DESK, isAccessible, openPage, picture, says } from "./inspector-page.mjs";
import { web } from "./packed.mjs";

const WITHIN = { timeout: 240_000 };
const root = join(web, "..");
const receipts = join(root, "../shared/data/receipt.csv");
const PHONE = { viewport: { width: 375, height: 760 }, isMobile: true, hasTouch: true };
const VIEWS = ["Log", "Streams", "Graph", "State", "Rates", "Verify", "Storage"];

let browser;
let folder;
let server;
before(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), "annals-inspector-"));
  cpSync(join(web, "dist"), folder, { recursive: true });
  await esbuild.build({
    ...inspectorOptions, absWorkingDir: web, bundle: true, format: "esm", target: "es2022", outfile: join(folder, "many.js"),
    entryPoints: ["test/inspector-many.ts"], logLevel: "warning",
  });
  writeFileSync(join(folder, "index.html"), `<!doctype html><html lang="en"><title>Inspector</title><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
    <style>body { margin: 0 } main { position: fixed; inset: 0 }</style><main></main>`);
  server = await serve(folder);
});
after(async () => {
  await browser?.close();
  await server?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Starts `annals inspect` and gives the address that it prints. */
async function inspect(t, command, store) {
  const child = spawn(command, ["inspect", store], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NO_COLOR: "1" } });
  t.after(() => child.kill());
  const line = await new Promise((resolve) => createInterface(child.stdout).once("line", resolve));
  return line.replace("Open ", "");
}

let built;
function theCommand() {
  built ??= (() => {
    execFileSync("cargo", ["build", "--quiet", "--package", "annals-cli"], { cwd: root, stdio: "inherit" });
    const metadata = execFileSync("cargo", ["metadata", "--no-deps", "--format-version", "1"], { cwd: root, maxBuffer: 64 << 20 });
    return join(JSON.parse(metadata).target_directory, "debug", process.platform === "win32" ? "annals.exe" : "annals");
  })();
  return built;
}

function storeOfReceipts(t) {
  const store = mkdtempSync(join(tmpdir(), "annals-receipts-"));
  t.after(() => rmSync(store, { recursive: true, force: true }));
  const columns = ["--entity", "case:concept:name", "--scope", "case:department", "--kind", "concept:name", "--time", "time:timestamp"];
  execFileSync(theCommand(), ["import", receipts, "--store", store, ...columns]);
  return store;
}

const tab = (page, name) => page.locator("nav").getByRole("button", { name });
const rows = (page) => page.locator(".view:visible .row .num").allTextContents();

test("the page that the command holds is the one that is built here", async () => {
  for (const [name, text] of Object.entries(await inspectorAssets())) {
    const held = readFileSync(join(root, "adapters/cli/assets", name), "utf8");
    assert.ok(held === text, `adapters/cli/assets/${name} is out of date: run \`npm run build:inspector\` in web/`);
  }
});

for (const [name, options] of [
  ["desk-light", { ...DESK, colorScheme: "light" }], ["desk-dark", { ...DESK, colorScheme: "dark" }],
  ["phone-light", { ...PHONE, colorScheme: "light" }], ["phone-dark", { ...PHONE, colorScheme: "dark" }],
]) {
  test(`every view shows the receipts, on ${name}`, WITHIN, async (t) => {
    if (!existsSync(receipts)) return t.skip("the real data is missing");
    const page = await openPage(browser, t, options);
    await page.goto(await inspect(t, theCommand(), storeOfReceipts(t)));
    await says(page, /^8,577 events$/);
    await page.locator(".row .type").first().waitFor();
    assert.equal((await rows(page))[0], "8,576");
    assert.equal(new URL(page.url()).hash, "", "the token does not stay in the address");
    const look = async (view) => {
      await picture(page, `${name}-${view}`);
      await isAccessible(page, `${view} on ${name}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${view} on ${name} is ${wide} too wide`);
    };
    await look("log");

    await page.locator(".row.log").nth(5).click();
    await page.locator(".panel .tree").waitFor();
    await look("event");
    await page.getByText("Hash chain").click();
    await says(page, "back to the first of the stream");
    await page.getByText("Bytes in the file").click();
    await page.locator(".panel .hex").waitFor();
    await page.locator(".panel .hex").scrollIntoViewIfNeeded();
    await look("event-bytes");
    await page.getByRole("button", { name: "State of its stream" }).click();
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".state .tree").waitFor();
    if (await page.locator(".panel").isVisible()) await page.keyboard.press("Escape");
    await look("state");

    await tab(page, "Streams").click();
    await says(page, /^1,434 streams$/);
    await page.locator(".row.streams .entity").first().waitFor();
    await look("streams");
    await tab(page, "Rates").click();
    await page.getByRole("button", { name: "Clear" }).or(page.getByRole("button", { name: "More" })).first().waitFor();
    await says(page, "at most");
    await look("rates");
    await tab(page, "Verify").click();
    await page.getByRole("button", { name: "Verify" }).last().click();
    await says(page, "Whole");
    await look("verify");
    await tab(page, "Storage").click();
    await page.getByText("0000000001.seg").waitFor();
    await look("storage");
    await tab(page, "Graph").click();
    await page.getByLabel("Event", { exact: true }).fill("#17");
    await page.keyboard.press("Enter");
    await says(page, "1 event");
    await look("graph");
  });
}

test("a reload goes on, and another tab with the same address is told why not", WITHIN, async (t) => {
  if (!existsSync(receipts)) return t.skip("the real data is missing");
  const address = await inspect(t, theCommand(), storeOfReceipts(t));
  const page = await openPage(browser, t);
  await page.goto(address);
  await says(page, /^8,577 events$/);
  await page.reload();
  await says(page, /^8,577 events$/);
  const other = await (await browser.newContext()).newPage();
  await other.goto(address);
  await other.getByText("has been opened before").waitFor();
  await other.context().close();
});

test("a million events scroll without a blank frame, and no more rows exist than are in sight", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.goto(server.url);
  await page.evaluate(() => import("/many.js").then(({ mountMany }) => mountMany(document.querySelector("main"), 1_000_000)));
  await says(page, /^1,000,000 events$/);
  await page.locator(".row .type").first().waitFor();
  const top = async () => (await page.evaluate(() => {
    const { list, shown } = window.many();
    return shown.map((row) => Number(row.querySelector(".num").textContent.replaceAll(",", ""))).concat(list.scrollTop);
  }));
  assert.equal((await top())[0], 999_999);

  // Each frame of the browser is looked at while the wheel turns.
  await page.evaluate(() => window.watchFrames());
  await page.mouse.move(600, 500);
  for (let turn = 0; turn < 60; turn++) await page.mouse.wheel(0, 340);
  await page.waitForFunction(() => window.many().shown[0]?.querySelector(".num").textContent === "999,399");
  const { frames, blank, rowsMax } = await page.evaluate(() => window.frames_);
  assert.ok(frames > 10, `${frames} frames`);
  assert.equal(blank, 0, `${blank} of ${frames} frames were blank`);
  assert.ok(rowsMax < 40, `${rowsMax} rows existed at once`);

  // The end, the middle by the scrollbar, one place by its number.
  await page.locator(".list").focus();
  await page.keyboard.press("End");
  await page.waitForFunction(() => window.many().shown.at(-1)?.querySelector(".num").textContent === "0" && window.many().shown.at(-1).querySelector(".type"));
  await page.evaluate(() => { const { list } = window.many(); list.scrollTop = list.scrollHeight / 2; });
  await page.waitForFunction(() => Math.abs(Number(window.many().shown[0].querySelector(".num").textContent.replaceAll(",", "")) - 500_000) < 100);
  await page.getByLabel("Go to sequence").fill("123456");
  await page.keyboard.press("Enter");
  await page.locator(".row[aria-selected=true]").getByText("123,456").waitFor();

  // A filter that must look at everything goes on while frames are drawn.
  await page.evaluate(() => window.watchFrames());
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await says(page, /^3 events match$/);
  assert.deepEqual(await rows(page), ["900,001", "450,001", "1"]);
  assert.ok((await page.evaluate(() => window.frames_.frames)) > 10, "frames were drawn meanwhile");
  await page.keyboard.press("Escape");
  await page.getByLabel("Payload contains").fill("");
  await page.getByLabel("Entity").fill("stream:7");
  await says(page, /and more match$/);
  await page.locator(".list").focus();
  for (let turn = 0; turn < 30; turn++) await page.keyboard.press("PageDown");
  await page.waitForFunction(() => window.many().shown.every((row) => row.querySelector(".entity")?.textContent === "stream:7@many"));
  await picture(page, "million");
});

test("everything can be done with keys alone", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.goto(server.url);
  await page.evaluate(() => import("/many.js").then(({ mountMany }) => mountMany(document.querySelector("main"), 5000)));
  await says(page, /^5,000 events$/);
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("To a view").waitFor();
  await isAccessible(page, "the keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("1");
  for (const key of ["ArrowDown", "j", "j", "k"]) await page.keyboard.press(key);
  await page.keyboard.press("Enter");
  await page.locator(".panel").getByText("#4,998").first().waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".panel").waitFor({ state: "hidden" });
  await page.keyboard.press("ArrowDown");
  // The list has the keys again.
  await page.locator(".row[aria-selected=true]").getByText("4,997").waitFor();
  for (const [at, view] of VIEWS.entries()) {
    await page.keyboard.press(String(at + 1));
    assert.equal(await page.locator("nav [aria-current]").textContent(), view);
  }
  await page.keyboard.press("/");
  assert.equal(await page.locator("nav [aria-current]").textContent(), "Log");
  await page.keyboard.type("1?/");
  assert.equal(await page.getByLabel("Payload contains").inputValue(), "1?/", "a field takes keys as text");
});

test("causes and effects are drawn, walked through, and saved as SVG", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.goto(server.url);
  await page.evaluate(() => import("/many.js").then(({ mountMany }) => mountMany(document.querySelector("main"), 5000)));
  await page.keyboard.press("3");
  await page.getByLabel("Event", { exact: true }).fill("5");
  await page.keyboard.press("Enter");
  await says(page, "13 events");
  assert.equal(await page.locator(".edge").count(), 12);
  assert.match(await page.locator(".node.is-chosen").getAttribute("aria-label"), / #5 /);
  await picture(page, "graph-many");
  await isAccessible(page, "the graph");
  const box = () => page.locator(".canvas svg").getAttribute("viewBox");
  const first = await box();
  await page.locator(".node").first().focus();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await box(), first);
  await page.keyboard.press("0");
  assert.equal(await box(), first);
  await page.keyboard.press("Enter");
  await page.locator(".panel").getByText("#0").first().waitFor();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as SVG" }).click()]);
  const svg = readFileSync(await saved.path(), "utf8");
  assert.match(svg, /^<svg[^>]*viewBox="0 0 /);
  assert.equal(svg.match(/<path/g).length, 13);
  await tab(page, "Log").click();
  await tab(page, "Graph").click();
  await page.locator(".node.is-chosen[aria-label*=' #0 ']").waitFor({ timeout: 10_000 });
});

test("what is filtered is saved as JSON Lines", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.goto(server.url);
  await page.evaluate(() => import("/many.js").then(({ mountMany }) => mountMany(document.querySelector("main"), 5000)));
  await says(page, /^5,000 events$/);
  await page.getByLabel("Entity").fill("stream:7");
  await says(page, /^50 events match$/);
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as JSON Lines" }).click()]);
  const events = readFileSync(await saved.path(), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(events.length, 50);
  assert.deepEqual([events[0].sequence, events[0].entity, events[0].payload.at], [7, "stream:7", 7]);
});

const RLO = "\u202e";

test("hostile events are shown as text, and a huge one does no harm", WITHIN, async (t) => {
  const page = await openPage(browser, t);
  await page.goto(server.url);
  await page.evaluate(async (RLO) => {
    const [{ openEventStore }, { mountInspector, storeSource }] = await Promise.all([import("/inline.js"), import("/inspector.js")]);
    const store = await openEventStore({ name: "hostile", storage: "memory" });
    const evil = "<img src=x onerror=\"window.isHarmed=1\"><script>window.isHarmed=1</scr" + "ipt>";
    const event = { entity: `a${evil}`, scope: `s${evil}`, type: "evil.done" };
    await store.append({ ...event, payload: { [evil]: evil, list: [evil], __proto__x: 1 } });
    await store.append({ ...event, payload: `safe${RLO}gpj.exe` , metadata: { note: evil } });
    await store.append({ entity: "huge", scope: "s", type: "evil.done", payload: "x".repeat(10 << 20) });
    await store.append({ entity: "raw", scope: "s", type: "evil.done", payload: Uint8Array.from({ length: 300 }, (_, at) => at) });
    await store.append({ entity: "deep", scope: "s", type: "evil.done", payload: JSON.parse("[".repeat(400) + "]".repeat(400)) });
    mountInspector(document.querySelector("main"), storeSource(store, `shop${RLO}${evil}`));
  }, RLO);
  await says(page, /^5 events$/);
  await page.locator(".row .type").first().waitFor();
  const event = async (sequence) => {
    await page.locator(".row").filter({ has: page.locator(`.num:text-is("${sequence}")`) }).click();
    await page.locator(".panel h2").getByText(`#${sequence}`).waitFor();
    return page.locator(".panel");
  };
  assert.match(await (await event(0)).locator(".tree").textContent(), /<img src=x onerror=/);
  await page.getByText("Hash chain").click();
  await says(page, "back to the first of the stream");
  const override = await (await event(1)).locator(".tree").textContent();
  assert.ok(override.includes("safe\\u202egpj.exe"), override);
  const huge = await event(2);
  await huge.getByRole("button", { name: "characters more" }).or(huge.getByText("characters more")).first().waitFor();
  assert.ok((await huge.textContent()).length < 100_000, "only the beginning is there");
  assert.match(await (await event(3)).locator(".hex").first().textContent(), /^00000000 {2}00 01 02/);
  await (await event(4)).locator(".tree").waitFor();
  await picture(page, "hostile");
  for (const key of ["2", "3", "4", "5", "6", "7", "1"]) {
    await page.keyboard.press(key);
    if (key === "2") await says(page, /^4 streams$/);
    if (key === "5") await says(page, "at most");
    if (key === "7") await page.getByText("alone, in memory").waitFor();
    const harm = await page.evaluate(() => {
      const { shadowRoot } = document.querySelector("main > div");
      return [window.isHarmed, shadowRoot.querySelectorAll("img, script").length, shadowRoot.textContent.includes("\u202e")];
    });
    assert.deepEqual(harm, [undefined, 0, false]);
  }
});

test("a pasted reducer reaches nothing, and its errors are told", WITHIN, async (t) => {
  const asked = [];
  const stranger = createServer((request, response) => { asked.push(request.url); response.end(); });
  await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  t.after(() => { stranger.close(); stranger.closeAllConnections(); });
  const url = `http://127.0.0.1:${stranger.address().port}/leak`;
  const context = await browser.newContext(DESK);
  t.after(() => context.close());
  const run = async (page, source) => {
    await page.keyboard.press("4");
    await page.getByLabel("Reducer").fill(source);
    await page.getByRole("button", { name: "Run" }).click();
  };
  const leak = `(state, event) => {
    if (state !== undefined) return state;
    const tried = [() => fetch("${url}"), () => new WebSocket("${url.replace("http", "ws")}"), () => importScripts("${url}.js"),
      () => new EventSource("${url}"), () => { const x = new XMLHttpRequest(); x.open("GET", "${url}", false); x.send(); }, () => import("${url}.js"),
      () => new Worker("${url}.js")].map((leak) => { try { leak()?.catch?.(() => {}); return "tried"; } catch (error) { return "refused"; } });
    return { origin: self.origin, tried: tried.length, document: typeof document };
  }`;
  const pages = [["over a store of the browser", server.url]];
  if (existsSync(receipts)) pages.push(["over annals inspect", await inspect(t, theCommand(), storeOfReceipts(t))]);
  for (const [where, address] of pages) {
    const page = await context.newPage();
    await page.goto(address);
    if (address === server.url) await page.evaluate(() => import("/many.js").then(({ mountMany }) => mountMany(document.querySelector("main"), 200)));
    await page.locator(".row .type").first().waitFor();
    await run(page, leak);
    await page.locator(".state .tree").getByText("“null”").waitFor();
    assert.match(await page.locator(".state").textContent(), /tried: 7.*document: “undefined”/, where);
    await run(page, "(state, event) => { throw new Error('no <b>bread</b>') }");
    await page.getByText("event 1 of").getByText("no <b>bread</b>").or(page.getByText("no <b>bread</b>")).first().waitFor();
    await run(page, "not a function");
    await page.locator(".reducer .error").waitFor();
    await run(page, "(count = 0, event) => { count += 1; return count; };");
    const last = address === server.url ? 200 : 8577;
    await page.locator(".state").getByText(String(last), { exact: true }).waitFor();
    await page.getByLabel("Moment").focus();
    await page.keyboard.press("ArrowLeft");
    await page.locator(".state").getByText(String(last - 1), { exact: true }).waitFor();
    await page.keyboard.press("Home");
    await page.locator(".state").getByText("undefined", { exact: true }).waitFor();
  }
  assert.deepEqual(asked, []);
});
