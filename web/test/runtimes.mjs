// The tests of Node under Bun and Deno: those on the PATH, else those of the npm registry. Where
// neither is to be had, the test says so and is skipped.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { before, test } from "node:test";
import { npm, run, web } from "./packed.mjs";

const TESTS = ["node", "api", "input", "emmett"].map((name) => `./test/${name}.test.mjs`);
const FOLDER = join(web, "test/runtimes");
const RUNTIMES = {
  bun: { args: ["test", ...TESTS], passed: /(\d+) pass\b/ },
  deno: { args: ["test", "--allow-all", "--no-check", ...TESTS], passed: /(\d+) passed/ },
};

const onPath = (name) => (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)).find((path) => existsSync(path));
const fromNpm = (name) => join(FOLDER, "node_modules/.bin", process.platform === "win32" ? `${name}.cmd` : name);
let whyNone = "";
before(async () => {
  if (Object.keys(RUNTIMES).every((name) => onPath(name) ?? existsSync(fromNpm(name)))) return;
  await npm(["install"], FOLDER).catch((error) => { whyNone = error.message; });
});

for (const [name, { args, passed }] of Object.entries(RUNTIMES)) {
  test(`the tests of Node pass under ${name}`, { timeout: 300_000 }, async (t) => {
    const program = onPath(name) ?? fromNpm(name);
    const version = await run(program, ["--version"], web).catch((error) => { whyNone ||= error.message; });
    if (!version) return t.skip(`${name} is neither on the PATH nor to be had from npm: ${whyNone.split("\n").slice(0, 3).join(" ")}`);
    const report = await run(program, args, web, { NO_COLOR: "1" });
    const count = Number(passed.exec(report)?.[1]);
    console.log(`${name} ${/\d+(\.\d+)+/.exec(version)[0]}: ${count} tests passed`);
    assert.ok(count > 40, report);
  });
}
