// IndexedDB without a library between: one object store, an index for each question, a transaction
// for each append or batch, whole pages by `getAll`.

import { TOTAL } from "../events.js";

const PAGE_EVENTS = 1000;

export const load = undefined;

export async function open(name, isStrict) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    const events = request.result.createObjectStore("events", { keyPath: "sequence", autoIncrement: true });
    events.createIndex("id", "id", { unique: true });
    events.createIndex("stream", ["entity", "version"], { unique: true });
    events.createIndex("scope", ["scope", "type"]);
  };
  return new IndexedDb(await done(request), isStrict ? "strict" : "relaxed");
}

export function destroy(name) {
  return done(indexedDB.deleteDatabase(name));
}

class IndexedDb {
  #db;
  #durability;

  constructor(db, durability) {
    this.#db = db;
    this.#durability = durability;
  }

  append(event) {
    return this.appendBatch([event]);
  }

  appendBatch(events) {
    const transaction = this.#db.transaction("events", "readwrite", { durability: this.#durability });
    const store = transaction.objectStore("events");
    for (const { id, entity, scope, type, version, payload } of events) {
      store.add({ id, entity, scope, type, version, payload, time: Date.now() });
    }
    transaction.commit();
    return finished(transaction);
  }

  async get(id, see) {
    see(await done(this.#events().index("id").get(id)));
  }

  async stream(entity, see) {
    await all(this.#events().index("stream"), IDBKeyRange.bound([entity], [entity, []]), see);
  }

  async query(scope, type, see) {
    await all(this.#events().index("scope"), IDBKeyRange.only([scope, type]), see);
  }

  async replay(see) {
    const store = this.#events();
    for (let last = 0, page; page?.length !== 0; ) {
      page = await done(store.getAll(IDBKeyRange.lowerBound(last, true), PAGE_EVENTS));
      page.forEach(see);
      last = page.at(-1)?.sequence;
    }
  }

  async newest(see) {
    const cursor = await done(this.#events().openCursor(null, "prev"));
    if (cursor) see(cursor.value);
  }

  async project(entity) {
    let { initialState: state } = TOTAL;
    await this.stream(entity, (event) => { state = TOTAL.evolve(state, event); });
    return state;
  }

  /** There are no subscriptions: the application asks for what is behind the last one it saw. */
  async tail() {
    let last = 0;
    await this.newest(({ sequence }) => { last = sequence; });
    const next = async () => {
      const found = await done(this.#events().getAll(IDBKeyRange.lowerBound(last, true)));
      last = found.at(-1)?.sequence ?? last;
      return found.at(-1);
    };
    return { next, stop() {} };
  }

  refusal(event) {
    return this.append(event).then(() => undefined, ({ name }) => name);
  }

  /** A transaction that is on stable storage brings those before it there. */
  async sync() {
    const transaction = this.#db.transaction("events", "readwrite", { durability: "strict" });
    transaction.objectStore("events").delete(0);
    await finished(transaction);
  }

  close() {
    this.#db.close();
  }

  #events() {
    return this.#db.transaction("events").objectStore("events");
  }
}

async function all(source, range, see) {
  (await done(source.getAll(range))).forEach(see);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
