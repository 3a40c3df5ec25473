// The page that all engines are measured on. Its turns are called by `run.mjs`.

import { ENGINES } from "./engines.js";

/** After a worker has ended, its files are closed by the browser a moment later. */
const SETTLE = 300;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Host {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

  ask(command, options) {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data: [value, error] }) => (error ? reject(new Error(error)) : resolve(value));
      this.#worker.onerror = ({ message }) => reject(new Error(message));
      this.#worker.postMessage([command, options]);
    });
  }

  /** Ends the worker as a tab ends: nothing is closed in good order. */
  async end() {
    this.#worker.terminate();
    await navigator.locks.request("annals-bench-worker", () => {});
    await sleep(SETTLE);
  }
}

let stores = 0;

/** A fresh store and the means to open it in one worker after the other. */
async function withStore(kind, isStrict, act) {
  const name = `bench-${stores++}`;
  let host;
  const open = async () => {
    await host?.end();
    host = new Host();
    return host.ask("open", { kind, name, isStrict });
  };
  try {
    return await act({ open, prepare: () => { host = new Host(); return host; }, ask: (command, options) => host.ask(command, options) }, name);
  } finally {
    await host?.end();
    host = new Host();
    await host.ask("destroy", { kind, name }).catch(() => {});
    await host.end();
  }
}

const turns = {
  /** Appends into an empty store, of one class. */
  append: ({ kind, isStrict, ...options }) => withStore(kind, isStrict, async (store) => {
    await store.open();
    const outcome = await store.ask("run", { workload: "append", isStrict, ...options });
    await store.ask("close");
    return outcome;
  }),

  /** A store of so many events: filled, opened after its worker was ended and after it was closed, asked, followed. */
  grown: ({ kind, ...options }) => withStore(kind, false, async (store) => {
    const costs = {};
    const answers = {};
    const run = async (workload, more = {}) => {
      const outcome = await store.ask("run", { workload, ...options, ...more });
      Object.assign(costs, outcome.costs);
      Object.assign(answers, outcome.answers);
    };
    await store.open();
    await run("load");
    const { hasOwnWasm } = ENGINES.find(({ name }) => name === kind);
    for (const how of ["after its worker was ended", "after it was closed"]) {
      const { all, files, newest } = await store.open();
      if (hasOwnWasm || kind === "indexeddb") costs[`open ${how}`] = files * 1e6;
      costs[`open ${how}, wasm and all`] = all * 1e6;
      answers[`newest ${how}`] = newest;
      if (how === "after its worker was ended") await store.ask("close");
    }
    await run("read");
    await run("tail", { appends: options.tailAppends });
    await store.ask("close");
    return { costs, answers };
  }),

  /** File operations an append, of one class, alone and in a batch. */
  operations: ({ kind, isStrict, count, payload }) => withStore(kind, isStrict, async (store, name) => {
    await store.prepare().ask("count");
    await store.ask("open", { kind, name, isStrict });
    await store.ask("counted");
    await store.ask("run", { workload: "singles", count, payload });
    return store.ask("counted");
  }),
};

globalThis.bench = { turn: (name, options) => turns[name](options), engines: ENGINES.map(({ name, note }) => ({ name, note })) };
