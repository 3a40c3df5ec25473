// The READMEs, followed to the letter in an empty folder: their commands are run, their code is
// written where they say. Only the package is the packed one, and the server takes any free port.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, serve } from "./harness.mjs";
import { pack, run, start, temporary, web } from "./packed.mjs";

const folder = temporary(after);
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** The blocks of code of the section "In the browser". */
function blocks(path) {
  const text = readFileSync(path, "utf8");
  const [, section] = text.split("\n## In the browser\n");
  const found = [...section.split("\n## ")[0].matchAll(/```(\w+)\n(.*?)```/gs)].map(([, language, code]) => [language, code]);
  assert.deepEqual(found.map(([language]) => language), ["sh", "ts", "sh"], path);
  return found.map(([, code]) => code);
}

const orders = (page, text) => page.getByText(text, { exact: true }).waitFor();

test("both READMEs tell the same", () => {
  assert.deepEqual(blocks(join(web, "README.md")), blocks(join(web, "../README.md")));
});

test("whoever follows the README has a page that works in two tabs", { timeout: 300_000 }, async (t) => {
  const [create, code, serving] = blocks(join(web, "../README.md"));
  const packed = await pack(folder);
  const here = join(folder, "empty");
  mkdirSync(here);
  let cwd = here;
  for (const command of create.trim().split("\n")) {
    const [program, ...args] = command.replace("npm install annals", `npm install ${packed}`).split(" ");
    if (program === "cd") cwd = join(cwd, args[0]);
    else await run(program, args, cwd, { npm_config_yes: "true", npm_config_fund: "false", npm_config_audit: "false" });
  }
  writeFileSync(join(cwd, "src/main.ts"), code);
  assert.equal(serving.trim(), "npm run dev");
  const vite = start(process.execPath, ["node_modules/vite/bin/vite.js", "--port", "0"], cwd);
  t.after(() => vite.stop());
  await worksInTwoTabs(t, await vite.url);

  await run("npm", ["run", "build"], cwd);
  const server = await serve(join(cwd, "dist"));
  t.after(() => server.close());
  await worksInTwoTabs(t, server.url);
});

async function worksInTwoTabs(t, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const [first, second] = [await context.newPage(), await context.newPage()];
  for (const page of [first, second]) await page.goto(url);
  await orders(second, "Orders: 0, taken in: 0.00");
  await first.getByRole("button", { name: "Place an order" }).click();
  await orders(second, "Orders: 1, taken in: 9.95");
  await first.close();
  await second.getByRole("button", { name: "Place an order" }).click();
  await orders(second, "Orders: 2, taken in: 19.90");
  await second.reload();
  await orders(second, "Orders: 2, taken in: 19.90");
}
