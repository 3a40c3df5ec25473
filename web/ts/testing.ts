/** Stores for tests: in memory, in this very thread, gone with it. */
import init, { Engine } from "../pkg/annals_web.js";
import { openInProcess } from "./in-process.js";
import type { EventStore, StoredEvent } from "./types.js";

export { collect, given } from "./test-kit.js";

let isReady: Promise<unknown> | undefined;

/** An empty store in memory. */
export async function openTestStore(options: { wasmUrl?: string | URL } = {}): Promise<EventStore> {
  isReady ??= init({ module_or_path: options.wasmUrl ?? new URL("./annals.wasm", import.meta.url) });
  await isReady;
  return openInProcess(Engine.openMemory(), "memory", false);
}

export type { EventStore, StoredEvent };
