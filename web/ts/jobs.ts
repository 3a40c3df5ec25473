// The second wasm file, which does long work: it is loaded when a job is first asked for, and shares
// memory and table with the first. There is one of each in a thread, whatever the number of stores.

import type { InitOutput } from "../pkg/annals_web.js";
import { AnnalsError } from "./errors.js";

/** Where the second file is, or its bytes, or a way to them. */
export type JobsSource = string | URL | BufferSource | (() => BufferSource);

let loaded: Promise<unknown> | undefined;

/** Loads the second file beside the first, whose exports are given, unless it is there. What has failed is tried again by the next call. */
export function jobsFrom(source: JobsSource, first: InitOutput): () => Promise<void> {
  return async () => {
    try {
      await (loaded ??= load(source, first));
    } catch (error) {
      loaded = undefined;
      throw new AnnalsError("LoadFailed", `annals-jobs.wasm, which does this, can't be loaded (${error}): try again, or say where it is by \`jobsWasmUrl\``);
    }
  };
}

async function load(source: JobsSource, first: InitOutput): Promise<unknown> {
  const isUrl = typeof source === "string" || source instanceof URL;
  const bytes = isUrl ? await fetched(source) : typeof source === "function" ? source() : source;
  return WebAssembly.instantiate(bytes, { first: { ...first } });
}

async function fetched(url: string | URL): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText} for ${url}`);
  return response.arrayBuffer();
}
