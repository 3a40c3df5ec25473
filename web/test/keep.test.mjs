// What keeps a store: verification, erasure, compaction, backups. In Node over real files, and in a
// browser with several tabs, whose raw files are looked at. Backups go to the native command and back.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AnnalsError, openEventStore } from "../dist/node.js";
import { collect, openTestStore } from "../dist/testing-node.js";
import { launch, serve } from "./harness.mjs";
import { web } from "./packed.mjs";
import { openTab, payloads, profile, role, upTo } from "./tab.mjs";

let browser;
let server;
const folders = [];
before(async () => {
  server = await serve(join(web, "dist"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

function folder() {
  const path = mkdtempSync(join(tmpdir(), "annals-keep-"));
  folders.push(path);
  return path;
}

/** The native command, built from this very workspace unless told where it is. */
function annals(...args) {
  const cargo = (...args) => execFileSync("cargo", args, { cwd: join(web, ".."), stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20 });
  if (!annals.path && process.env.ANNALS_COMMAND) annals.path = process.env.ANNALS_COMMAND;
  if (!annals.path) {
    cargo("build", "--quiet", "--package", "annals-cli");
    annals.path = join(JSON.parse(cargo("metadata", "--no-deps", "--format-version", "1")).target_directory, "debug", "annals");
  }
  return execFileSync(annals.path, args, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}

const placed = (order, payload) => ({ entity: `order:${order}`, scope: "shop", type: "order.placed", payload });
const withCode = (code, fields = {}) => (error) => {
  assert.ok(error instanceof AnnalsError, String(error));
  assert.equal(error.code, code, error.message);
  assert.deepEqual(Object.fromEntries(Object.keys(fields).map((key) => [key, error[key]])), fields);
  return true;
};

async function fresh(t) {
  const store = await openTestStore();
  t.after(() => store.close());
  return store;
}

/** Some events in two segments. */
async function fill(store, count = 40) {
  await store.appendBatch(upTo(count).map((number) => placed(number % 3, { number, note: `secret ${number}` })));
  await store.compact({ sealActive: true });
  await store.append(placed(9, { number: count }));
}

const bytesOf = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const numbers = async (store) => (await collect(store.query())).map(({ payload }) => payload.number);

/** A damaged copy of bytes. */
function altered(bytes, at) {
  // The slice of a Buffer would be no copy.
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 1;
  return copy;
}

test("b39 a store is proven whole, and progress comes to its end", async (t) => {
  const store = await fresh(t);
  await fill(store);
  const told = [];
  const report = await store.verify({ onProgress: (progress) => told.push(progress) });
  assert.deepEqual({ ...report, bytes: 0 }, {
    isWhole: true, isComplete: true, segments: 2, bytes: 0, events: 41, erasedEvents: 0, prunedRuns: 0, streams: 4, faults: [],
  });
  assert.ok(report.bytes > 0);
  assert.deepEqual(told.at(-1), { bytesDone: report.bytes, bytesTotal: report.bytes });
});

test("b39 a flipped bit in a file is found, with its file and its place", async () => {
  const directory = folder();
  const first = await openEventStore({ directory });
  await fill(first);
  await first.close();
  const name = readdirSync(directory).filter((name) => name.endsWith(".seg")).sort()[0];
  const bytes = readFileSync(join(directory, name));
  const at = bytes.indexOf("secret 20");
  writeFileSync(join(directory, name), altered(bytes, at));
  const store = await openEventStore({ directory });
  try {
    const { isWhole, isComplete, faults } = await store.verify();
    assert.deepEqual([isWhole, isComplete], [false, true]);
    const record = faults.find(({ kind }) => kind === "record");
    assert.equal(record.file, name);
    assert.ok(record.offset < at && at - record.offset < 400, `${record.offset} is before ${at}`);
    await assert.rejects(store.exportBackup().then(bytesOf), withCode("Corrupt", { file: name }));
  } finally {
    await store.close();
  }
});

test("b37 what is erased is in no file, and the record says when and how many", async () => {
  const directory = folder();
  const store = await openEventStore({ directory });
  const there = () => readdirSync(directory).some((name) => readFileSync(join(directory, name)).includes("secret"));
  try {
    await fill(store);
    assert.ok(there());
    const before = Date.now();
    const { record, ...erasure } = await store.erase({ prefix: "" });
    assert.deepEqual(erasure, { erased: 41, erasedBefore: 0, segments: 2, waitingFiles: [] });
    assert.ok(!there(), "of the plaintext nothing is left");
    assert.ok(record.durable && record.sequence === 41n && record.time >= before - 1);
    const [last] = await collect(store.query({ stream: "annals:erasure" }));
    assert.equal(last.id, record.id);
    assert.equal(last.payload.erased, 41);
    const [first] = await collect(store.query());
    assert.equal(first.payload, undefined);
    assert.match(first.erased, /^[0-9a-f]{64}$/);
    const again = await store.erase({ entity: "order:1" });
    assert.deepEqual([again.erased, again.record], [0, undefined]);
    assert.ok(again.erasedBefore > 10);
    assert.ok((await store.verify()).isWhole);
  } finally {
    await store.close();
  }
});

test("b37 a compaction drops what may go, and the rest stays", async (t) => {
  const store = await fresh(t);
  await fill(store);
  const done = await store.compact({ drop: { stream: "order:1" } });
  assert.deepEqual(done, { kept: 28, dropped: 13 });
  assert.deepEqual(await numbers(store), upTo(41).filter((number) => number === 40 || number % 3 !== 1));
  const report = await store.verify();
  assert.ok(report.isWhole && report.prunedRuns > 0);
  await store.append(placed(5, { number: 41 }));
  const merged = await store.compact({ sealActive: true });
  assert.equal(merged.kept, 29);
  assert.equal((await store.stats()).segments.length, 1);
});

test("b38 a backup is of the moment when it was asked for, and is taken in whole", async (t) => {
  const store = await fresh(t);
  await fill(store);
  const stream = await store.exportBackup();
  await store.append(placed(1, { number: 41 }));
  const bytes = await bytesOf(stream);
  const copy = await fresh(t);
  const told = [];
  const imported = await copy.importBackup(bytes, { onProgress: (progress) => told.push(progress) });
  assert.deepEqual([imported.from, imported.end, imported.bytes], [0n, 41n, bytes.length]);
  assert.match(imported.storeId, /^[0-9a-f]{32}$/);
  assert.ok(told.length > 2 && told.every(({ bytesDone, bytesTotal }) => bytesDone <= bytesTotal));
  assert.equal(copy.status.end, 41n);
  assert.deepEqual(await numbers(copy), upTo(41));
  assert.deepEqual(await collect(copy.query({}, { withChain: true, limit: 41 })), await collect(store.query({}, { withChain: true, limit: 41 })));
  // What came since goes on where that one ended.
  const rest = await store.exportBackup({ from: imported.end });
  assert.deepEqual(await copy.importBackup(rest).then(({ from, end }) => [from, end]), [41n, 42n]);
  assert.deepEqual(await numbers(copy), upTo(42));
  assert.ok((await copy.verify()).isWhole);
  await copy.append(placed(1, { number: 42 }));
});

test("b38 a backup that was cut or altered is refused with the place, and leaves nothing", async (t) => {
  const store = await fresh(t);
  await fill(store);
  const bytes = await bytesOf(await store.exportBackup());
  const copy = await fresh(t);
  for (const damaged of [
    bytes.subarray(0, 0), bytes.subarray(0, 1), bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, -1),
    altered(bytes, 0), altered(bytes, 30), altered(bytes, bytes.length >> 1), altered(bytes, bytes.length - 1),
  ]) {
    const refused = (error) => withCode("Corrupt", { file: "backup" })(error) && error.offset <= damaged.length;
    await assert.rejects(copy.importBackup(damaged), refused);
    assert.deepEqual([await numbers(copy), (await copy.stats()).end], [[], 0n]);
  }
  await assert.rejects(store.importBackup(bytes), withCode("BackupMismatch"));
  assert.deepEqual(await numbers(store), upTo(41), "what was there stays");
  await copy.importBackup(new Blob([bytes]));
  assert.deepEqual(await numbers(copy), upTo(41));
});

test("b38 a backup is read only as fast as it is asked for", async (t) => {
  const store = await fresh(t);
  for (let part = 0; part < 4; part++) await store.append(placed(part, new Uint8Array(1 << 20)));
  const told = [];
  const reader = (await store.exportBackup({ onProgress: ({ bytesDone }) => told.push(bytesDone) })).getReader();
  await reader.read();
  const { value } = await reader.read();
  await store.stats();
  assert.equal(told.length, 2, "two were asked for");
  assert.ok(value.length <= 256 << 10);
  await reader.cancel();
  assert.ok(told[1] < 1 << 20);
});

test("an abort ends the work and leaves what was there", async (t) => {
  const store = await fresh(t);
  for (let part = 0; part < 24; part++) await store.append(placed(part, new Uint8Array(1 << 20)));
  const reason = new Error("enough");
  const stopping = () => {
    const controller = new AbortController();
    return { signal: controller.signal, onProgress: () => controller.abort(reason) };
  };
  const isReason = (error) => error === reason;
  await assert.rejects(store.verify(stopping()), isReason);
  await assert.rejects(store.compact({ sealActive: true, drop: { stream: "order:1" }, ...stopping() }), isReason);
  assert.equal((await store.stats()).events, 24);
  await assert.rejects(store.erase({ prefix: "" }, stopping()), isReason);
  await assert.rejects(store.exportBackup(stopping()).then(bytesOf), isReason);
  assert.ok((await store.verify()).isWhole);
  // What was begun and given up keeps nobody waiting.
  const { erased, erasedBefore } = await store.erase({ prefix: "" });
  assert.equal(erased + erasedBefore, 24);

  const whole = await bytesOf(await store.exportBackup());
  const copy = await fresh(t);
  const halting = new ReadableStream({ start: (controller) => controller.enqueue(whole.subarray(0, whole.length >> 1)) });
  await assert.rejects(copy.importBackup(halting, stopping()), isReason);
  assert.equal((await copy.stats()).events, 0);
  const failing = new ReadableStream({ pull: (controller) => controller.error(reason) });
  await assert.rejects(copy.importBackup(failing), isReason);
  await copy.append(placed(1, { number: 0 }));
});

test("whatever else is asked while a backup is taken in says so, and works afterwards", async (t) => {
  const store = await fresh(t);
  await fill(store);
  const bytes = await bytesOf(await store.exportBackup());
  const copy = await fresh(t);
  let goOn;
  const slow = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray(0, 500));
      goOn = () => { controller.enqueue(bytes.subarray(500)); controller.close(); };
    },
  });
  let told;
  const begun = new Promise((resolve) => { told = resolve; });
  const importing = copy.importBackup(slow, { onProgress: told });
  await begun;
  await assert.rejects(copy.append(placed(1, {})), withCode("StoreBusy"));
  await assert.rejects(copy.stats(), withCode("StoreBusy"));
  goOn();
  await importing;
  assert.deepEqual(await numbers(copy), upTo(41));
});

// In a browser, with tabs.

/** The bytes of every file that the store `shop` has, as text in which bytes are characters. */
const rawFiles = (page) => page.evaluate(async () => {
  let dir = await navigator.storage.getDirectory();
  for (const part of ["annals", "shop"]) dir = await dir.getDirectoryHandle(part);
  const files = {};
  for await (const [name, handle] of dir.entries()) {
    const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
    files[name] = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  }
  return files;
});

const inFiles = async (page, text) => Object.values(await rawFiles(page)).some((bytes) => bytes.includes(text));

/** Bytes from the page, in base64: `evaluate` carries values of JSON. */
const exported = async (page) => Buffer.from(await page.evaluate(async () => {
  const bytes = new Uint8Array(await new Response(await store.exportBackup()).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}), "base64");

const importInto = (page, bytes) => page.evaluate(async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return store.importBackup(new Blob([bytes]).stream()).then(({ end }) => Number(end), ({ code, file, offset }) => ({ code, file, offset }));
}, Buffer.from(bytes).toString("base64"));

const appendAll = (page, order, count) => page.evaluate(async ([order, count]) => {
  for (let number = 0; number < count; number++) await store.append(placed(order, `secret ${number}`));
}, [order, count]);

const isWhole = (page) => page.evaluate(() => store.verify().then(({ isWhole }) => isWhole));

async function twoTabs(t, options = {}) {
  const context = await profile(t, browser);
  const leader = await openTab(context, server.url, options);
  const follower = await openTab(context, server.url, options);
  assert.deepEqual([await role(leader), await role(follower)], ["leader", "follower"]);
  return [leader, follower, context];
}

for (const who of ["leader", "follower"]) {
  test(`b37 what the ${who} erases is in no file of OPFS any more`, async (t) => {
    const [leader, follower] = await twoTabs(t);
    const page = who === "leader" ? leader : follower;
    await appendAll(leader, 1, 20);
    await appendAll(follower, 2, 20);
    assert.ok(await inFiles(page, "secret 7"));
    const erasure = await page.evaluate(async () => {
      const { record, ...rest } = await store.erase({ stream: "order:1" });
      return { ...rest, record: Number(record.sequence) };
    });
    assert.deepEqual(erasure, { erased: 20, erasedBefore: 0, segments: 1, waitingFiles: [], record: 40 });
    // The other order has the same texts.
    assert.ok(await inFiles(page, "secret 7"));
    await page.evaluate(() => store.erase({ stream: "order:2" }));
    assert.ok(!(await inFiles(page, "secret")), "of the plaintext nothing is left");
    for (const tab of [leader, follower]) {
      const [first, record] = await tab.evaluate(async () => {
        const events = [];
        for await (const { erased, payload, entity } of store.query()) events.push({ isErased: erased !== undefined, payload, entity });
        return [events[0], events.at(-1)];
      });
      assert.deepEqual(first, { isErased: true, entity: "order:1", payload: undefined });
      assert.equal(record.entity, "annals:erasure");
      assert.ok(await isWhole(tab));
    }
    await page.reload();
    await page.evaluate(() => opened);
    assert.ok(!(await inFiles(page, "secret")));
    assert.ok(await isWhole(page));
  });
}

test("b39 a damaged file of OPFS is found with its place, from the other tab", async (t) => {
  const context = await profile(t, browser);
  const first = await openTab(context, server.url);
  await appendAll(first, 1, 30);
  await first.evaluate(() => store.compact({ sealActive: true }));
  assert.ok(await isWhole(first));
  await first.evaluate(() => store.close());
  const [name, at] = await first.evaluate(async () => {
    let dir = await navigator.storage.getDirectory();
    for (const part of ["annals", "shop"]) dir = await dir.getDirectoryHandle(part);
    for await (const [name, handle] of dir.entries()) {
      const text = await (await handle.getFile()).text();
      if (!text.includes("secret 12")) continue;
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      const at = bytes.findIndex((_, at) => "secret 12".split("").every((character, offset) => bytes[at + offset] === character.charCodeAt(0)));
      const out = await handle.createWritable({ keepExistingData: true });
      await out.write({ type: "write", position: at, data: Uint8Array.of(33) });
      await out.close();
      return [name, at];
    }
  });
  await first.close();
  await openTab(context, server.url);
  const other = await openTab(context, server.url);
  const { isWhole: whole, faults } = await other.evaluate(() => store.verify());
  assert.equal(whole, false);
  const fault = faults.find(({ kind }) => kind === "record");
  assert.equal(fault.file, name);
  assert.ok(fault.offset < at && at - fault.offset < 400);
});

test("b37 segments are written anew while another tab appends, and nothing is lost", async (t) => {
  const [leader, follower] = await twoTabs(t);
  for (let round = 0; round < 3; round++) {
    await leader.evaluate(async (round) => {
      for (let number = 0; number < 12; number++) await store.append(placed(round, new Uint8Array(1 << 20).fill(number)));
      // A segment of its own.
      await store.compact({ sealActive: true, outputMaxBytes: 1 });
    }, round);
  }
  const segments = () => leader.evaluate(() => store.stats().then(({ segments }) => segments.length));
  assert.ok(await segments() >= 3);
  const { kept, during } = await follower.evaluate(async () => {
    let isOver = false;
    let during = 0;
    const compacting = store.compact().finally(() => { isOver = true; });
    do {
      await store.append(placed(9, during++));
    } while (!isOver);
    return { kept: (await compacting).kept, during };
  });
  assert.equal(kept, 36);
  assert.ok(during > 3, `${during} appends went through meanwhile`);
  assert.equal(await segments(), 2);
  assert.deepEqual(await payloads(leader, { stream: "order:9" }), upTo(during));
  assert.ok(await isWhole(leader));
  await follower.reload();
  await follower.evaluate(() => opened);
  assert.equal(await follower.evaluate(() => store.stats().then(({ events }) => events)), 36 + during);
});

test("appends of all tabs go through while a long verification runs, and the leader stays", async (t) => {
  const [leader, follower] = await twoTabs(t, { leaderTimeout: 3_000 });
  await leader.evaluate(async () => {
    for (let number = 0; number < 48; number++) await store.append(placed(0, new Uint8Array(1 << 20).fill(number)));
  });
  const epoch = await follower.evaluate(() => store.status.epoch);
  const seen = await follower.evaluate(async () => {
    let isOver = false;
    let during = 0;
    let slices = 0;
    const verifying = store.verify({ onProgress: () => { slices++; } }).finally(() => { isOver = true; });
    while (slices === 0) await store.stats();
    for (; !isOver; during++) await store.append(placed(1, during));
    return { isWhole: (await verifying).isWhole, during, slices };
  });
  assert.ok(seen.isWhole && seen.slices > 3 && seen.during > 3, JSON.stringify(seen));
  // The other way round: the leader asks, the follower appends.
  const verifying = leader.evaluate(async () => {
    const done = { isOver: false };
    const all = store.verify().finally(() => { done.isOver = true; });
    let during = 0;
    for (; !done.isOver; during++) await store.append(placed(2, during));
    return { isWhole: (await all).isWhole, during };
  });
  await appendAll(follower, 3, 20);
  assert.ok((await verifying).isWhole);
  assert.deepEqual([await role(leader), await role(follower)], ["leader", "follower"]);
  assert.equal(await follower.evaluate(() => store.status.epoch), epoch);
});

test("a verification and an erasure go on when the leader is closed, an import says that it can't", async (t) => {
  const [leader, follower, context] = await twoTabs(t, { leaderTimeout: 5_000 });
  await leader.evaluate(async () => {
    for (let number = 0; number < 40; number++) await store.append(placed(0, new Uint8Array(1 << 20).fill(number)));
  });
  const closing = (page) => { const closed = page.close(); return closed; };
  const begun = (page) => page.waitForFunction(() => globalThis.slices > 0);
  const verifying = follower.evaluate(() => {
    globalThis.slices = 0;
    return store.verify({ onProgress: () => { slices++; } });
  });
  await begun(follower);
  await closing(leader);
  const { isWhole: whole, events } = await verifying;
  assert.deepEqual([whole, events], [true, 40]);
  await follower.waitForFunction(() => store.status.role === "leader");

  const third = await openTab(context, server.url, { leaderTimeout: 5_000 });
  const erasing = third.evaluate(() => {
    globalThis.slices = 0;
    return store.erase({ prefix: "" }, { onProgress: () => { slices++; } }).then(({ erased, erasedBefore }) => erased + erasedBefore);
  });
  await begun(third);
  await closing(follower);
  assert.equal(await erasing, 40);
  assert.ok(await isWhole(third));
});

test("b38 an import whose leader is closed leaves nothing, and can be begun again", async (t) => {
  const source = await openTestStore();
  t.after(() => source.close());
  await fill(source);
  const backup = await bytesOf(await source.exportBackup());
  const [leader, follower] = await twoTabs(t, { leaderTimeout: 5_000 });
  const importing = follower.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    globalThis.slices = 0;
    const halting = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.subarray(0, 3_000));
        globalThis.goOn = () => { controller.enqueue(bytes.subarray(3_000)); controller.close(); };
      },
    });
    return codeOf(store.importBackup(halting, { onProgress: () => { slices++; } }));
  }, Buffer.from(backup).toString("base64"));
  await follower.waitForFunction(() => globalThis.slices > 0);
  await leader.close();
  await follower.evaluate(() => goOn());
  assert.equal(await importing, "LeaderLost");
  assert.equal(await follower.evaluate(() => store.stats().then(({ events }) => events)), 0);
  assert.equal(await importInto(follower, backup), 41);
  assert.ok(await isWhole(follower));
});

test("b38 a backup from the browser is opened and proven by the native command", async (t) => {
  const [leader, follower] = await twoTabs(t);
  await appendAll(leader, 1, 25);
  await follower.evaluate(() => store.erase({ stream: "order:1", versions: { to: 4 } }));
  const file = join(folder(), "shop.annals");
  writeFileSync(file, await exported(follower));
  const store = join(folder(), "shop");
  annals("import-backup", file, "--store", store);
  const report = JSON.parse(annals("verify", "--store", store, "--json"));
  assert.equal(report.faults.length, 0);
  assert.deepEqual([report.events, report.erased_events], [26, 5]);
  const shown = annals("query", "--store", store, "--entity", "order:1", "--json").trim().split("\n");
  assert.equal(shown.length, 25);
  assert.ok(shown[24].includes("secret 24") && shown.every((line) => line.includes("order.placed")));
});

test("b38 a backup of the native command is taken in by the browser, and damaged ones are not", async (t) => {
  const from = join(folder(), "native");
  const rows = join(folder(), "rows.jsonl");
  writeFileSync(rows, upTo(50).map((number) => `${JSON.stringify({ id: `order:${number % 5}`, type: "order.placed", number })}\n`).join(""));
  annals("import", rows, "--store", from, "--format", "jsonl", "--entity", "id", "--scope-value", "shop", "--kind", "type");
  const file = join(folder(), "native.annals");
  annals("export", file, "--store", from);
  const backup = readFileSync(file);

  const [leader, follower] = await twoTabs(t);
  for (const damaged of [backup.subarray(0, -1), backup.subarray(0, 2_000), altered(backup, backup.length >> 1)]) {
    const refused = await importInto(follower, damaged);
    assert.deepEqual([refused.code, refused.file], ["Corrupt", "backup"]);
    assert.ok(refused.offset <= damaged.length);
    const left = Object.entries(await rawFiles(leader)).filter(([, bytes]) => bytes.length > 0);
    assert.deepEqual(left, [], "no file holds anything of it");
  }
  assert.equal(await importInto(follower, backup), 50);
  for (const page of [leader, follower]) {
    assert.deepEqual((await payloads(page)).map(({ number }) => number), upTo(50));
    assert.equal(await page.evaluate(() => Number(store.status.end)), 50);
    assert.ok(await isWhole(page));
  }
  assert.equal((await importInto(leader, backup)).code, "BackupMismatch");
  await leader.evaluate(() => store.append(placed(1, "on")));
  await follower.reload();
  await follower.evaluate(() => opened);
  assert.equal((await payloads(follower)).length, 51);
});
