// The package as users get it: packed by npm, installed into a folder outside the repository.

import { execFile, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const web = join(dirname(fileURLToPath(import.meta.url)), "..");

const NPM = process.platform === "win32" ? "npm.cmd" : "npm";
const QUIET = ["--no-fund", "--no-audit", "--no-update-notifier", "--loglevel=error"];
const execute = promisify(execFile);

/** Runs a program to its end and gives what it wrote; if it fails, the error holds it. */
export async function run(program, args, cwd, env = {}) {
  const shell = process.platform === "win32";
  // A test runner that finds itself within another one behaves differently.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  try {
    const { stdout, stderr } = await execute(program, args, { cwd, shell, maxBuffer: 64 << 20, env: { ...inherited, ...env } });
    return stdout + stderr;
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")} failed:\n${error.stdout}\n${error.stderr}`);
  }
}

export const npm = (args, cwd) => run(NPM, [...args, ...QUIET], cwd);

/** A folder that goes when the tests of the file are over. */
export function temporary(after) {
  const path = mkdtempSync(join(tmpdir(), "annals-package-"));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The packed package, in a folder. Gives the path of the file. */
export async function pack(folder) {
  await npm(["pack", "--pack-destination", folder], web);
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")));
}

/** A fixture with its locked dependencies and the packed package, installed in a folder of its own. */
export async function install(name, folder, packed) {
  const path = join(folder, name);
  const fixtures = join(web, "fixtures");
  const skipBuilt = { recursive: true, filter: (source) => !/[\\/](node_modules|dist)$/.test(source) };
  cpSync(join(fixtures, "shared"), path, skipBuilt);
  cpSync(join(fixtures, name), path, skipBuilt);
  await npm(["ci"], path);
  await npm(["install", "--no-save", packed], path);
  return path;
}

/** Starts a program that serves, and resolves with the first address that it prints. */
export function start(program, args, cwd) {
  const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" } });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const url = new Promise((resolve, reject) => {
    let said = "";
    const listen = (data) => {
      said += data;
      const found = /http:\/\/localhost:\d+/.exec(said);
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`${program} ended with ${code}:\n${said}`)));
  });
  return { url, stop: () => { child.kill(); return ended; } };
}
