/** Stores for tests: in memory, in this very thread, gone with it. */
import { openEventStore } from "./node.js";
import type { TestOptions } from "./testing.js";
import type { EventStore, StoredEvent } from "./types.js";

export { collect, given } from "./test-kit.js";

/** An empty store in memory. */
export function openTestStore(_options: TestOptions = {}): Promise<EventStore> {
  return openEventStore({ storage: "memory" });
}

export type { EventStore, StoredEvent };
