// What `npm run dev` does first: puts in place what is not there yet.

import { execSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
const run = (command, cwd) => {
  console.log(`$ ${command}`);
  execSync(command, { cwd, stdio: "inherit" });
};

if (!existsSync(folder("../dist/index.js"))) {
  if (!existsSync(folder("../node_modules"))) run("npm ci", folder(".."));
  run("npm run build", folder(".."));
}
if (!existsSync(folder("node_modules"))) {
  try {
    run("npm ci", folder("."));
  } catch {
    // A registry without the packages of other platforms has `npm ci` refuse the lock file.
    run("npm install --no-package-lock", folder("."));
  }
}
