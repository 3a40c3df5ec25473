// How often files are read, written and flushed through access handles, and how many bytes.

const COUNTED = ["read", "write", "flush", "truncate", "getSize"];

/** Counts from now on; what it gives tells the counts since it was asked last. */
export function countOperations() {
  const counts = {};
  const { prototype } = FileSystemSyncAccessHandle;
  for (const name of COUNTED) {
    counts[name] = counts[`${name} bytes`] = 0;
    const original = prototype[name];
    prototype[name] = function (...given) {
      counts[name]++;
      counts[`${name} bytes`] += given[0]?.byteLength ?? 0;
      return original.apply(this, given);
    };
  }
  return () => {
    const since = { ...counts };
    for (const name in counts) counts[name] = 0;
    return since;
  };
}
