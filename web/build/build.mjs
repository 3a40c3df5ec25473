// `npm run build`: makes `dist/`, which is the package. `--skip-wasm` takes the wasm of the last
// build.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { inspectorEntry, inspectorPage } from "./inspector.mjs";
import { trapAtOnce } from "./panics.mjs";
import { splitWasm } from "./split.mjs";
import { wasmEnvironment } from "./toolchain.mjs";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const root = resolve(web, "..");
const dist = join(web, "dist");
const pkg = join(web, "pkg");
/** What every page that leads loads, and what is loaded for long work. */
const WASM = { first: "annals.wasm", second: "annals-jobs.wasm" };

/** Bytes, gzipped. The wasm and the worker are loaded by the tab that leads, the client by each. */
const LIMITS = { "annals.wasm": 206_500, "annals-jobs.wasm": 90_000, "worker.js": 10_000, "broker.js": 1_000, "client (index.js)": 8_192, "client, seldom": 3_000, "inspector.js": 70_000 };

/**
 * What is loaded for long work: what these exports lead to, and what is behind `dyn Work`, which only they make. The
 * second are names in the wasm, as the compiler writes them.
 */
const JOBS = {
  entries: ["engine_job"],
  isOfSecond: (name) => /annals_web::keep::|^core::ptr::drop_\w+<annals_core::verify::Verification</.test(name),
};

/** What wasm-opt may use: what every browser with OPFS access handles has. */
const WASM_FEATURES = ["bulk-memory", "mutable-globals", "nontrapping-float-to-int", "sign-ext", "reference-types", "multivalue"];

function run(program, args, options = {}) {
  console.log("$", [program.replace(/.*\//, ""), ...args].join(" ").replaceAll(root, "."));
  execFileSync(program, args, { cwd: web, stdio: "inherit", ...options });
}

function buildWasm() {
  const env = wasmEnvironment(root);
  remapPaths(env);
  const target = ["--target", "wasm32-unknown-unknown"];
  run("cargo", ["build", "--profile", "web", "--package", "annals-web", ...target], { env, cwd: root });
  const metadata = execFileSync("cargo", ["metadata", "--no-deps", "--format-version", "1"], { env, cwd: root });
  const built = join(JSON.parse(metadata).target_directory, "wasm32-unknown-unknown/web/annals_web.wasm");
  const bindgen = ["--target", "web", "--omit-default-module-path", "--out-dir", pkg, built];
  run("wasm-bindgen", bindgen, { env });
  const whole = join(pkg, "whole.wasm");
  const bound = join(pkg, "annals_web_bg.wasm");
  const quiet = trapAtOnce(readFileSync(bound));
  console.log(`panics: ${quiet.functions} functions and ${quiet.places} places in the source left out`);
  writeFileSync(bound, quiet.bytes);
  wasmOpt(bound, whole, ["-g"]);
  const { functions, ...parts } = splitWasm(readFileSync(whole), JOBS);
  console.log(`functions: ${functions.first} first, ${functions.second} for long work, which calls ${functions.shared} of the first`);
  for (const [part, name] of Object.entries(WASM)) {
    writeFileSync(whole, parts[part]);
    wasmOpt(whole, join(pkg, name), ["--strip-debug", "--strip-producers", "--strip-target-features"]);
    checkPaths(join(pkg, name));
  }
}

function wasmOpt(from, to, options) {
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  const program = join(web, "node_modules/binaryen/bin/wasm-opt");
  run(process.execPath, [program, "-O3", "--converge", ...options, ...features, from, "-o", to]);
}

/** Panics name the file that they come from: not as it is called on this machine. */
function remapPaths(env) {
  const home = cargoHome(env);
  const sources = join(home, "registry/src");
  const registries = existsSync(sources) ? readdirSync(sources).map((name) => [join(sources, name), "crates"]) : [];
  const sysroot = execFileSync("rustc", ["--print", "sysroot"], { env }).toString().trim();
  // The last one that fits counts.
  const remaps = [[home, "cargo"], [sysroot, "rust"], [root, "annals"], ...registries];
  const flags = remaps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  const given = env.CARGO_ENCODED_RUSTFLAGS ? env.CARGO_ENCODED_RUSTFLAGS.split("\x1f") : (env.RUSTFLAGS ?? "").split(" ");
  env.CARGO_ENCODED_RUSTFLAGS = [...given.filter((flag) => flag), ...flags].join("\x1f");
}

function cargoHome(env) {
  return env.CARGO_HOME || join(homedir(), ".cargo");
}

function checkPaths(wasm) {
  const text = readFileSync(wasm).toString("latin1");
  const folder = [root, cargoHome(process.env), "registry/src", "registry\\src", ".rustup"].find((folder) => text.includes(folder));
  if (!folder) return;
  const at = text.indexOf(folder);
  throw new Error(`the wasm names a file of this machine: ${text.slice(Math.max(0, at - 40), at + 120).replace(/[^ -~]+/g, " ")}`);
}

const shared = { absWorkingDir: web, bundle: true, format: "esm", target: "es2022", logLevel: "warning", legalComments: "none" };

async function text(entry) {
  const built = await esbuild.build({ ...shared, entryPoints: [entry], minify: true, write: false });
  return built.outputFiles[0].text;
}

async function buildScripts() {
  const [worker, broker] = await Promise.all([text("ts/worker.ts"), text("ts/broker.ts")]);
  writeFileSync(join(dist, "worker.js"), worker);
  writeFileSync(join(dist, "broker.js"), broker);
  const wasm = (name) => readFileSync(join(pkg, name)).toString("base64");
  const parts = { WASM: wasm(WASM.first), JOBS_WASM: wasm(WASM.second), WORKER: worker };
  const lines = Object.entries(parts).map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};\n`);
  writeFileSync(join(pkg, "inline-parts.js"), lines.join(""));
  const types = Object.keys(parts).map((name) => `export declare const ${name}: string;\n`);
  writeFileSync(join(pkg, "inline-parts.d.ts"), types.join(""));
  const split = { ...shared, outdir: "dist", splitting: true, chunkNames: "shared-[hash]", external: ["react", "@event-driven-io/emmett"] };
  const browser = ["index", "react", "emmett", "testing", "inline"].map((name) => `ts/${name}.ts`);
  await esbuild.build({ ...split, entryPoints: browser });
  // Apart from the others, which share chunks: the inspector shares nothing with them but types, and
  // loads the client only for a backup.
  await esbuild.build({ ...inspectorEntry, ...shared, entryPoints: ["ts/inspector.ts"], outdir: "dist", minify: true });
  await esbuild.build({ ...split, entryPoints: ["ts/node.ts", "ts/testing-node.ts"], platform: "node", chunkNames: "node-[hash]" });
}

/** The inspector as a page of its own, to be put beside an application. */
async function buildPage() {
  const folder = join(dist, "inspector-page");
  mkdirSync(folder);
  for (const [name, text] of Object.entries(await inspectorPage())) writeFileSync(join(folder, name), text);
}

/** The declarations that the package's entries lead to, and no others. */
function buildTypes() {
  const all = join(pkg, "types");
  run(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "--declaration", "--emitDeclarationOnly", "--outDir", all]);
  const wanted = ["index", "react", "emmett", "testing", "node", "inline", "inspector"].map((name) => `${name}.d.ts`);
  for (const name of wanted) {
    const declarations = readFileSync(join(all, name), "utf8");
    mkdirSync(dirname(join(dist, name)), { recursive: true });
    writeFileSync(join(dist, name), declarations);
    for (const [, found] of declarations.matchAll(/from "(\.\.?\/[\w/-]+)\.js"/g)) {
      const path = posix.join(posix.dirname(name), `${found}.d.ts`);
      if (!wanted.includes(path)) wanted.push(path);
    }
  }
}

/** The client and all that it loads at once, and what it loads when it is needed, minified. */
async function clientParts() {
  const options = { minify: true, write: false, splitting: true, metafile: true, outdir: "out" };
  const { outputFiles, metafile } = await esbuild.build({ ...shared, ...options, entryPoints: ["dist/index.js"] });
  const names = ["out/index.js"];
  for (const name of names) {
    for (const { path, kind } of metafile.outputs[name].imports) {
      if (kind === "import-statement" && !names.includes(path)) names.push(path);
    }
  }
  const parts = outputFiles.map(({ path, contents }) => [names.includes(relative(web, path).replaceAll("\\", "/")), contents]);
  const joined = (isAtOnce) => Buffer.concat(parts.filter(([atOnce]) => atOnce === isAtOnce).map(([, contents]) => contents));
  return { "client (index.js)": joined(true), "client, seldom": joined(false) };
}

async function checkSizes() {
  const client = await clientParts();
  const bytesOf = (name) => client[name] ?? readFileSync(join(dist, name));
  let isTooLarge = false;
  console.log(`\n${"".padEnd(20)}${"bytes".padStart(10)}${"gzipped".padStart(10)}${"limit".padStart(10)}`);
  for (const [name, limit] of Object.entries(LIMITS)) {
    const bytes = bytesOf(name);
    const gzipped = gzipSync(bytes, { level: 9 }).length;
    isTooLarge ||= gzipped > limit;
    console.log(`${name.padEnd(20)}${String(bytes.length).padStart(10)}${String(gzipped).padStart(10)}${String(limit).padStart(10)}${gzipped > limit ? "  TOO LARGE" : ""}`);
  }
  if (isTooLarge) throw new Error("the package is larger than its limits");
}

mkdirSync(pkg, { recursive: true });
const wasms = Object.values(WASM);
if (!process.argv.includes("--skip-wasm") || !wasms.every((name) => existsSync(join(pkg, name)))) buildWasm();
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const name of wasms) copyFileSync(join(pkg, name), join(dist, name));
await buildScripts();
await buildPage();
buildTypes();
for (const license of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(join(root, license), join(web, license));
await checkSizes();
const files = readdirSync(dist).map((name) => `${name} ${statSync(join(dist, name)).size}`);
console.log(`\ndist: ${files.join(", ")}`);
