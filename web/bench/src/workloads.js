// What is measured. Each workload gives costs in nanoseconds by the name of a row, and answers that
// must be the same for all engines.

import { Events, KINDS, scopeAt, Sum } from "./events.js";
import { asked, percentile, settled, timed } from "./measure.js";

export const BATCH = 1000;
/** Appends before any is timed, so that code is compiled and files are there. */
const WARM_UP = 200;
/** The clock has steps of 5 us: what is faster than a few of them is timed by tens. */
const CHUNK = 10;
const AT_ONCE = 64;

/** Single appends, appends at once, and batches, into an empty store. */
export async function append(engine, { count, batches, payload, isStrict }) {
  const events = new Events(10_000, payload);
  const name = isStrict ? "strict" : "relaxed";
  const costs = {};
  let next = 0;
  const appended = async (some) => {
    for (const event of events.range(next, some)) {
      const doing = engine.append(event);
      if (doing instanceof Promise) await doing;
    }
    next += some;
  };
  await appended(WARM_UP);
  const chunk = isStrict ? 1 : CHUNK;
  const singles = [];
  for (let at = 0; at < count; at += chunk) singles.push((await timed(() => appended(chunk))) / chunk);
  costs[`${name} append, p50`] = percentile(singles, 50);
  if (isStrict) costs[`${name} append, p99`] = percentile(singles, 99);
  const groups = [];
  for (let at = 0; at < count; at += AT_ONCE) {
    const group = events.range(next, AT_ONCE);
    groups.push((await timed(() => Promise.all(group.map((event) => engine.append(event))))) / AT_ONCE);
    next += AT_ONCE;
  }
  costs[`${AT_ONCE} ${name} appends at once, an append`] = percentile(groups, 50);
  const bulk = [];
  for (let at = 0; at < batches; at++) {
    const batch = events.range(next, BATCH);
    bulk.push(await timed(() => engine.appendBatch(batch)));
    next += BATCH;
  }
  costs[`batch of ${BATCH}, ${name}`] = percentile(bulk, 50);
  const answers = { ...(await refusals(engine, events, next)), ...(await whole(`${name} appends`, (see) => engine.replay(see))) };
  return { costs, answers };
}

/** A taken version, a taken id, and a batch that ends with a taken version. */
async function refusals(engine, events, next) {
  const fresh = events.at(next);
  const isRefused = async (event) => ((await engine.refusal(event)) === undefined ? "taken" : "refused");
  const batch = [fresh, { ...events.at(0), id: events.at(next + 1).id }];
  let refused = "taken";
  try {
    await engine.appendBatch(batch);
  } catch {
    refused = "refused";
  }
  const found = [];
  await engine.get(fresh.id, (event) => event && found.push(event));
  return {
    "a taken version": await isRefused({ ...events.at(0), id: fresh.id }),
    "a taken id": await isRefused({ ...fresh, id: events.at(0).id }),
    "a batch with a taken version": `${refused}, ${found.length} of it there`,
  };
}

/** Fills an empty store, in batches. Synced, and neither closed nor given up. */
export async function load(engine, { count, payload }) {
  const events = new Events(count, payload);
  let spent = 0;
  for (let first = 0; first < count; first += BATCH) {
    const batch = events.range(first, Math.min(BATCH, count - first));
    spent += await timed(() => engine.appendBatch(batch));
  }
  await engine.sync();
  return { costs: { "load in batches, relaxed, an event": spent / count }, answers: {} };
}

/** Everything that is asked of a store with so many events. */
export async function read(engine, { count, payload }) {
  const events = new Events(count, payload);
  const costs = {};
  const answers = {};
  const ask = async (name, per, question) => {
    Object.assign(answers, await whole(name, question));
    let sum;
    costs[name] = (await asked(() => ((sum = new Sum()), question((event) => sum.glance(event))))) / per;
  };
  const each = (all, one) => async (see) => {
    for (const item of all) {
      const doing = one(item, see);
      if (doing instanceof Promise) await doing;
    }
  };
  const ids = Array.from({ length: 100 }, (_, at) => events.at(Math.floor((count * at) / 100)).id);
  await ask("get by id", ids.length, each(ids, (id, see) => engine.get(id, see)));
  const entities = events.sample(20);
  await ask("read a stream of 100", entities.length, each(entities, (entity, see) => engine.stream(entity, see)));
  let found = 0;
  const scope = (see) => engine.query(scopeAt(3), KINDS[2], see);
  await settled(scope(() => { found++; }));
  await ask("query by scope and type, an event", found, scope);
  await ask("replay, an event", count, (see) => engine.replay(see));
  const totals = [];
  costs["projection of 100 events"] = (await asked(each(entities, async (entity) => void (totals[entities.indexOf(entity)] = await engine.project(entity))))) / entities.length;
  answers.projections = JSON.stringify(totals);
  return { costs, answers };
}

/** Appends behind all others, each timed until a subscriber has it. */
export async function tail(engine, { count, payload, appends }) {
  const events = new Events(count, payload);
  const tail = await engine.tail();
  let seen;
  const follow = async (event) => {
    if (!tail.isLive) {
      await settled(engine.append(event));
      seen = await settled(tail.next());
    } else {
      [seen] = await Promise.all([tail.next(), engine.append(event)]);
    }
    if (seen?.id !== event.id) throw new Error(`the subscriber got ${seen?.id} in place of ${event.id}`);
  };
  const times = [];
  let next = count;
  while (next < count + appends) {
    const some = events.range(next, CHUNK);
    next += CHUNK;
    times.push((await timed(async () => { for (const event of some) await follow(event); })) / CHUNK);
  }
  await tail.stop();
  // The first ones compile the code.
  return { costs: { "append until a subscriber has it": percentile(times.slice(3), 50) }, answers: {} };
}

/** Single appends, not timed. */
export async function singles(engine, { count, payload }) {
  for (const event of new Events(10_000, payload).range(0, count)) await settled(engine.append(event));
}

/** A sum over every character of an answer. */
async function whole(name, question) {
  const sum = new Sum();
  await settled(question((event) => sum.whole(event)));
  return { [name]: sum.value };
}
