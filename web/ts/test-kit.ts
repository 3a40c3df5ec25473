// What tests of an application need besides a store.

import type { EventStore, NewEvent, StoredEvent } from "./types.js";

/** Appends what has happened before the test begins, one by one. */
export async function given(store: EventStore, ...events: NewEvent[]): Promise<EventStore> {
  for (const event of events) await store.append(event);
  return store;
}

/** The first events of an endless iteration, or all of one that ends. */
export async function collect<P>(events: AsyncIterable<StoredEvent<P>>, count = Infinity): Promise<StoredEvent<P>[]> {
  const collected: StoredEvent<P>[] = [];
  if (count <= 0) return collected;
  for await (const event of events) {
    collected.push(event);
    if (collected.length >= count) break;
  }
  return collected;
}
