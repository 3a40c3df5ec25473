// SQLite, by sqlite-wasm with its VFS `opfs-sahpool`: the table that an event-sourcing user would
// make, statements prepared once, columns read by their types.

import sqlite3InitModule from "@sqlite.org/sqlite-wasm";
import { TOTAL } from "../events.js";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    entity TEXT NOT NULL,
    version INTEGER NOT NULL,
    scope TEXT NOT NULL,
    type TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (entity, version)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS events_by_scope ON events (scope, type);`;
const INSERT = "INSERT INTO events (id, entity, version, scope, type, time_ms, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const SELECT = "SELECT sequence, id, entity, version, scope, type, time_ms, payload FROM events";

let sqlite3;

export async function load() {
  sqlite3 = await sqlite3InitModule({ print() {}, printErr() {} });
}

/** `pragmas` run before anything else; a journal that is not the one asked for is an error. */
export async function openWith(name, pragmas, journal) {
  const pool = await sqlite3.installOpfsSAHPoolVfs({ name, directory: `/${name}`, initialCapacity: 6 });
  const db = new pool.OpfsSAHPoolDb("/events.sqlite");
  for (const pragma of pragmas) db.exec(`PRAGMA ${pragma}`);
  const used = db.selectValue("PRAGMA journal_mode");
  if (used !== journal) throw new Error(`the journal is ${used}, not ${journal}`);
  db.exec(SCHEMA);
  return new Sqlite(db, pool);
}

export async function destroy(name) {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(name, { recursive: true }).catch(() => {});
}

class Sqlite {
  #db;
  #pool;
  #statements = new Map();

  constructor(db, pool) {
    this.#db = db;
    this.#pool = pool;
  }

  append(event) {
    const { id, entity, version, scope, type, payload } = event;
    const insert = this.#prepared(INSERT);
    try {
      insert.bind(1, id).bind(2, entity).bind(3, version).bind(4, scope).bind(5, type).bind(6, Date.now()).bind(7, payload);
      insert.step();
    } finally {
      insert.reset();
    }
  }

  appendBatch(events) {
    this.#run("BEGIN");
    try {
      for (const event of events) this.append(event);
      this.#run("COMMIT");
    } catch (error) {
      this.#run("ROLLBACK");
      throw error;
    }
  }

  get(id, see) {
    this.#select("WHERE id = ?1", [id], see);
  }

  stream(entity, see) {
    this.#select("WHERE entity = ?1 ORDER BY version", [entity], see);
  }

  query(scope, type, see) {
    this.#select("WHERE scope = ?1 AND type = ?2 ORDER BY sequence", [scope, type], see);
  }

  replay(see) {
    this.#select("ORDER BY sequence", [], see);
  }

  newest(see) {
    this.#select("ORDER BY sequence DESC LIMIT 1", [], see);
  }

  project(entity) {
    let { initialState: state } = TOTAL;
    this.stream(entity, (event) => { state = TOTAL.evolve(state, event); });
    return state;
  }

  /** There are no subscriptions: the application asks for what is behind the last one it saw. */
  tail() {
    let last = this.#db.selectValue("SELECT max(sequence) FROM events") ?? 0;
    const next = () => {
      let found;
      this.#select("WHERE sequence > ?1 ORDER BY sequence", [last], (event) => { found = event; last = event.sequence; });
      return found;
    };
    return { next, stop() {} };
  }

  refusal(event) {
    try {
      this.append(event);
    } catch ({ message }) {
      return /events\.id/.test(message) ? "id" : /events\.entity, events\.version/.test(message) ? "version" : message;
    }
  }

  sync() {
    this.#run("PRAGMA wal_checkpoint(FULL)");
  }

  close() {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#db.close();
    this.#pool.pauseVfs();
  }

  #prepared(sql) {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #run(sql) {
    const statement = this.#prepared(sql);
    statement.step();
    statement.reset();
  }

  #select(clause, values, see) {
    const select = this.#prepared(`${SELECT} ${clause}`);
    values.forEach((value, at) => select.bind(at + 1, value));
    while (select.step()) {
      see({
        sequence: select.getInt(0), id: select.getString(1), entity: select.getString(2), version: select.getInt(3),
        scope: select.getString(4), type: select.getString(5), time: select.getFloat(6), payload: select.getString(7),
      });
    }
    select.reset();
  }
}
