// A backup as the inspector sees it: taken into a store in memory, which goes with the view.

import type { EventStore, OpenOptions } from "../types.js";
import type { OpenBackup } from "./mount.js";
import type { InspectorSource } from "./source.js";
import { storeSource } from "./store-source.js";

/** Opens a store, as `openEventStore` does. */
export type OpenStore = (options: OpenOptions) => Promise<EventStore>;

/** What opens backups in stores that `openStore` opens. */
export function backupOpener(openStore: OpenStore, reducerUrl?: string): OpenBackup {
  return async (file, { onProgress, signal }): Promise<InspectorSource> => {
    const store = await openStore({ name: "backup", storage: "memory", signal });
    try {
      await store.importBackup(file, { onProgress, signal });
    } catch (error) {
      await store.close();
      throw error;
    }
    return Object.assign(storeSource(store, file.name, reducerUrl ? { reducerUrl } : {}), { close: () => store.close() });
  };
}
