// The dedicated worker of the tab that leads: it holds the files and serves every tab.

import init, { Engine, type InitOutput } from "../pkg/annals_web.js";
import { leadByBroadcast } from "./broadcast.js";
import type { FromBroker, ToBroker } from "./broker.js";
import { AnnalsError } from "./errors.js";
import { jobsFrom } from "./jobs.js";
import { Server } from "./server.js";
import type { Port } from "./session.js";

/** Where the two wasm files are, or their bytes: for where they don't stand beside the worker. */
export interface WasmFiles {
  first?: string | BufferSource | undefined;
  jobs?: string | BufferSource | undefined;
}

/** What the tab tells its worker, once. A port for the tab itself comes with it, and perhaps one of the broker. */
export interface Start {
  name: string;
  storage: "opfs" | "memory";
  isRelaxed: boolean;
  epoch: number;
  /** The client that leads, by the id that it has in the lock manager. */
  leader: string | undefined;
  isShared: boolean;
  wasm: WasmFiles;
  port: MessagePort;
  broker: MessagePort | undefined;
}

/** What the worker tells its tab. A failure, to open or to go on, is the bytes of one, or a code and a message. */
export type FromWorker = ["ready"] | ["failed", Uint8Array | [string, string]] | ["closed"];

/** How long, in milliseconds, a worker of a tab that was closed while busy may keep the files. */
const BUSY_TIMEOUT = 8_000;

function tell(message: FromWorker) {
  postMessage(message);
}

function loadFirst({ first }: WasmFiles): Promise<InitOutput> {
  return init({ module_or_path: first ?? new URL("./annals.wasm", import.meta.url) });
}

/** Where the second wasm file is: beside the first, but for bytes and blobs, which have nothing beside them. */
function jobsOf({ first, jobs }: WasmFiles): string | URL | BufferSource {
  if (jobs !== undefined) return jobs;
  try {
    if (typeof first === "string") return new URL("annals-jobs.wasm", first);
  } catch {}
  return new URL("./annals-jobs.wasm", import.meta.url);
}

async function openEngine(start: Start): Promise<Engine> {
  if (start.storage === "memory") return Engine.openMemory();
  let dir: FileSystemDirectoryHandle;
  try {
    dir = await navigator.storage.getDirectory();
    for (const part of ["annals", start.name]) dir = await dir.getDirectoryHandle(part, { create: true });
  } catch (error) {
    throw new AnnalsError("StorageUnavailable", `there is no origin private file system here (${error})`);
  }
  return Engine.openOpfs(dir, start.isRelaxed, BUSY_TIMEOUT);
}

function serveTabs(start: Start, server: Server) {
  const connect = (port: Port) => server.connect(port);
  connect(start.port);
  if (!start.isShared) return;
  // Tabs that can't reach the broker ask by broadcast, whatever this one does.
  leadByBroadcast(start.name, start.epoch, start.leader, connect);
  if (!start.broker) return;
  start.broker.onmessage = ({ data, ports }) => {
    if ((data as FromBroker)[0] === "client") connect(ports[0]!);
  };
  start.broker.postMessage(["lead", start.name, start.epoch, start.leader ?? ""] satisfies ToBroker);
}

/** A message to itself comes behind those that have arrived already. */
function soonByMessage(): (run: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const runs: (() => void)[] = [];
  port1.onmessage = () => runs.shift()?.();
  return (run) => {
    runs.push(run);
    port2.postMessage(0);
  };
}

let server: Server | undefined;

async function start(start: Start) {
  let first: InitOutput;
  let engine: Engine;
  try {
    first = await loadFirst(start.wasm);
    engine = await openEngine(start);
  } catch (error) {
    const isKnown = error instanceof Uint8Array;
    return tell(["failed", isKnown ? error : [error instanceof AnnalsError ? error.code : "Internal", String(error)]]);
  }
  const { epoch, storage, leader } = start;
  const welcome = { epoch, storage, ...(leader === undefined ? {} : { leader }) };
  server = new Server(engine, welcome, start.isRelaxed, jobsFrom(jobsOf(start.wasm), first), soonByMessage(), (error) => {
    tell(["failed", ["Internal", String(error)]]);
    close();
  });
  serveTabs(start, server);
  tell(["ready"]);
}

addEventListener("message", async ({ data }) => {
  if (data !== "close") return start(data as Start);
  try {
    await server?.close();
  } finally {
    tell(["closed"]);
    close();
  }
});
