// Drives the page: turns of the engines, round by round, and what they answer and cost.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { launchOnDisk, serve } from "../test/harness.mjs";
import { buildPage } from "./app.mjs";

/** With these the page's clock has steps of 5 us instead of 100. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** How much is done. */
export const WHOLE = { count: 512, batches: 10, tailAppends: 200 };
/** Enough to see that it runs and that the answers are equal. */
export const QUICK = { payloads: [100], sizes: [1000], rounds: 1, count: 64, batches: 1, tailAppends: 50 };

/** Samples by row and engine, and what was answered first to each question. */
export class Sheet {
  rows = [];
  wrong = [];
  #answers = new Map();

  put(row, engine, cost) {
    const isSame = ({ name, events, payload_bytes }) => name === row.name && events === row.events && payload_bytes === row.payload_bytes;
    let found = this.rows.find(isSame);
    if (!found) this.rows.push((found = { ...row, samples: {} }));
    (found.samples[engine] ??= []).push(cost);
  }

  check(question, engine, answer) {
    const first = this.#answers.get(question);
    if (!first) this.#answers.set(question, { engine, answer });
    else if (first.answer !== answer) this.wrong.push(`${question}: ${engine} says ${answer}, but ${first.engine} ${first.answer}`);
  }

  get answered() { return this.#answers.size; }
}

/**
 * Runs all of it in one page. `dir` is a folder on the disk that is measured; `log` is told how far it
 * is.
 */
export async function measure({ payloads, sizes, rounds, engines: wanted, count, batches, tailAppends, dir, log }) {
  mkdirSync(dir, { recursive: true });
  const folder = mkdtempSync(join(dir, "run-"));
  const sheet = new Sheet();
  let server;
  let browser;
  try {
    server = await serve(await buildPage(folder), ISOLATED);
    browser = await launchOnDisk(join(folder, "profile"));
    const page = browser.pages()[0] ?? (await browser.newPage());
    page.on("pageerror", (error) => sheet.wrong.push(`the page: ${error}`));
    await page.goto(server.url);
    await page.waitForFunction(() => globalThis.bench);
    if (!(await page.evaluate(() => crossOriginIsolated))) throw new Error("the page is not isolated, so its clock is coarse");
    const all = await page.evaluate(() => bench.engines);
    const engines = all.filter(({ name }, at) => at === 0 || !wanted || wanted.some((part) => name.includes(part)));
    const turn = (name, options) => page.evaluate(([name, options]) => bench.turn(name, options), [name, options]);

    /** Engines take turns within a round, and each round begins with another one. */
    const take = async (what, events, payload, name, options) => {
      for (let round = 0; round < rounds; round++) {
        for (let at = 0; at < engines.length; at++) {
          const kind = engines[(at + round) % engines.length].name;
          log(`${what}, ${payload} B, round ${round + 1} of ${rounds}: ${kind}`);
          try {
            const { costs, answers } = await turn(name, { kind, payload, ...options });
            for (const [row, cost] of Object.entries(costs)) sheet.put({ name: row, unit: "ns", events, payload_bytes: payload }, kind, cost);
            for (const [question, answer] of Object.entries(answers)) sheet.check(`${what}, ${payload} B: ${question}`, kind, answer);
          } catch (error) {
            sheet.wrong.push(`${what}, ${payload} B: ${kind}: ${error}`);
            log(`FAILED: ${error}`);
          }
        }
      }
    };
    for (const payload of payloads) {
      for (const isStrict of [true, false]) await take(isStrict ? "strict appends" : "relaxed appends", 0, payload, "append", { isStrict, count, batches });
      for (const size of sizes) await take(`${size} events`, size, payload, "grown", { count: size, tailAppends });
    }
    const operations = await countOperations(turn, engines, payloads, count);
    return { sheet, engines, operations, browser: `Chromium ${browser.browser()?.version() ?? (await version(page))}` };
  } finally {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const version = (page) => page.evaluate(() => /Chrom\w+\/([\d.]+)/.exec(navigator.userAgent)[1]);

/** What each engine that has its files in the caller's worker does with them, an append. */
async function countOperations(turn, engines, payloads, count) {
  const rows = [];
  for (const payload of payloads) {
    for (const isStrict of [true, false]) {
      for (const { name } of engines) {
        if (name === "annals client" || name === "indexeddb") continue;
        const counts = await turn("operations", { kind: name, isStrict, count, payload });
        const each = Object.fromEntries(Object.entries(counts).map(([what, times]) => [what, times / count]));
        rows.push({ engine: name, class: isStrict ? "strict" : "relaxed", payload_bytes: payload, each });
      }
    }
  }
  return rows;
}
