// What subscriptions, projections, the status and the errors promise, in Node.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { AnnalsError, openEventStore } from "../dist/node.js";
import { collect, openTestStore } from "../dist/testing-node.js";

const placed = (order, payload = 1) => ({ entity: `order:${order}`, scope: "shop", type: "order.placed", payload });
const sum = { initialState: 0, evolve: (state, { payload }) => state + payload };
const withCode = (code) => (error) => error instanceof AnnalsError && error.code === code;
const upTo = (count) => Array.from({ length: count }, (_, number) => number);

async function fresh(t) {
  const store = await openTestStore();
  t.after(() => store.close());
  return store;
}

/** Resolves when `condition` holds, asked whenever a projection or a status changes. */
function until(subscribe, condition) {
  return new Promise((resolve) => {
    const stop = subscribe(() => {
      if (!condition()) return;
      stop();
      resolve();
    });
    if (condition()) { stop(); resolve(); }
  });
}

test("a snapshot is the same value until an event changes it", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1));
  const evolve = (state, { payload }) => (payload === 0 ? state : { total: state.total + payload });
  const live = store.liveProjection({ initialState: { total: 0 }, evolve });
  assert.equal(live.getSnapshot(), live.getSnapshot());
  await live.ready;
  const before = live.getSnapshot();
  assert.equal(live.getSnapshot(), before);
  await store.append(placed(1, 0));
  await until(live.subscribe, () => live.sequence === 1n);
  assert.equal(live.getSnapshot(), before, "the fold said that nothing has changed");
  await store.append(placed(1, 2));
  await until(live.subscribe, () => live.sequence === 2n);
  assert.notEqual(live.getSnapshot(), before);
  assert.deepEqual(live.getSnapshot(), { total: 3 });
});

test("a state that a function makes is made once for each projection", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1, 5));
  const options = { initialState: () => [], evolve: (state, { payload }) => [...state, payload] };
  const [one, other] = [store.liveProjection(options), store.liveProjection(options)];
  assert.notEqual(one.getSnapshot(), other.getSnapshot());
  await Promise.all([one.ready, other.ready]);
  assert.deepEqual([one.getSnapshot(), other.getSnapshot()], [[5], [5]]);
});

test("a projection that is closed or aborted stays as it is and calls nobody", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1));
  const stop = new AbortController();
  const closed = store.liveProjection(sum);
  const aborted = store.liveProjection({ ...sum, signal: stop.signal });
  const witness = store.liveProjection(sum);
  await Promise.all([closed.ready, aborted.ready, witness.ready]);
  let calls = 0;
  for (const live of [closed, aborted]) live.subscribe(() => calls++);
  closed.close();
  stop.abort();
  await store.append(placed(1, 10));
  await until(witness.subscribe, () => witness.getSnapshot() === 11);
  assert.deepEqual([closed.getSnapshot(), aborted.getSnapshot(), calls], [1, 1, 0]);
  assert.deepEqual([closed.error, aborted.error], [undefined, undefined]);
  assert.equal(getEventListeners(stop.signal, "abort").length, 0, "nothing hangs on to the signal");
  const early = store.liveProjection(sum);
  early.close();
  await assert.rejects(early.ready, withCode("Closed"));
  await assert.rejects(store.liveProjection({ ...sum, signal: AbortSignal.abort("no") }).ready, (reason) => reason === "no");
});

test("an error after the start is told to those who listen, and keeps what was folded", async (t) => {
  const store = await fresh(t);
  const boom = new Error("boom");
  const live = store.liveProjection({ initialState: 0, evolve: (state, { payload }) => { if (payload < 0) throw boom; return state + payload; } });
  await live.ready;
  await store.append(placed(1, 4));
  await until(live.subscribe, () => live.getSnapshot() === 4);
  await store.append(placed(1, -1));
  await until(live.subscribe, () => live.error !== undefined);
  assert.deepEqual([live.error, live.getSnapshot(), live.sequence], [boom, 4, 0n]);
});

test("a store that closes ends its projections with an error", async () => {
  const store = await openTestStore();
  const live = store.liveProjection(sum);
  await live.ready;
  const told = until(live.subscribe, () => live.error !== undefined);
  await store.close();
  await told;
  assert.equal(live.error.code, "Closed");
});

test("a listener that throws disturbs neither the projection nor other listeners", async (t) => {
  const store = await fresh(t);
  const live = store.liveProjection(sum);
  await live.ready;
  const mistake = new Error("a mistake of the application");
  const reported = new Promise((resolve) => {
    const original = queueMicrotask;
    t.mock.method(globalThis, "queueMicrotask", (run) => original(() => { try { run(); } catch (error) { resolve(error); } }));
  });
  const stop = live.subscribe(() => { throw mistake; });
  await store.append(placed(1, 1));
  await until(live.subscribe, () => live.getSnapshot() === 1);
  assert.equal(await reported, mistake);
  stop();
  await store.append(placed(1, 1));
  await until(live.subscribe, () => live.getSnapshot() === 2);
  assert.equal(live.error, undefined);
});

test("a subscription asks for nothing before its reader does", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(500).map((number) => placed(1, number)));
  const events = store.subscribe()[Symbol.asyncIterator]();
  assert.equal(store.status.lag, 0, "it has not begun");
  assert.equal((await events.next()).value.payload, 0);
  await store.appendBatch(upTo(100).map(() => placed(1)));
  assert.equal(store.status.lag, 600, "the first page is still being read");
  for (let number = 1; number <= 128; number++) assert.equal((await events.next()).value.payload, number);
  assert.equal(store.status.lag, 472, "one page was fetched, and the next one has begun");
  await events.return();
  assert.equal(store.status.lag, 0);
});

test("a subscription that waits for an event ends when its reader returns", async (t) => {
  const store = await fresh(t);
  const events = store.subscribe()[Symbol.asyncIterator]();
  const waiting = events.next();
  assert.deepEqual(await events.return(), { value: undefined, done: true });
  assert.deepEqual(await waiting, { value: undefined, done: true });
});

test("a subscription begins behind the sequence that it is given, and can be read twice", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(5).map((number) => placed(1, number)));
  const events = store.subscribe({}, { after: 1n });
  for (let round = 0; round < 2; round++) {
    assert.deepEqual((await collect(events, 3)).map(({ payload }) => payload), [2, 3, 4]);
  }
  assert.deepEqual(await collect(store.subscribe({}, { signal: AbortSignal.abort() })), []);
});

test("an aggregate can be aborted", async (t) => {
  const store = await fresh(t);
  await store.append(placed(1, 3));
  assert.deepEqual(await store.aggregate("order:1", sum, { signal: new AbortController().signal }), { state: 3, version: 0 });
  await assert.rejects(store.aggregate("order:1", sum, { signal: AbortSignal.abort("late") }), (reason) => reason === "late");
});

test("the status is one object until something changes, and tells so", async (t) => {
  const store = await fresh(t);
  const before = store.status;
  assert.equal(store.status, before);
  assert.ok(Object.isFrozen(before));
  assert.deepEqual(before, { role: "alone", storage: "memory", persisted: false, epoch: 1, end: 0n, lag: 0, pending: 0 });
  const live = store.liveProjection(sum);
  await live.ready;
  const seen = [];
  const stop = store.onStatus((status) => seen.push(status));
  const caughtUp = until((listener) => store.onStatus(listener), () => store.status.end === 1n && store.status.lag === 0);
  await store.append(placed(1));
  await caughtUp;
  stop();
  assert.notEqual(store.status, before);
  assert.equal(new Set(seen).size, seen.length, "nobody is told the same twice");
  assert.equal(seen.at(-1).end, 1n);
  assert.equal(await store.persist(), false);
  await store.close();
  assert.equal(store.status.role, "closed");
});

test("a store is disposed of at the end of its block", async () => {
  const store = await openTestStore();
  await store[Symbol.asyncDispose]();
  assert.equal(store.status.role, "closed");
  await store[Symbol.asyncDispose]();
  await assert.rejects(store.append(placed(1)), withCode("Closed"));
});

test("an append that waits can be left, and nothing that is aborted before is sent", async (t) => {
  const store = await fresh(t);
  const stop = new AbortController();
  const waiting = store.append(placed(1), { signal: stop.signal });
  stop.abort("left");
  await assert.rejects(waiting, (reason) => reason === "left");
  await assert.rejects(store.append(placed(1), { signal: stop.signal }), (reason) => reason === "left");
  assert.equal((await store.stats()).events, 1, "what was sent is there, and the second was not sent");
});

test("what JSON can't hold is refused by name, and nothing is written", async (t) => {
  const store = await fresh(t);
  const circle = {};
  circle.self = circle;
  for (const payload of [1n, { total: 1n }, circle, () => {}, Symbol("s")]) {
    await assert.rejects(store.append(placed(1, payload)), (error) => withCode("InvalidInput")(error) && /payload/.test(error.message));
  }
  await assert.rejects(store.append({ ...placed(1), metadata: { at: 1n } }), (error) => withCode("InvalidInput")(error) && /metadata/.test(error.message));
  assert.equal((await store.stats()).events, 0);
});

test("a directory that can't be one is refused", async () => {
  await assert.rejects(openEventStore({}), withCode("InvalidInput"));
});

test("names, payloads and metadata of any characters come back as they were", async (t) => {
  const store = await fresh(t);
  const odd = "q\"b\\é\u{1F600}\u2028'";
  const payloads = ["\u{1F600}", "\ud800", "\0\n\uFEFF", { "é\"": [odd, null, 1.5] }, null, undefined, new Uint8Array([0xff, 0, 0xc3])];
  const events = payloads.map((payload, at) => ({
    entity: `${odd}:${at % 2}`, scope: odd, type: "type.a:b_c", payload, ...(at % 3 === 0 ? { metadata: { [odd]: at } } : {}),
  }));
  const bytes = new Uint8Array([0x7b, 0xff]);
  await store.appendBatch([...events, { ...placed(1), metadata: bytes }]);
  await store.append(placed(2));
  const found = await collect(store.query());
  assert.deepEqual(found.slice(0, -2).map(({ entity, scope, type, payload, metadata }) => ({ entity, scope, type, payload, ...(metadata ? { metadata } : {}) })),
    events.map((event) => ({ ...event, payload: event.payload ?? null })));
  assert.deepEqual(found.at(-2).metadata, bytes);
  assert.deepEqual([found.at(-1).entity, found.at(-1).metadata], ["order:2", undefined]);
  assert.deepEqual(await collect(store.read(`${odd}:1`)), found.filter(({ entity }) => entity === `${odd}:1`));
  assert.deepEqual(await store.get(found[3].id), { ...found[3], chain: (await store.get(found[3].id)).chain });
});

test("halves of a character in two names do not become one", async (t) => {
  const store = await fresh(t);
  await store.append({ ...placed(1), entity: "a\ud83d", scope: "\ude00b" });
  const [{ entity, scope }] = await collect(store.query());
  assert.deepEqual([entity, scope], ["a\ufffd", "\ufffdb"]);
});

test("events that are asked for at once come in order, and none after the end", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(300).map((number) => placed(number % 3, number)));
  const events = store.query()[Symbol.asyncIterator]();
  const asked = await Promise.all(upTo(302).map(() => events.next()));
  assert.deepEqual(asked.map(({ value }) => value?.payload), [...upTo(300), undefined, undefined]);
  assert.deepEqual(asked.map(({ done }) => done).slice(-3), [false, true, true]);
  const left = store.query()[Symbol.asyncIterator]();
  await left.next();
  const [first, end, behind] = await Promise.all([left.next(), left.return(), left.next()]);
  assert.deepEqual([first.value.payload, end.done, behind.done], [1, true, true]);
});

test("a query that is aborted gives no event that it has at hand", async (t) => {
  const store = await fresh(t);
  await store.appendBatch(upTo(3).map((number) => placed(1, number)));
  const stop = new AbortController();
  const seen = [];
  await assert.rejects(async () => {
    for await (const { payload } of store.query({}, { signal: stop.signal })) {
      seen.push(payload);
      stop.abort(new Error("enough"));
    }
  }, /enough/);
  assert.deepEqual(seen, [0]);
});

test("an id is read in any case, with a prefix or without dashes, and nothing else is one", async (t) => {
  const store = await fresh(t);
  const { id } = await store.append(placed(1));
  for (const form of [id.toUpperCase(), `event:${id.replaceAll("-", "")}`]) assert.equal((await store.get(form)).id, id);
  const digits = id.slice(0, -1);
  for (const wrong of ["", digits, `${id}0`, ..."`@G/:g\u0130".split("").map((sign) => digits + sign)]) {
    await assert.rejects(store.get(wrong), withCode("InvalidInput"), wrong);
  }
});
