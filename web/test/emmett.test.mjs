// The store as Emmett's event store, driven by Emmett itself, in memory and over files.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  CommandHandler, DeciderCommandHandler, ExpectedVersionConflictError, getInMemoryEventStore, isExpectedVersionConflictError,
  STREAM_DOES_NOT_EXIST, STREAM_EXISTS,
} from "@event-driven-io/emmett";
import { getAnnalsEventStore } from "../dist/emmett.js";
import { openEventStore } from "../dist/node.js";

const added = (item, cents) => ({ type: "ItemAdded", data: { item, cents } });
const initialState = () => 0;
const evolve = (total, { data }) => total + data.cents;

async function opened(t, storage) {
  if (storage === "memory") {
    const store = await openEventStore({ storage });
    t.after(() => store.close());
    return store;
  }
  const directory = mkdtempSync(join(tmpdir(), "annals-emmett-"));
  const store = await openEventStore({ directory });
  t.after(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return store;
}

for (const storage of ["memory", "files"]) {
  test(`a stream is appended, read and folded (${storage})`, async (t) => {
    const store = await opened(t, storage);
    const events = getAnnalsEventStore(store, { scope: (stream) => stream.split(":")[0] });
    assert.equal(await events.streamExists("cart:1"), false);
    assert.deepEqual(await events.readStream("cart:1"), { currentStreamVersion: 0n, events: [], streamExists: false });
    const empty = await events.aggregateStream("cart:1", { initialState, evolve });
    assert.deepEqual(empty, { currentStreamVersion: 0n, state: 0, streamExists: false });

    const first = await events.appendToStream("cart:1", [added("tea", 450), { ...added("jam", 290), metadata: { by: "ann" } }]);
    assert.deepEqual(first, { nextExpectedStreamVersion: 2n, createdNewStream: true, lastEventGlobalPosition: 1n });
    await events.appendToStream("cart:2", [added("ham", 1)]);
    const second = await events.appendToStream("cart:1", [added("rye", 5)], { expectedStreamVersion: 2n });
    assert.deepEqual(second, { nextExpectedStreamVersion: 3n, createdNewStream: false, lastEventGlobalPosition: 3n });

    const read = await events.readStream("cart:1");
    assert.deepEqual([read.currentStreamVersion, read.streamExists], [3n, true]);
    const stored = [];
    for await (const event of store.read("cart:1")) stored.push(event);
    assert.deepEqual(stored.map(({ scope }) => scope), ["cart", "cart", "cart"]);
    const own = [undefined, { by: "ann" }, undefined];
    const wanted = [added("tea", 450), added("jam", 290), added("rye", 5)].map((event, at) => ({
      ...event, kind: "Event",
      metadata: { ...own[at], streamName: "cart:1", messageId: stored[at].id, streamPosition: BigInt(at + 1), globalPosition: stored[at].sequence },
    }));
    assert.deepEqual(read.events, wanted);
    const folded = await events.aggregateStream("cart:1", { initialState, evolve });
    assert.deepEqual(folded, { currentStreamVersion: 3n, state: 745, streamExists: true, lastEventGlobalPosition: 3n });
  });

  test(`a part of a stream is read by positions, both ends included (${storage})`, async (t) => {
    const events = getAnnalsEventStore(await opened(t, storage));
    await events.appendToStream("cart:1", Array.from({ length: 200 }, (_, at) => added("tea", at + 1)));
    const cents = async (options) => (await events.readStream("cart:1", options)).events.map(({ data }) => data.cents);
    assert.deepEqual(await cents({ from: 3n, to: 5n }), [3, 4, 5]);
    assert.deepEqual(await cents({ from: 199n }), [199, 200]);
    assert.deepEqual(await cents({ to: 2n }), [1, 2]);
    assert.deepEqual(await cents({ maxCount: 2n }), [1, 2]);
    assert.deepEqual(await cents({ from: 150n, maxCount: 100n }), Array.from({ length: 51 }, (_, at) => at + 150));
    assert.deepEqual(await cents({ from: 201n }), []);
    assert.deepEqual(await cents({ from: 5n, to: 4n }), []);
    const part = await events.aggregateStream("cart:1", { initialState, evolve, read: { from: 200n } });
    assert.deepEqual([part.state, part.currentStreamVersion], [200, 200n]);
  });

  test(`versions that do not match are refused as Emmett refuses them (${storage})`, async (t) => {
    const events = getAnnalsEventStore(await opened(t, storage));
    const reference = getInMemoryEventStore();
    const outcome = async (promise) => promise.then(
      ({ nextExpectedStreamVersion, createdNewStream }) => ({ nextExpectedStreamVersion, createdNewStream }),
      (error) => {
        assert.ok(error instanceof ExpectedVersionConflictError && isExpectedVersionConflictError(error), String(error));
        return [error.message, error.current, error.expected];
      },
    );
    const expectations = [STREAM_EXISTS, 1n, STREAM_DOES_NOT_EXIST, STREAM_DOES_NOT_EXIST, 0n, 2n, 1n, STREAM_EXISTS, undefined, 3n, 5n];
    for (const expectedStreamVersion of expectations) {
      const options = expectedStreamVersion === undefined ? {} : { expectedStreamVersion };
      const append = (store) => outcome(store.appendToStream("cart:1", [added("tea", 1)], options));
      assert.deepEqual(await append(events), await append(reference), String(expectedStreamVersion));
    }
    const read = async (store) => store.readStream("cart:1", { expectedStreamVersion: 1n }).then(() => "read");
    const whyNot = (store) => read(store).catch(({ message }) => message);
    assert.equal(await whyNot(events), await whyNot(reference));
    await assert.rejects(events.appendToStream("cart:1", [], { expectedStreamVersion: 1n }), ExpectedVersionConflictError);
    const nothing = await events.appendToStream("cart:1", [], { expectedStreamVersion: 4n });
    assert.deepEqual(nothing, { nextExpectedStreamVersion: 4n, createdNewStream: false, lastEventGlobalPosition: 3n });
  });

  test(`command handlers retry a conflict, and none of their events is lost (${storage})`, async (t) => {
    const events = getAnnalsEventStore(await opened(t, storage));
    const handle = CommandHandler({ evolve, initialState, retry: { onVersionConflict: 20 } });
    await Promise.all(Array.from({ length: 5 }, (_, at) => handle(events, "cart:1", () => [added("tea", at + 1)])));
    const { state, currentStreamVersion } = await events.aggregateStream("cart:1", { initialState, evolve });
    assert.deepEqual([state, currentStreamVersion], [15, 5n]);
    const decide = ({ data }, total) => (total + data.cents > 20 ? [] : [added(data.item, data.cents)]);
    const { newState } = await DeciderCommandHandler({ decide, evolve, initialState })(events, "cart:1", { type: "Add", data: { item: "jam", cents: 4 } });
    assert.equal(newState, 19);
  });
}

test("older events are upcast when they are read, and newer ones downcast when they are appended", async (t) => {
  const store = await opened(t, "memory");
  const events = getAnnalsEventStore(store);
  const downcast = ({ type, data }) => ({ type, data: { ...data, cents: String(data.cents) } });
  const upcast = ({ type, data }) => ({ type, data: { ...data, cents: Number(data.cents) } });
  await events.appendToStream("cart:1", [added("tea", 450)], { schema: { versioning: { downcast } } });
  const plain = await events.readStream("cart:1");
  assert.equal(plain.events[0].data.cents, "450");
  const read = await events.readStream("cart:1", { schema: { versioning: { upcast } } });
  assert.equal(read.events[0].data.cents, 450);
  assert.equal(read.events[0].metadata.streamPosition, 1n);
});

test("what is committed is told afterwards, and a hook that fails undoes nothing", async (t) => {
  const store = await opened(t, "memory");
  const told = [];
  const onAfterCommit = (messages) => {
    told.push(...messages.map(({ data, metadata }) => [data.cents, metadata.streamPosition, metadata.globalPosition]));
    throw new Error("the hook fails");
  };
  const events = getAnnalsEventStore(store, { hooks: { onAfterCommit } });
  await events.appendToStream("cart:1", [added("tea", 1), added("tea", 2)]);
  assert.deepEqual(told, [[1, 1n, 0n], [2, 2n, 1n]]);
  await assert.rejects(events.appendToStream("cart:1", [added("tea", 3)], { expectedStreamVersion: 1n }));
  assert.equal(told.length, 2);
});
