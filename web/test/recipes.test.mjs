// The recipes of the guide for browsers, as they stand there: checked by the tools of each framework
// against the packed package, built by Vite, and mounted beside another tab.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { guideBlocks, writeBlocks } from "./guide-blocks.mjs";
import { launch, serve } from "./harness.mjs";
import { install, npm, pack, temporary } from "./packed.mjs";

const WITHIN = { timeout: 180_000 };

const folder = temporary(after);
let path;
let browser;
let server;
before(async () => {
  path = await install("recipes", folder, await pack(folder));
  writeBlocks(guideBlocks("browser-recipes.md", ["ts", "tsx", "svelte", "vue"]), join(path, "src"));
  await npm(["run", "build"], path);
  server = await serve(join(path, "dist"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test("every recipe is what the types of the package and of its framework ask for", WITHIN, async () => {
  await npm(["run", "typecheck"], path);
});

for (const recipe of ["plain", "react", "svelte", "vue"]) {
  test(`the ${recipe} recipe shows what is appended in any tab, and leaves nothing behind`, WITHIN, async (t) => {
    const context = await browser.newContext();
    t.after(() => context.close());
    const complaints = [];
    context.on("weberror", (error) => complaints.push(String(error.error())));
    const [page, other] = [await context.newPage(), await context.newPage()];
    for (const tab of [page, other]) {
      await tab.goto(server.url);
      await tab.waitForFunction(() => globalThis.mountRecipe);
      await tab.evaluate((recipe) => mountRecipe(recipe), recipe);
    }
    const shows = (text) => page.locator("output").getByText(text, { exact: true }).waitFor();
    await shows("0 orders, 0.00");
    await page.getByRole("button", { name: "Place an order" }).click();
    await shows("1 orders, 9.95");
    await other.getByRole("button", { name: "Place an order" }).click();
    await shows("2 orders, 19.90");
    await other.evaluate(() => placeOrder(10));
    await shows("3 orders, 20.00");
    assert.equal(await page.evaluate(() => subscriptions), 1);
    // A page without a framework shows the state for as long as it is there.
    if (recipe !== "plain") {
      await page.evaluate(() => unmount());
      assert.equal(await page.evaluate(() => subscriptions), 0, "nothing is left behind");
      assert.equal(await page.locator("output").count(), 0);
    }
    assert.deepEqual(complaints, []);
  });
}
