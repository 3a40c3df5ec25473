/** Stores for tests: in memory, in this very thread, gone with it. */
import init, { Engine, type InitOutput } from "../pkg/annals_web.js";
import { openInProcess } from "./in-process.js";
import { jobsFrom } from "./jobs.js";
import type { EventStore, StoredEvent } from "./types.js";

export { collect, given } from "./test-kit.js";

let first: Promise<InitOutput> | undefined;

export interface TestOptions {
  /** Where `annals.wasm` is, where the bundler can't find it. */
  wasmUrl?: string | URL;
  /** Where `annals-jobs.wasm` is, where the bundler can't find it. */
  jobsWasmUrl?: string | URL;
}

/** An empty store in memory. */
export async function openTestStore(options: TestOptions = {}): Promise<EventStore> {
  first ??= init({ module_or_path: options.wasmUrl ?? new URL("./annals.wasm", import.meta.url) });
  const loadJobs = jobsFrom(options.jobsWasmUrl ?? new URL("./annals-jobs.wasm", import.meta.url), await first);
  return openInProcess(Engine.openMemory(), "memory", false, loadJobs);
}

export type { EventStore, StoredEvent };
