// What both ways to Annals share: the store that users see, whichever thread holds the files.

import { TOTAL } from "../events.js";

const toAppend = ({ id, entity, scope, type, version, payload }) =>
  ({ id, entity, scope, type, payload, expectedVersion: version === 0 ? "noStream" : version - 1 });

/** The engine of a store; `close` ends what stands behind it. */
export class Annals {
  #store;
  #close;

  constructor(store, close) {
    this.#store = store;
    this.#close = close;
  }

  append(event) {
    return this.#store.append(toAppend(event));
  }

  appendBatch(events) {
    return this.#store.appendBatch(events.map(toAppend));
  }

  async get(id, see) {
    see(await this.#store.get(id));
  }

  async stream(entity, see) {
    for await (const event of this.#store.read(entity)) see(event);
  }

  async query(scope, type, see) {
    for await (const event of this.#store.query({ scope, type })) see(event);
  }

  async replay(see) {
    for await (const event of this.#store.query()) see(event);
  }

  async newest(see) {
    for await (const event of this.#store.query({}, { direction: "backward", limit: 1 })) see(event);
  }

  async project(entity) {
    return (await this.#store.aggregate(entity, TOTAL)).state;
  }

  /** A subscription, which is at its end; `next` waits for what comes. */
  async tail() {
    const end = (await this.#store.stats()).end;
    const events = this.#store.subscribe({}, end > 0n ? { after: end - 1n } : {})[Symbol.asyncIterator]();
    return { isLive: true, next: async () => (await events.next()).value, stop: () => events.return() };
  }

  /** The code of the refusal. */
  async refusal(event) {
    return this.append(event).then(() => undefined, ({ code }) => code);
  }

  sync() {
    return this.#store.sync();
  }

  async close() {
    await this.#store.close();
    this.#close?.();
  }
}

export async function destroy(name) {
  const root = await navigator.storage.getDirectory();
  const stores = await root.getDirectoryHandle("annals", { create: true });
  await stores.removeEntry(name, { recursive: true }).catch(() => {});
}
