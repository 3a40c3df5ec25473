/** An embedded event store in the files of the browser. */
export { AnnalsError, type ErrorCode } from "./errors.js";
export type * from "./types.js";
export { newId } from "./wire.js";

import { openWith, type Parts } from "./open.js";
import type { EventStore, OpenOptions } from "./types.js";

// Bundlers find the files by these very expressions, and webpack names what it makes of them by
// `name`, which must differ.
const FILES: Parts = {
  makeWorker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "annals-worker" }),
  makeBroker: () => new SharedWorker(new URL("./broker.js", import.meta.url), { type: "module", name: "annals-broker" }),
};

/** Opens the event store of a name, in this tab or in the one that has it open. */
export function openEventStore(options: OpenOptions): Promise<EventStore> {
  return openWith(FILES, options);
}
