// The page as users would build it: the packed package, installed, and bundled by Vite.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { npm, pack, run, web } from "../test/packed.mjs";

const bench = fileURLToPath(new URL(".", import.meta.url));

/** Installs what the page needs, the peers among it. */
export async function installPeers() {
  // Some registries leave out packages of other platforms, and then `npm ci` refuses the lock file.
  await npm(["ci", "--prefer-offline"], bench).catch(() => npm(["install", "--no-package-lock", "--prefer-offline"], bench));
}

/** Builds the page from the package in `web/`, which must be built, and gives its folder. */
export async function buildPage(folder) {
  for (const part of ["dist/annals.wasm", "pkg/annals_web.js"]) {
    if (!existsSync(join(web, part))) throw new Error(`web/${part} is not there: run \`npm run build\` in web first`);
  }
  await npm(["install", "--no-save", "--no-package-lock", "--prefer-offline", await pack(folder)], bench);
  const out = join(folder, "page");
  await run(process.execPath, [join(bench, "node_modules/vite/bin/vite.js"), "build"], bench, { BENCH_OUT: out });
  return out;
}
