// Splits the wasm in two that share memory and table: what every page needs, and what is loaded when
// it is first needed. The second holds what only its entries lead to.
//
// An entry stays an export of the first, as a call through a slot of the table that the second fills
// when it is instantiated; until then the call traps. What only the table leads to, as the methods
// behind a `dyn`, goes with the second where `isOfSecond` knows its name, and its slots are empty
// until then too. The second imports from the first, under the name `first`: its memory, its table,
// its globals, and what it calls.

import binaryen from "binaryen";

const { BulkMemory, BulkMemoryOpt, Multivalue, MutableGlobals, NontrappingFPToInt, ReferenceTypes, SignExt } = binaryen.Features;
const FEATURES = BulkMemory | BulkMemoryOpt | Multivalue | MutableGlobals | NontrappingFPToInt | ReferenceTypes | SignExt;

const list = (count, at) => Array.from({ length: count }, (_, index) => at(index));
const functionsOf = (module) => list(module.getNumFunctions(), (at) => binaryen.getFunctionInfo(module.getFunctionByIndex(at)));
const globalsOf = (module) => list(module.getNumGlobals(), (at) => binaryen.getGlobalInfo(module.getGlobalByIndex(at)));
const exportsOf = (module) => list(module.getNumExports(), (at) => binaryen.getExportInfo(module.getExportByIndex(at)));

/** `{ first, second }`, as bytes with names; and how many functions each has. */
export function splitWasm(bytes, { entries, isOfSecond }) {
  binaryen.setDebugInfo(true);
  const table = tableOf(binaryen.readBinary(bytes));
  const targets = new Map(exportsOf(binaryen.readBinary(bytes)).map(({ name, value }) => [name, value]));
  const own = entries.map((entry, at) => ({ at: table.end + at, entry, name: targets.get(entry) }));
  const isMoved = ({ name }) => isOfSecond(name);

  const first = binaryen.readBinary(bytes);
  for (const { entry } of own) first.removeExport(entry);
  setSlots(first, table, table.slots.filter((slot) => !isMoved(slot)));
  first.runPasses(["remove-unused-module-elements"]);
  // What the second calls these by, if it does.
  const inFirst = new Map(functionsOf(first).map(({ name }, index) => [name, `f${index.toString(36)}`]));

  const second = binaryen.readBinary(bytes);
  for (const { name } of exportsOf(second)) second.removeExport(name);
  setSlots(second, table, [...table.slots.filter(isMoved), ...own]);
  const signatures = new Map(functionsOf(second).map((info) => [info.name, info]));
  for (const { name, params, results } of signatures.values()) {
    if (!inFirst.has(name)) continue;
    second.removeFunction(name);
    second.addFunctionImport(name, "first", inFirst.get(name), params, results);
  }
  second.runPasses(["remove-unused-module-elements"]);
  const needed = functionsOf(second).filter(({ module }) => module === "first").map(({ name }) => name);
  const globals = globalsOf(second).filter(({ mutable }) => mutable).map(({ name }) => name);

  own.forEach(({ at, entry, name }) => {
    const { params, results } = signatures.get(name);
    const values = binaryen.expandType(params).map((type, index) => first.local.get(index, type));
    first.addFunction(name, params, results, [], first.call_indirect(table.name, first.i32.const(at), values, params, results));
    first.addFunctionExport(name, entry);
  });
  for (const name of needed) first.addFunctionExport(name, inFirst.get(name));
  for (const name of globals) first.addGlobalExport(name, name);
  first.addTableExport(table.name, "table");
  const widened = edited(first, (line) => line.replace(table.line, table.wider(entries.length)));
  const parts = { first: widened, second: edited(second, (line) => imported(line, table, entries.length, globals)) };
  for (const [name, part] of Object.entries(parts)) {
    part.setFeatures(FEATURES);
    if (!part.validate()) throw new Error(`the ${name} part of the wasm is not valid`);
  }
  const count = (part) => functionsOf(part).filter(({ module }) => !module).length;
  const functions = { first: count(parts.first), second: count(parts.second), shared: needed.length };
  return { first: parts.first.emitBinary(), second: parts.second.emitBinary(), functions };
}

/** The table of functions: what its slots hold, and its line in the text. */
function tableOf(module) {
  const segments = list(module.getNumElementSegments(), (at) => binaryen.getElementSegmentInfo(module.getElementSegmentByIndex(at)));
  const [{ table: name }] = segments;
  const slots = segments.flatMap(({ offset, data }) => {
    const { value } = binaryen.getExpressionInfo(offset);
    return data.map((name, index) => ({ at: value + index, name }));
  });
  const { initial: end } = binaryen.getTableInfo(module.getTable(name));
  const line = ` (table $${name} ${end} ${end} funcref)`;
  return { name, slots, segments: segments.map((segment) => segment.name), end, line, wider: (more) => line.replaceAll(` ${end}`, ` ${end + more}`) };
}

/** Has the module fill these slots, and no others. */
function setSlots(module, table, slots) {
  table.segments.forEach((name) => module.removeElementSegment(name));
  const runs = [];
  for (const { at, name } of slots) {
    const run = runs.at(-1);
    if (run && run.at + run.names.length === at) run.names.push(name);
    else runs.push({ at, names: [name] });
  }
  runs.forEach(({ at, names }, index) => module.addActiveElementSegment(table.name, `slots-${index}`, names, module.i32.const(at)));
}

/** The module with each line of its text replaced; lines of forms of the module begin with one space. */
function edited(module, edit) {
  const text = module.emitText().split("\n").map((line) => (/^ \(/.test(line) ? edit(line) : line)).join("\n");
  return binaryen.parseText(text);
}

/** A form of the second, with what is the first's imported. */
function imported(line, table, more, globals) {
  const from = (name, what) => ` (import "first" "${name}" (${what}))`;
  if (line.startsWith(" (data ")) return "";
  const memory = /^ \((memory \$\S+ .*)\)$/.exec(line);
  if (memory) return from("memory", memory[1]);
  if (line === table.line) return from("table", table.wider(more).slice(2, -1));
  const global = /^ \(global (\$\S+) (\(mut \w+\)) /.exec(line);
  if (global && globals.includes(global[1].slice(1))) return from(global[1].slice(1), `global ${global[1]} ${global[2]}`);
  return line;
}
