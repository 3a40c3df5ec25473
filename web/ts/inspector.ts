/** A page that shows a store: streams, events, causes, states, rates, the proof. */
import { backupOpener, type OpenStore } from "./inspector/backup.js";
import { Mount, type Mounted, openTab } from "./inspector/mount.js";
import type { InspectorSource } from "./inspector/source.js";
import type { StoreSourceOptions } from "./inspector/store-source.js";
import type { EventStore } from "./types.js";

export type { OpenStore } from "./inspector/backup.js";
export type { Mounted } from "./inspector/mount.js";
export { REDUCER_PAGE } from "./inspector/reducer.js";
export type * from "./inspector/source.js";
export { storeSource, type StoreSourceOptions } from "./inspector/store-source.js";

export interface InspectorOptions {
  /**
   * Opens a store in memory for a backup that is dropped: `openEventStore` of `annals` if not given. Where
   * the bundler needs `worker` and `wasmUrl`, or where all is inline, give one that knows them.
   */
  openStore?: OpenStore;
}

const openStore: OpenStore = async (options) => (await import("./index.js")).openEventStore(options);

/** Shows a store in an element. */
export function mountInspector(element: HTMLElement, source: InspectorSource, options: InspectorOptions = {}): Mounted {
  return new Mount(element, source, { backups: backupOpener(options.openStore ?? openStore) });
}

/**
 * Shows a store in a tab of its own, which closes with this one. To be called on a click: browsers block
 * others. With the store's own name, its tabs are shown too.
 */
export function openInspector(store: EventStore, name?: string, options: InspectorOptions & StoreSourceOptions = {}): Mounted {
  return openTab(store, name, options, { backups: backupOpener(options.openStore ?? openStore) });
}
