// `cargo xtask bench --web`: measures, and writes what came out as JSON, from which the tables and
// pictures are made.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { web } from "../test/packed.mjs";
import { installPeers } from "./app.mjs";
import { measure, QUICK, WHOLE } from "./measure.mjs";

const HELP = `Options:
  --payloads 100,1024       Bytes of a payload
  --sizes 1000,10000,100000 Events in the grown stores
  --rounds 3                How often the engines take turns
  --engines sqlite,indexed  Only engines whose name contains one of these; Annals always takes part
  --dir FOLDER              A folder on the disk to be measured
  --json FILE               Where the samples go
  --quick                   A little of the work, once: does it run, and are the answers equal?
`;

const numbers = (text) => text.split(",").map((part) => {
  const number = Number(part);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${part} is no number above 0`);
  return number;
});

const { values } = parseArgs({
  options: {
    payloads: { type: "string", default: "100,1024" }, sizes: { type: "string", default: "1000,10000,100000" },
    rounds: { type: "string", default: "3" }, engines: { type: "string" }, dir: { type: "string" }, json: { type: "string" },
    quick: { type: "boolean", default: false }, help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}

const target = join(web, "../target/web-bench");
const [rounds] = numbers(values.rounds);
const options = values.quick ? QUICK : { ...WHOLE, payloads: numbers(values.payloads), sizes: numbers(values.sizes), rounds };

await installPeers();
const { sheet, engines, operations, browser } = await measure({
  ...options, dir: resolve(values.dir ?? target), engines: values.engines?.split(","), log: (text) => console.error(text),
});
const given = process.argv.slice(2).filter((_, at, all) => !/^--(dir|json)/.test(all[at]) && !/^--(dir|json)$/.test(all[at - 1] ?? ""));
const json = resolve(values.json ?? join(target, "samples.json"));
mkdirSync(dirname(json), { recursive: true });
writeFileSync(json, JSON.stringify({ arguments: given, browser, rounds: options.rounds, engines, operations, rows: sheet.rows }, undefined, 1));
console.error(`${sheet.answered} answers compared; samples in ${json}`);
if (sheet.wrong.length > 0) {
  console.error(`\nfailed:\n${sheet.wrong.join("\n")}`);
  process.exitCode = 1;
}
