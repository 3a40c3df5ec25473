/** An embedded event store in a directory, for Node: the files that Rust and the browser have. */
export { AnnalsError, type ErrorCode } from "./errors.js";
export type * from "./types.js";
export { newId } from "./wire.js";

import { readFileSync } from "node:fs";
import { initSync, Engine } from "../pkg/annals_web.js";
import { AnnalsError } from "./errors.js";
import { openInProcess } from "./in-process.js";
import { jobsFrom } from "./jobs.js";
import { Directory } from "./node-files.js";
import type { EventStore } from "./types.js";
import { failure } from "./wire.js";

export interface NodeOptions {
  /** The store's directory; it is made where it is missing. */
  directory?: string;
  /** `memory` keeps nothing. */
  storage?: "files" | "memory";
  /** `strict`: on stable storage before an append resolves. `relaxed`: within a moment after. */
  durability?: "strict" | "relaxed";
}

let loaded: (() => Promise<void>) | undefined;

/** Loads the wasm file beside this one, once; what it gives loads the one for long work. */
export function load(): () => Promise<void> {
  if (loaded) return loaded;
  const first = initSync({ module: readFileSync(new URL("./annals.wasm", import.meta.url)) });
  loaded = jobsFrom(() => readFileSync(new URL("./annals-jobs.wasm", import.meta.url)), first);
  return loaded;
}

/** Opens the event store in a directory, as its only writer. */
export async function openEventStore(options: NodeOptions): Promise<EventStore> {
  const loadJobs = load();
  const isRelaxed = options.durability === "relaxed";
  if (options.storage === "memory") return openInProcess(Engine.openMemory(), "memory", false, loadJobs);
  if (!options.directory) throw new AnnalsError("InvalidInput", "give a directory, or storage: \"memory\"");
  const directory = Directory.open(options.directory);
  try {
    const engine = Engine.openFiles(directory, isRelaxed);
    return openInProcess(engine, "files", isRelaxed, loadJobs, () => directory.close());
  } catch (error) {
    directory.close();
    throw failure(error);
  }
}
