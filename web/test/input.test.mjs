// What is asked with wrong values is refused, and never means something else. In Node.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AnnalsError } from "../dist/node.js";
import { collect, openTestStore } from "../dist/testing-node.js";

const placed = (order, payload = 1) => ({ entity: `order:${order}`, scope: "shop", type: "order.placed", payload });
/** An `InvalidInput` that tells what was given. */
const refuses = (about) => (error) => error instanceof AnnalsError && error.code === "InvalidInput" && about.test(error.message);

async function fresh(t) {
  const store = await openTestStore();
  t.after(() => store.close());
  return store;
}

test("a number that its field can't hold is refused, and does not become another", async (t) => {
  const store = await fresh(t);
  const wrongs = [
    { payloadVersion: 65_537 }, { payloadVersion: -1 }, { payloadVersion: 1.5 }, { payloadVersion: "2" },
    { flags: 70_000 }, { position: { lane: 2 ** 32, depth: 0 } }, { position: { lane: 0, depth: -1 } },
    { causedBy: 2 ** 32 }, { type: 70_000 }, { type: NaN }, { type: {} },
    { expectedVersion: -1 }, { expectedVersion: 2 ** 53 }, { expectedVersion: "none" },
  ];
  for (const wrong of wrongs) {
    await assert.rejects(store.append({ ...placed(1), ...wrong }), refuses(/is no whole number up to \d+/), JSON.stringify(wrong));
  }
  assert.equal((await store.stats()).events, 0);
});

test("numbers at the ends of their fields are kept as they are", async (t) => {
  const store = await fresh(t);
  const ends = { payloadVersion: 65_535, flags: 65_535, position: { lane: 2 ** 32 - 1, depth: 2 ** 32 - 1 } };
  const { id } = await store.append({ ...placed(1), ...ends });
  const { payloadVersion, flags, position } = await store.get(id);
  assert.deepEqual({ payloadVersion, flags, position }, ends);
  const all = { sequences: { from: 0n, to: 2n ** 64n - 1n }, versions: { from: 0, to: Number.MAX_SAFE_INTEGER } };
  assert.equal((await collect(store.query(all))).length, 1);
});

test("names and ids that are no strings are refused", async (t) => {
  const store = await fresh(t);
  for (const wrong of [5, null, undefined, ["a"], {}]) {
    await assert.rejects(store.append({ ...placed(1), entity: wrong }), refuses(/is no string/));
    await assert.rejects(store.append({ ...placed(1), scope: wrong }), refuses(/is no string/));
    await assert.rejects(store.get(wrong), refuses(/is no UUID/));
    await assert.rejects(store.head(wrong), refuses(/is no string/));
  }
  assert.equal((await store.stats()).events, 0);
});

test("binary payloads of another type than Uint8Array are refused, not kept as empty objects", async (t) => {
  const store = await fresh(t);
  for (const payload of [new ArrayBuffer(3), new Uint16Array([1, 2]), new DataView(new ArrayBuffer(2))]) {
    await assert.rejects(store.append(placed(1, payload)), refuses(/the payload is no Uint8Array/));
    await assert.rejects(store.append({ ...placed(1), metadata: payload }), refuses(/the metadata is no Uint8Array/));
  }
  assert.equal((await store.stats()).events, 0);
});

test("b17_a_filter_that_is_no_filter_is_refused_and_does_not_widen_the_answer", async (t) => {
  const store = await fresh(t);
  await store.appendBatch([placed(1), { ...placed(2), scope: "else" }]);
  const wrongs = [
    [{ scope: null }, /null is no string/], [{ scope: 5 }, /5 is no string/], [{ entity: null }, /null is no string/],
    [{ scopes: "shop" }, /scopes is no filter/], [{ type: null }, /null is no whole number/], [{ category: 300 }, /300 is no/],
    [{ category: null }, /null is no/], [{ correlation: null }, /null" is no UUID/],
    [{ sequences: { from: -1 } }, /-1 is no/], [{ sequences: { from: 1.5 } }, /1.5 is no/], [{ sequences: { to: null } }, /null is no/],
    [{ sequences: { from: -1n } }, /-1 is no/], [{ sequences: { to: 2n ** 64n } }, /18446744073709551616 is no/],
    [{ versions: { from: 2 ** 53 } }, /9007199254740992 is no/],
    [{ times: { from: new Date(NaN) } }, /Invalid Date is no time/], [{ times: { to: null } }, /null is no time/],
    [{ entity: "order:1", stream: "order:2" }, /one of `entity`, `stream` and `prefix`/],
    [{ prefix: "o", stream: "order:2" }, /one of/], [{ type: "order.placed", category: 1 }, /not both/],
  ];
  for (const [region, about] of wrongs) {
    const name = Object.keys(region).join();
    await assert.rejects(collect(store.query(region)), refuses(about), name);
    await assert.rejects(store.erase(region), refuses(about), name);
    await assert.rejects(store.appendBatch([placed(3)], { condition: { region } }), refuses(about), name);
  }
  const { events, end } = await store.stats();
  assert.deepEqual([events, end], [2, 2n], "nothing was erased or appended");
});

test("a limit or a place that is no whole number is refused", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1));
  for (const limit of [-1, 0.5, NaN]) await assert.rejects(collect(store.query({}, { limit })), refuses(/is no whole number/), String(limit));
  for (const after of [-1n, 1.5, null]) await assert.rejects(collect(store.query({}, { after })), refuses(/is no whole number/), String(after));
  await assert.rejects(collect(store.read("order:1", { from: -1 })), refuses(/-1 is no whole number/));
  assert.deepEqual(await collect(store.query({}, { limit: 0 })), []);
});

test("an erasure or a compaction whose filter has gone missing takes nothing", async (t) => {
  const store = await fresh(t);
  await store.appendBatch([placed(1), placed(2)]);
  await assert.rejects(store.erase(), refuses(/nothing says which events/));
  for (const take of [(region) => store.erase(region), (drop) => store.compact({ drop })]) {
    for (const none of [{}, null]) await assert.rejects(take(none), refuses(/nothing says which events/));
    await assert.rejects(take({ entity: undefined }), refuses(/`entity` is undefined/));
    await assert.rejects(take({ scope: "shop", entity: undefined }), refuses(/`entity` is undefined/));
  }
  assert.deepEqual((await collect(store.query())).map(({ payload }) => payload), [1, 1]);
  assert.equal((await store.erase({ prefix: "" })).erased, 2, "all, where that is said");
});
