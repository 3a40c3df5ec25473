/** A page that shows a store: streams, events, causes, states, rates, the proof. */
export { type Mounted, mountInspector, openInspector } from "./inspector/index.js";
export type * from "./inspector/source.js";
export { storeSource } from "./inspector/store-source.js";
