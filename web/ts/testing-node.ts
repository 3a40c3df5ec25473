/** Stores for tests: in memory, in this very thread, gone with it. */
import { openEventStore } from "./node.js";
import type { EventStore, StoredEvent } from "./types.js";

export { collect, given } from "./test-kit.js";

/** An empty store in memory. */
export function openTestStore(_options: { wasmUrl?: string | URL } = {}): Promise<EventStore> {
  return openEventStore({ storage: "memory" });
}

export type { EventStore, StoredEvent };
