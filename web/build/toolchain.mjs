// Where the compiler for wasm and wasm-bindgen are: on the PATH, or where `cargo xtask setup`
// put them.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

const TARGET = "wasm32-unknown-unknown";

function cacheFolder() {
  const { ANNALS_TOOLCHAIN_DIR, XDG_CACHE_HOME } = process.env;
  return ANNALS_TOOLCHAIN_DIR || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "annals-toolchain");
}

function output(program, args, env) {
  try {
    return execFileSync(program, args, { env, stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
  } catch {
    return "";
  }
}

/** The environment in which `cargo` builds for wasm and `wasm-bindgen` is the pinned one. */
export function wasmEnvironment(root) {
  const cache = cacheFolder();
  const env = { ...process.env };
  const prepend = (folder) => { env.PATH = folder + delimiter + env.PATH; };
  prepend(join(cache, "tools/bin"));
  const libraries = output("rustc", ["--print", "target-libdir", "--target", TARGET], env);
  if (!existsSync(libraries)) {
    const sysroot = join(cache, "debian-sysroot/bin");
    if (!existsSync(sysroot)) throw new Error(`there is no Rust for ${TARGET}: run \`cargo xtask setup\``);
    prepend(sysroot);
    env.RUSTUP_TOOLCHAIN = "annals-wasm";
    delete env.LD_LIBRARY_PATH;
  }
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const pinned = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock)[1];
  const found = output("wasm-bindgen", ["--version"], env).split(" ")[1];
  if (found !== pinned) {
    throw new Error(`wasm-bindgen ${pinned} is needed, ${found ?? "none"} is there: run \`cargo xtask setup\``);
  }
  return env;
}
