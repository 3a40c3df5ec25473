// Opening a store in a tab: what is there, who leads, who answers first.

import { AnnalsError } from "./errors.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { Tabs } from "./tabs.js";
import type { EventStore, OpenOptions } from "./types.js";
import type { WasmFiles } from "./worker.js";

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const LEADER_TIMEOUT = 15_000;

/** What `annals/inline` gives instead of files beside this one. */
export interface Parts {
  wasm?: { readonly first: BufferSource; readonly jobs: BufferSource };
  makeWorker(): Worker;
  /** None where tabs can't share a worker. */
  makeBroker?(): SharedWorker;
}

export async function openWith(parts: Parts, options: OpenOptions): Promise<EventStore> {
  const { name, storage = "opfs", signal } = options;
  if (!NAME.test(name) || /^\.*$/.test(name)) {
    throw new AnnalsError("InvalidInput", `${JSON.stringify(name)} is no name of a store: use letters, digits, ".", "_", "-"`);
  }
  signal?.throwIfAborted();
  const missing = storage === "opfs" ? whatIsMissing() : undefined;
  const useMemory = storage === "memory" || (missing !== undefined && options.onUnavailable === "memory");
  if (missing && !useMemory) throw new AnnalsError("StorageUnavailable", missing);
  try {
    return await openIn(useMemory ? "memory" : "opfs", parts, options);
  } catch (error) {
    const isUnavailable = error instanceof AnnalsError && error.code === "StorageUnavailable";
    if (useMemory || !isUnavailable || options.onUnavailable !== "memory") throw error;
    return openIn("memory", parts, options);
  }
}

async function openIn(storage: "opfs" | "memory", parts: Parts, options: OpenOptions): Promise<EventStore> {
  const { signal } = options;
  const session = new Session(options.leaderTimeout ?? LEADER_TIMEOUT);
  const { makeBroker } = parts;
  const useBroker = makeBroker && options.tabs !== "broadcast" && typeof SharedWorker === "function";
  const tabs = new Tabs(session, {
    name: options.name,
    isRelaxed: options.durability === "relaxed",
    storage,
    isShared: storage === "opfs",
    wasm: wasmOf(parts, options),
    makeWorker: options.worker ?? parts.makeWorker,
    makeBroker: useBroker ? makeBroker : undefined,
  });
  let persisted = false;
  const askPersisted = async (ask: "persisted" | "persist") => {
    persisted = storage === "opfs" && (await navigator.storage[ask]());
    return persisted;
  };
  const store = new Store(session, {
    role: () => tabs.role,
    persisted: () => persisted,
    persist: () => askPersisted("persist"),
    close: () => tabs.close(),
  });
  try {
    await firstWelcome(session, tabs, signal);
  } catch (error) {
    await store.close();
    throw error;
  }
  if (storage === "opfs") await askPersisted("persisted").catch(() => {});
  return store;
}

/** Where the two wasm files are, as the options say, or the parts. */
function wasmOf({ wasm }: Parts, { wasmUrl, jobsWasmUrl }: OpenOptions): WasmFiles {
  const absolute = (url: string | URL | undefined) => (url === undefined ? undefined : String(new URL(url, location.href)));
  return { first: absolute(wasmUrl) ?? wasm?.first, jobs: absolute(jobsWasmUrl) ?? wasm?.jobs };
}

/** Joins the tabs and waits until somebody answers, or nobody can. */
async function firstWelcome(session: Session, tabs: Tabs, signal: AbortSignal | undefined) {
  let unwatch = () => {};
  let onabort = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      onabort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onabort);
      unwatch = session.watch(() => (session.closedBy ? reject(session.closedBy) : resolve()));
      session.onfailure = reject;
      tabs.join();
    });
  } finally {
    unwatch();
    signal?.removeEventListener("abort", onabort);
  }
}

function whatIsMissing(): string | undefined {
  if (!globalThis.isSecureContext) return "the origin private file system needs a secure context (https or localhost)";
  if (!navigator.storage?.getDirectory) return "this browser has no origin private file system";
  if (!navigator.locks) return "this browser has no Web Locks";
  return undefined;
}
