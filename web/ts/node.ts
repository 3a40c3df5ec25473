/** An embedded event store in a directory, for Node: the files that Rust and the browser have. */
export { AnnalsError, type ErrorCode } from "./errors.js";
export type * from "./types.js";
export { newId } from "./wire.js";

import { readFileSync } from "node:fs";
import { initSync, Engine } from "../pkg/annals_web.js";
import { AnnalsError } from "./errors.js";
import { openInProcess } from "./in-process.js";
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

let isReady = false;

/** Loads the wasm file beside this one, once. */
export function load() {
  if (isReady) return;
  initSync({ module: readFileSync(new URL("./annals.wasm", import.meta.url)) });
  isReady = true;
}

/** Opens the event store in a directory, as its only writer. */
export async function openEventStore(options: NodeOptions): Promise<EventStore> {
  load();
  const isRelaxed = options.durability === "relaxed";
  if (options.storage === "memory") return openInProcess(Engine.openMemory(), "memory", false);
  if (!options.directory) throw new AnnalsError("InvalidInput", "give a directory, or storage: \"memory\"");
  const directory = Directory.open(options.directory);
  try {
    return openInProcess(Engine.openFiles(directory, isRelaxed), "files", isRelaxed, () => directory.close());
  } catch (error) {
    directory.close();
    throw failure(error);
  }
}
