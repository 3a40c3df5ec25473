// SQLite as one who has tuned it for this VFS opens it.

import { openWith } from "./sqlite.js";

export { destroy, load } from "./sqlite.js";

export function open(name, isStrict) {
  const pragmas = ["locking_mode = EXCLUSIVE", "page_size = 16384", "journal_mode = WAL", `synchronous = ${isStrict ? "FULL" : "NORMAL"}`];
  return openWith(name, pragmas, "wal");
}
