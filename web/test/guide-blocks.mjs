// Takes the code of web pages out of the guides in `docs/`. Run by itself, it writes the TypeScript
// where `npm run typecheck` holds it against the package. Each block is a module: one that opens with
// `// shop.ts` is imported by that name, others are called after their heading.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(import.meta.url);
const web = resolve(dirname(here), "..");
const guides = join(web, "../docs/guides");

/** The blocks of a guide in the given languages, by the names of their files. */
export function guideBlocks(page, languages) {
  const text = readFileSync(join(guides, page), "utf8");
  const blocks = new Map();
  let heading = "";
  for (const [, title, language, code] of text.matchAll(/^#+ ([^\n]*)$|^```([^\n]*)\n(.*?)^```$/gms)) {
    if (title !== undefined) heading = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    if (!languages.includes(language)) continue;
    const named = /^\/\/ (\S+\.tsx?)\n/.exec(code);
    let name = named?.[1] ?? `${heading}.${language}`;
    for (let count = 2; blocks.has(name); count++) name = `${heading}-${count}.${language}`;
    blocks.set(name, code);
  }
  return blocks;
}

export function writeBlocks(blocks, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [name, code] of blocks) writeFileSync(join(folder, name), code);
}

if (process.argv[1] && resolve(process.argv[1]) === here) {
  const out = join(web, "test/types/guides/out");
  rmSync(out, { recursive: true, force: true });
  let count = 0;
  for (const page of readdirSync(guides).filter((name) => name.endsWith(".md"))) {
    const blocks = guideBlocks(page, ["ts", "tsx"]);
    count += blocks.size;
    if (blocks.size > 0) writeBlocks(blocks, join(out, page.slice(0, -".md".length)));
  }
  if (count === 0) throw new Error("the guides have no TypeScript");
}
