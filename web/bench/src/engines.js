// Who takes part, and what is said of each. Annals in the worker is what the others are held against.

export const ENGINES = [
  {
    name: "annals",
    import: () => import("./engines/annals-worker.js"),
    hasOwnWasm: true,
    note: "client, server and engine of the package in the caller's worker, `strict` / `relaxed`; hash chain, ids, logical clock and index included",
  },
  {
    name: "annals client",
    import: () => import("./engines/annals-client.js"),
    note: "the packed package: the caller asks the package's own worker through a `MessagePort`, as every user of it does",
  },
  {
    name: "sqlite wal",
    import: () => import("./engines/sqlite-wal.js"),
    hasOwnWasm: true,
    note: "sqlite-wasm, VFS `opfs-sahpool`, WAL, `locking_mode` EXCLUSIVE, pages of 16 KiB, `synchronous` FULL / NORMAL; unique id, unique (entity, version), an index over scope and type",
  },
  {
    name: "sqlite",
    import: () => import("./engines/sqlite-default.js"),
    hasOwnWasm: true,
    note: "sqlite-wasm, VFS `opfs-sahpool`, its defaults: a rollback journal, `synchronous` FULL / OFF, which is weaker than the others: a power cut may ruin the file",
  },
  {
    name: "indexeddb",
    import: () => import("./engines/indexeddb.js"),
    note: "one object store, unique indexes on id and on (entity, version), an index over scope and type; `durability` strict / relaxed",
  },
];
