// What the engines of the bench answer, compared. Nothing is timed.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { installPeers } from "./app.mjs";
import { measure, QUICK } from "./measure.mjs";

test("all engines of the bench give the same answers", { timeout: 180_000 }, async (t) => {
  try {
    await installPeers();
  } catch (error) {
    return t.skip(`the peers could not be installed: ${String(error).split("\n").slice(0, 3).join(" ")}`);
  }
  const { sheet, engines } = await measure({ ...QUICK, dir: join(tmpdir(), "annals-bench"), log() {} });
  assert.deepEqual(sheet.wrong, []);
  assert.equal(engines.length, 5);
  assert.ok(sheet.answered >= 15, `${sheet.answered} questions were asked`);
});
