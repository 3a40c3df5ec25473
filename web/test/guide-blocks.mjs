// Takes the TypeScript out of the guides in `docs/`, so that `npm run typecheck` holds it against the
// package. Each block is a module; one that opens with `// shop.ts` is imported by that name.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const web = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const guides = join(web, "../docs/guides");
const out = join(web, "test/types/guides/out");

rmSync(out, { recursive: true, force: true });
let count = 0;
for (const page of readdirSync(guides).filter((name) => name.endsWith(".md"))) {
  const folder = join(out, page.slice(0, -".md".length));
  const blocks = readFileSync(join(guides, page), "utf8").matchAll(/^```(tsx?)\n(.*?)^```$/gms);
  for (const [, language, code] of blocks) {
    mkdirSync(folder, { recursive: true });
    const named = /^\/\/ (\S+\.tsx?)\n/.exec(code);
    count += 1;
    writeFileSync(join(folder, named?.[1] ?? `block-${count}.${language}`), code);
  }
}
if (count === 0) throw new Error("the guides have no TypeScript");
