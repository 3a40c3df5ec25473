// A dedicated worker with one engine in it, which does what the page says, one thing at a time.

import { ENGINES } from "./engines.js";
import { settled } from "./measure.js";
import { countOperations } from "./operations.js";
import * as workloads from "./workloads.js";

let engine;
let operations;

const commands = {
  /** Opens a store and reads its newest event. Milliseconds: with and without what has to be loaded for that. */
  async open({ kind, name, isStrict }) {
    const start = performance.now();
    const module = await ENGINES.find((one) => one.name === kind).import();
    await module.load?.();
    const loaded = performance.now();
    engine = await module.open(name, isStrict);
    let newest;
    await settled(engine.newest((event) => { newest = event.version; }));
    const end = performance.now();
    return { all: end - start, files: end - loaded, newest: String(newest) };
  },
  run: ({ workload, ...options }) => workloads[workload](engine, options),
  count() {
    operations = countOperations();
  },
  counted: () => operations(),
  close: () => settled(engine.close()),
  async destroy({ kind, name }) {
    const module = await ENGINES.find((one) => one.name === kind).import();
    await module.destroy(name);
  },
};

addEventListener("message", async ({ data: [command, options] }) => {
  try {
    postMessage([await commands[command](options ?? {})]);
  } catch (error) {
    postMessage([undefined, error?.stack ?? String(error)]);
  }
});

// As long as this worker lives it holds this lock, so that the page knows when it is gone.
navigator.locks.request("annals-bench-worker", () => new Promise(() => {}));
