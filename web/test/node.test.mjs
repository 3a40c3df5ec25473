// The package in Node: the store over real files, through the whole API.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AnnalsError, newId, openEventStore } from "../dist/node.js";
import { collect, given, openTestStore } from "../dist/testing-node.js";

const directories = [];
after(() => directories.forEach((path) => rmSync(path, { recursive: true, force: true })));

function directory() {
  const path = mkdtempSync(join(tmpdir(), "annals-"));
  directories.push(path);
  return path;
}

/** A store in memory that is closed when the test is over. */
async function fresh(t) {
  const store = await openTestStore();
  t.after(() => store.close());
  return store;
}

const placed = (order, payload = { total: 995 }) => ({ entity: `order:${order}`, scope: "shop", type: "order.placed", payload });
const withCode = (code) => (error) => error instanceof AnnalsError && error.code === code;
const upTo = (count) => Array.from({ length: count }, (_, number) => number);

test("b01 an event comes back as it was appended", async (t) => {
  const store = await fresh(t);
  const id = newId();
  const cause = newId();
  const event = {
    ...placed(5, { tea: [1, null, "é"] }), id, metadata: { user: "ann" }, correlation: cause, causation: cause,
    flags: 0x0100, position: { lane: 2, depth: 1 }, payloadVersion: 3,
  };
  const receipt = await store.append(event);
  assert.equal(receipt.id, id);
  assert.equal(receipt.sequence, 0n);
  assert.equal(receipt.version, 0);
  assert.match(receipt.hash, /^[0-9a-f]{64}$/);
  assert.ok(receipt.durable && Math.abs(receipt.time - Date.now()) < 60_000);
  const { chain, kind, time, ...stored } = await store.get(id);
  assert.deepEqual(stored, { ...event, sequence: 0n, version: 0, payloadFormat: "json" });
  assert.equal(kind, 0x1001);
  assert.equal(time, receipt.time);
  assert.equal(chain.hash, receipt.hash);
  assert.match(chain.previousHash, /^0{64}$/);
});

test("raw bytes come back as bytes, and metadata as what it was", async (t) => {
  const store = await fresh(t);
  const payload = Uint8Array.of(0, 255, 123);
  const first = await store.append({ ...placed(1), payload, metadata: Uint8Array.of(123, 1) });
  const second = await store.append({ ...placed(1), payload: undefined });
  assert.deepEqual((await store.get(first.id)).payload, payload);
  assert.deepEqual((await store.get(first.id)).metadata, Uint8Array.of(123, 1));
  assert.equal((await store.get(second.id)).payload, null);
  assert.equal(await store.get(newId()), undefined);
});

test("b04 a version that does not match is refused and writes nothing", async (t) => {
  const store = await fresh(t);
  await given(store, placed(5), placed(5));
  const refused = store.append(placed(5), { expectedVersion: 0 });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof AnnalsError);
    assert.deepEqual([error.code, error.entity, error.actual], ["VersionConflict", "order:5", 1]);
    return true;
  });
  await assert.rejects(store.append(placed(5), { expectedVersion: "noStream" }), withCode("VersionConflict"));
  await assert.rejects(store.append(placed(6), { expectedVersion: "streamExists" }), withCode("VersionConflict"));
  await store.append(placed(5), { expectedVersion: 1 });
  assert.equal((await store.stats()).events, 3);
  assert.equal(await store.head("order:5"), 2);
  assert.equal(await store.head("order:6"), undefined);
});

test("b05 of many appends that expect one version, one wins", async (t) => {
  const store = await fresh(t);
  const all = upTo(50).map(() => store.append(placed(1), { expectedVersion: "noStream" }));
  const outcomes = await Promise.allSettled(all);
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
});

test("b06 an id appends once, and a different event under it is a conflict", async (t) => {
  const store = await fresh(t);
  const id = newId();
  const first = await store.append({ ...placed(1), id }, { expectedVersion: "noStream" });
  const again = await store.append({ ...placed(1), id }, { expectedVersion: "noStream" });
  assert.deepEqual({ ...again, durable: true }, first);
  await assert.rejects(store.append({ ...placed(2), id }), withCode("IdempotencyConflict"));
});

test("b07 a batch is all or nothing, over several streams", async (t) => {
  const store = await fresh(t);
  const receipts = await store.appendBatch([placed(1), { ...placed(2), causedBy: 0 }]);
  assert.deepEqual(receipts.map(({ sequence }) => sequence), [0n, 1n]);
  assert.equal((await store.get(receipts[1].id)).causation, receipts[0].id);
  await assert.rejects(store.appendBatch([placed(1), { ...placed(2), expectedVersion: 7 }]), withCode("VersionConflict"));
  assert.equal((await store.stats()).events, 2);
});

test("b08 a condition is checked with the append", async (t) => {
  const store = await fresh(t);
  const condition = { region: { stream: "order:1", type: "order.placed" } };
  const { sequence } = await store.append(placed(1), { condition });
  await assert.rejects(store.appendBatch([placed(1)], { condition }), withCode("ConditionFailed"));
  await store.append(placed(1), { condition: { ...condition, after: sequence } });
});

test("b09 reserved kinds and impossible addresses can't be appended", async (t) => {
  const store = await fresh(t);
  await assert.rejects(store.append({ ...placed(1), type: 0xd001 }), AnnalsError);
  await assert.rejects(store.append({ ...placed(1), type: 0x0001 }), withCode("InvalidInput"));
  await assert.rejects(store.append({ ...placed(1), type: 70_000 }), withCode("InvalidInput"));
  await assert.rejects(store.append({ ...placed(1), entity: "" }), withCode("InvalidInput"));
});

test("b16 to b19 regions select what they say, in both directions, page by page", async (t) => {
  const store = await fresh(t);
  const events = upTo(3000).map((number) => ({
    entity: ["order:5", "order:50", "order:5:line:1"][number % 3], scope: number % 2 ? "shop" : "depot",
    type: ["placed", "paid"][number % 4 >> 1], payload: number,
  }));
  await store.appendBatch(events);
  const numbers = async (region, options) => (await collect(store.query(region, options))).map(({ payload }) => payload);
  const where = (test) => events.filter(test).map(({ payload }) => payload);
  assert.deepEqual(await numbers(), where(() => true));
  assert.deepEqual(await numbers({ entity: "order:5" }), where(({ entity }) => entity !== "order:50"));
  assert.deepEqual(await numbers({ stream: "order:5", scope: "shop" }), where((e) => e.entity === "order:5" && e.scope === "shop"));
  assert.deepEqual(await numbers({ prefix: "order:50" }), where((e) => e.entity === "order:50"));
  assert.deepEqual(await numbers({ type: "paid" }), where((e) => e.type === "paid"));
  assert.deepEqual(await numbers({ type: ["paid", "unknown"] }), where((e) => e.type === "paid"));
  assert.deepEqual(await numbers({ type: "unknown" }), []);
  assert.deepEqual(await numbers({ sequences: { from: 10, to: 12n } }), [10, 11, 12]);
  assert.deepEqual(await numbers({ stream: "order:5", versions: { from: 998 } }), [2994, 2997]);
  assert.deepEqual(await numbers({}, { direction: "backward", limit: 2000 }), where(() => true).reverse().slice(0, 2000));
  assert.deepEqual(await numbers({}, { after: 2997n }), [2998, 2999]);
  assert.deepEqual(await numbers({}, { after: 2n, direction: "backward" }), [1, 0]);
  assert.deepEqual(await numbers({}, { limit: 0 }), []);
  assert.deepEqual(await numbers({ times: { to: new Date(0) } }), []);
  const backward = await collect(store.read("order:50", { from: 4, direction: "backward" }));
  assert.deepEqual(backward.map(({ version }) => version), [4, 3, 2, 1, 0]);
});

test("b20 a query sees one moment, however many pages it takes", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(500).map(() => placed(1)));
  let seen = 0;
  for await (const _ of store.query()) if (seen++ === 0) await store.append(placed(2));
  assert.equal(seen, 500);
});

test("b31 a subscription catches up and goes on without a gap", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(200).map((number) => placed(1, number)));
  const stop = new AbortController();
  const seen = [];
  const reading = (async () => {
    for await (const { payload } of store.subscribe({ stream: "order:1" }, { signal: stop.signal })) {
      seen.push(payload);
      if (payload === 399) stop.abort();
    }
  })();
  for (let number = 200; number < 400; number++) {
    await store.append(placed(2, "other"));
    await store.append(placed(1, number));
  }
  await reading;
  assert.deepEqual(seen, upTo(400));
});

test("a subscription that waits ends when it is aborted, and fails when the store closes", async () => {
  const store = await openTestStore();
  const stop = new AbortController();
  const aborted = collect(store.subscribe({}, { signal: stop.signal }));
  const closed = assert.rejects(collect(store.subscribe()), withCode("Closed"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  assert.deepEqual(await aborted, []);
  await store.close();
  await closed;
  await assert.rejects(store.append(placed(1)), withCode("Closed"));
  assert.equal(store.status.role, "closed");
});

test("aggregates and live projections fold events into states", async (t) => {
  const store = await fresh(t);
  const count = { initialState: 0, evolve: (state, { payload }) => state + payload };
  await store.appendBatch([placed(1, 1), placed(2, 10), placed(1, 2)]);
  assert.deepEqual(await store.aggregate("order:1", count), { state: 3, version: 1 });
  assert.deepEqual(await store.aggregate("order:9", count), { state: 0, version: undefined });
  const live = store.liveProjection({ ...count, region: { entity: "order:1" } });
  assert.equal(live.getSnapshot(), 0);
  await live.ready;
  assert.equal(live.getSnapshot(), 3);
  const changed = new Promise((resolve) => live.subscribe(resolve));
  await store.append(placed(1, 5));
  await changed;
  assert.equal(live.getSnapshot(), 8);
  assert.equal(live.sequence, 3n);
  live.close();
});

test("an evolve that throws ends its projection, and says so", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1));
  const boom = new Error("boom");
  const live = store.liveProjection({ initialState: 0, evolve: () => { throw boom; } });
  await assert.rejects(live.ready, boom);
  assert.equal(live.error, boom);
});

test("b33 files hold everything after reopening, under the native names", async () => {
  const path = directory();
  const receipts = [];
  for (let round = 0; round < 3; round++) {
    const store = await openEventStore({ directory: path });
    const appends = upTo(20).map((number) => store.append(placed(number % 3, round * 20 + number)));
    receipts.push(...(await Promise.all(appends)));
    assert.equal(store.status.storage, "files");
    assert.ok(receipts.every(({ durable }) => durable));
    await store.close();
  }
  const names = readdirSync(path);
  assert.ok(names.includes("0000000001.seg") && names.some((name) => name.endsWith(".meta")), names.join());
  assert.ok(!names.includes("LOCK.node"), "the owner's mark goes with it");
  const store = await openEventStore({ directory: path });
  const events = await collect(store.query());
  assert.deepEqual(events.map(({ payload }) => payload), upTo(60));
  assert.deepEqual(events.map(({ id }) => id), receipts.map(({ id }) => id));
  assert.ok(events.every(({ type }) => type === "order.placed"));
  await store.close();
});

test("b12 a relaxed append is readable at once and synced when asked", async () => {
  const store = await openEventStore({ directory: directory(), durability: "relaxed" });
  const { durable, id } = await store.append(placed(1));
  assert.ok(!durable);
  assert.ok(await store.get(id));
  await store.sync();
  const { end, durableEnd } = await store.stats();
  assert.deepEqual([end, durableEnd], [1n, 1n]);
  await store.close();
});

test("b35 a directory has one writer, and the mark of a dead one is no obstacle", async () => {
  const path = directory();
  const store = await openEventStore({ directory: path });
  await assert.rejects(openEventStore({ directory: path }), withCode("StoreBusy"));
  await store.close();
  writeFileSync(join(path, "LOCK.node"), "999999999");
  await (await openEventStore({ directory: path })).close();
});

test("b36 a store that is no store is refused with file and offset", async () => {
  const path = directory();
  writeFileSync(join(path, "0000000001.seg"), new Uint8Array(4096).fill(7));
  await assert.rejects(openEventStore({ directory: path }), (error) => {
    assert.deepEqual([error.code, error.file, typeof error.offset], ["Corrupt", "0000000001.seg", "number"]);
    return true;
  });
});

test("an append that is too large is refused by name", async (t) => {
  const store = await fresh(t);
  await assert.rejects(store.append({ ...placed(1), metadata: new Uint8Array(65_537) }), (error) => {
    assert.deepEqual([error.code, error.limit, error.max, error.actual], ["LimitExceeded", "metadata bytes", 65_536, 65_537]);
    return true;
  });
});
