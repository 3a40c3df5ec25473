// Annals where the caller's code runs: the package's client, server and engine in one thread. The
// package has no entry for that, so it is made of the sources; its wasm is the package's.

import jobsWasmUrl from "annals/annals-jobs.wasm?url";
import wasmUrl from "annals/annals.wasm?url";
import init, { Engine } from "../../../pkg/annals_web.js";
import { openInProcess } from "../../../ts/in-process.ts";
import { jobsFrom } from "../../../ts/jobs.ts";
import { Annals } from "./annals.js";

export { destroy } from "./annals.js";

let first;

export async function load() {
  first = await init({ module_or_path: wasmUrl });
}

export async function open(name, isStrict) {
  let dir = await navigator.storage.getDirectory();
  for (const part of ["annals", name]) dir = await dir.getDirectoryHandle(part, { create: true });
  const engine = await Engine.openOpfs(dir, !isStrict, 8_000);
  return new Annals(openInProcess(engine, "opfs", !isStrict, jobsFrom(jobsWasmUrl, first)));
}
