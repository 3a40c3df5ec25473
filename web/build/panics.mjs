// Takes out of the wasm what a panic does before it traps. It formats a message that nobody reads, for there
// is no hook: the trap that follows is what the worker hears. What only leads there goes with it, and so do
// the places in the source that messages name.

import binaryen from "binaryen";

/** Where panics end: functions of Rust's library that don't return. Its own names have a hash behind the crate. */
const ENDS = [
  /^core::panicking::/,
  /^core::(option|result)::(expect|unwrap)_failed/,
  /^core::(slice|str)::.*(_fail|slice_error_fail\w*)$/,
  /^core::cell::panic_already/,
  /^alloc::raw_vec::(handle_error|capacity_overflow)/,
  /^alloc::alloc::handle_alloc_error/,
  /::(assert_failed|panic_poisoned|panic_on_ord_violation)(::<.*>)?$/,
  /^std::(panicking|alloc)::/,
  /rust_begin_unwind|rust_panic|rust_oom/,
];

/** A file of Rust's in a message, as a whole. */
const SOURCE = /^[\w.+@/\\-]+\.rs$/;
const PLACE_LEN = 16;

/** The wasm, with names, whose panics trap at once; how many functions that has emptied, and places. */
export function trapAtOnce(bytes) {
  const blanked = Buffer.from(bytes);
  const places = blankPlaces(blanked);
  binaryen.setDebugInfo(true);
  const module = binaryen.readBinary(blanked);
  let functions = 0;
  for (let at = module.getNumFunctions() - 1; at >= 0; at--) {
    const { name, module: from, params, results } = binaryen.getFunctionInfo(module.getFunctionByIndex(at));
    const plain = name.replace(/\[[0-9a-f]{16}\]/g, "").replace(/::h[0-9a-f]{16}$/, "");
    if (from || !ENDS.some((end) => end.test(plain))) continue;
    module.removeFunction(name);
    module.addFunction(name, params, results, [], module.unreachable());
    functions += 1;
  }
  return { bytes: module.emitBinary(), functions, places };
}

/**
 * Fills what the compiler knows of places with zeros, and the names of their files. A place is `text u32 | len u32 |
 * line u32 | column u32`, where the text is the whole name of a source file; nothing else is of that form.
 */
function blankPlaces(bytes) {
  const segments = dataOf(bytes);
  const names = new Map();
  let places = 0;
  for (const { address, at, len } of segments) {
    for (let offset = (4 - (address % 4)) % 4; offset + PLACE_LEN <= len; offset += 4) {
      const [text, textLen, line, column] = [0, 4, 8, 12].map((field) => bytes.readUInt32LE(at + offset + field));
      const file = textLen < 300 && line > 0 && line < 100_000 && column > 0 && column < 1_000 ? textAt(text, textLen) : undefined;
      if (!file || !SOURCE.test(file.toString("latin1"))) continue;
      bytes.fill(0, at + offset, at + offset + PLACE_LEN);
      names.set(text, file);
      places += 1;
    }
  }
  for (const file of names.values()) file.fill(0);
  return places;

  function textAt(address, len) {
    const segment = segments.find((segment) => address >= segment.address && address + len <= segment.address + segment.len);
    if (!segment) return undefined;
    const start = segment.at + address - segment.address;
    return bytes.subarray(start, start + len);
  }
}

/** The segments of data of a wasm file, which say by a constant where they go. */
function dataOf(bytes) {
  let at = 8;
  const byte = () => bytes[at++];
  const number = () => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const next = byte();
      value += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const section = byte();
    const len = number();
    if (section !== 11) {
      at += len;
      continue;
    }
    return Array.from({ length: number() }, () => {
      const [kind, constant] = [number(), byte()];
      if (kind !== 0 || constant !== 0x41) throw new Error("the wasm has data that does not go to a constant place");
      const address = number();
      byte();
      const segment = { address, len: number(), at };
      at += segment.len;
      return segment;
    });
  }
  return [];
}
