// A browser and a server for tests: any Chromium on this machine, and files of a folder on
// localhost, where OPFS and Web Locks are there.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = candidates.find((path) => existsSync(path));
  if (!found) throw new Error("no Chromium is on the PATH: install one, or set CHROMIUM to its path");
  return found;
}

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A browser with a profile of its own, which forgets everything when it is closed. */
export function launch() {
  return chromium.launch({ executablePath: findChromium(), headless: true, args: ARGUMENTS });
}

/** A browser whose profile is in a folder: its files are on the disk, and not in memory as a private window's. */
export function launchOnDisk(folder) {
  return chromium.launchPersistentContext(folder, { executablePath: findChromium(), headless: true, args: ARGUMENTS });
}

/**
 * A browser as its users have it: a tab behind another one is hidden, can be frozen, and a page that is left
 * goes to the back/forward cache. Playwright's own browsers have all of that switched off.
 */
export async function launchPlain() {
  const folder = mkdtempSync(join(tmpdir(), "annals-profile-"));
  const args = ["--headless", ...ARGUMENTS, "--remote-debugging-port=0", `--user-data-dir=${folder}`, "about:blank"];
  const child = spawn(findChromium(), args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const address = await new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (data) => {
      said += data;
      const found = /ws:\/\/\S+/.exec(said);
      if (found) resolve(found[0]);
    });
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`Chromium ended with ${code}:\n${said}`)));
  });
  const browser = await chromium.connectOverCDP(address, { noDefaults: true });
  const close = async () => {
    const tools = await browser.newBrowserCDPSession();
    await tools.send("Browser.close").catch(() => child.kill());
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context: browser.contexts()[0], close };
}

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css",
  ".json": "application/json", ".svg": "image/svg+xml",
};

/** Serves a folder, and the empty page at `/`. */
export async function serve(folder, headers = {}) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    try {
      const isEmptyPage = path === "/" && !existsSync(join(folder, "index.html"));
      const body = isEmptyPage ? "<!doctype html><title>annals</title>" : await readFile(join(folder, path === "/" ? "index.html" : path));
      const type = isEmptyPage ? "text/html" : (TYPES[extname(path)] ?? (path === "/" ? "text/html" : "application/octet-stream"));
      response.writeHead(200, { "content-type": type, "cache-control": "no-store", ...headers }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://localhost:${server.address().port}`;
  const close = () => new Promise((resolve) => {
    server.close(resolve);
    // A browser keeps connections that it has not used yet, and these are not idle.
    server.closeAllConnections();
  });
  return { url, close };
}
