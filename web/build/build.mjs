// `npm run build`: makes `dist/`, which is the package. `--skip-wasm` takes the wasm of the last
// build.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { wasmEnvironment } from "./toolchain.mjs";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const root = resolve(web, "..");
const dist = join(web, "dist");
const pkg = join(web, "pkg");
const wasm = join(pkg, "annals.wasm");

/** Bytes, gzipped. The wasm and the worker are loaded by the tab that leads, the client by each. */
const LIMITS = { "annals.wasm": 210_000, "worker.js": 10_000, "broker.js": 1_000, "client (index.js)": 8_000 };

/** What wasm-opt may use: what every browser with OPFS access handles has. */
const WASM_FEATURES = ["bulk-memory", "mutable-globals", "nontrapping-float-to-int", "sign-ext", "reference-types", "multivalue"];

function run(program, args, options = {}) {
  console.log("$", [program.replace(/.*\//, ""), ...args].join(" ").replaceAll(root, "."));
  execFileSync(program, args, { cwd: web, stdio: "inherit", ...options });
}

function buildWasm() {
  const env = wasmEnvironment(root);
  const target = ["--target", "wasm32-unknown-unknown"];
  run("cargo", ["build", "--profile", "web", "--package", "annals-web", ...target], { env, cwd: root });
  const metadata = execFileSync("cargo", ["metadata", "--no-deps", "--format-version", "1"], { env, cwd: root });
  const built = join(JSON.parse(metadata).target_directory, "wasm32-unknown-unknown/web/annals_web.wasm");
  const bindgen = ["--target", "web", "--omit-default-module-path", "--out-dir", pkg, built];
  run("wasm-bindgen", bindgen, { env });
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  const wasmOpt = join(web, "node_modules/binaryen/bin/wasm-opt");
  run(process.execPath, [wasmOpt, "-O3", "--strip-producers", ...features, join(pkg, "annals_web_bg.wasm"), "-o", wasm]);
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
  const parts = { WASM: readFileSync(wasm).toString("base64"), WORKER: worker };
  const lines = Object.entries(parts).map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};\n`);
  writeFileSync(join(pkg, "inline-parts.js"), lines.join(""));
  const types = Object.keys(parts).map((name) => `export declare const ${name}: string;\n`);
  writeFileSync(join(pkg, "inline-parts.d.ts"), types.join(""));
  const split = { ...shared, outdir: "dist", splitting: true, chunkNames: "shared-[hash]", external: ["react", "@event-driven-io/emmett"] };
  const browser = ["index", "react", "emmett", "testing", "inline"].map((name) => `ts/${name}.ts`);
  await esbuild.build({ ...split, entryPoints: browser });
  await esbuild.build({ ...split, entryPoints: ["ts/node.ts", "ts/testing-node.ts"], platform: "node", chunkNames: "node-[hash]" });
}

/** The declarations that the package's entries lead to, and no others. */
function buildTypes() {
  const all = join(pkg, "types");
  run(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "--declaration", "--emitDeclarationOnly", "--outDir", all]);
  const wanted = ["index", "react", "emmett", "testing", "node", "inline"].map((name) => `${name}.d.ts`);
  for (const name of wanted) {
    const declarations = readFileSync(join(all, name), "utf8");
    writeFileSync(join(dist, name), declarations);
    for (const [, found] of declarations.matchAll(/from "\.\/([\w-]+)\.js"/g)) {
      if (!wanted.includes(`${found}.d.ts`)) wanted.push(`${found}.d.ts`);
    }
  }
}

async function checkSizes() {
  const client = await esbuild.build({ ...shared, entryPoints: ["dist/index.js"], minify: true, write: false });
  const bytesOf = (name) => (name in LIMITS && name.startsWith("client") ? client.outputFiles[0].contents : readFileSync(join(dist, name)));
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
if (!process.argv.includes("--skip-wasm") || !existsSync(wasm)) buildWasm();
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
copyFileSync(wasm, join(dist, "annals.wasm"));
await buildScripts();
buildTypes();
for (const license of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(join(root, license), join(web, license));
await checkSizes();
const files = readdirSync(dist).map((name) => `${name} ${statSync(join(dist, name)).size}`);
console.log(`\ndist: ${files.join(", ")}`);
