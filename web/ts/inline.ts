/** The same as `annals`, with wasm and workers inside: for where no file can stand beside the script. */
export { AnnalsError, type ErrorCode } from "./errors.js";
export type * from "./types.js";
export { newId } from "./wire.js";

import { openWith, type Parts } from "./open.js";
import type { EventStore, OpenOptions } from "./types.js";
// Written by the build.
import { JOBS_WASM, WASM, WORKER } from "../pkg/inline-parts.js";

// There is no broker: tabs share a worker by its URL, and one of a blob is another in each.
const scriptUrl = (text: string) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));

const bytesOf = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const PARTS: Parts = {
  get wasm() { return { first: bytesOf(WASM), jobs: bytesOf(JOBS_WASM) }; },
  makeWorker: () => new Worker(scriptUrl(WORKER), { type: "module", name: "annals-worker" }),
};

/** Opens the event store of a name, in this tab or in the one that has it open. */
export function openEventStore(options: OpenOptions): Promise<EventStore> {
  return openWith(PARTS, options);
}
