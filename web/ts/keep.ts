// Work that takes long: verification, erasure, compaction, backups. The leader does a slice of it for
// each request and says how far it is, so that it serves others in between and ends the work of a tab
// that has gone. The Rust side is `src/keep.rs`. This module is loaded when it is needed.

import { AnnalsError } from "./errors.js";
import type { Session } from "./session.js";
import type {
  BackupSource, Compaction, CompactOptions, Erasure, ExportOptions, Fault, Import, ImportOptions, KeepOptions, Region,
  VerifyReport,
} from "./types.js";
import { type Input, JOB, newId, open, type Output, putRegion, readReceipts, request } from "./wire.js";

/** What is asked of a job, in the order of `src/keep.rs`. */
const enum Action { Verify, Erase, Compact, Export, Import, Step, Drop }

const enum State { More, Done, Waits, Unknown }

type Write = (out: Output) => void;
interface Slice { isDone: boolean; bytesDone: number; input: Input }

/** Bytes of a backup that cross at once. */
const CHUNK = 256 << 10;
/** How long to wait for a job that must end first, in milliseconds. */
const PAUSE = 100;
/** So often a leader hears of an import whose source is slow: it gives up one that it hears nothing of. */
const SIGN_OF_LIFE = 5_000;

/** The leader has changed, or has given the job up. */
class Lost extends AnnalsError {
  constructor() {
    super("LeaderLost", "the tab that did this has gone: begin again");
  }
}

/** One piece of long work with one leader. */
class Job {
  readonly #session: Session;
  readonly #options: KeepOptions;
  readonly #id = newId();

  constructor(session: Session, options: KeepOptions) {
    this.#session = session;
    this.#options = options;
  }

  async begin(action: Action, write: Write = () => {}): Promise<void> {
    await this.#ask(action, write);
  }

  async step(write: Write = () => {}): Promise<Slice> {
    const slice = await this.#ask(Action.Step, write);
    await turn();
    return slice;
  }

  /** Gives it up: nobody waits for that. */
  drop() {
    this.#session.request("c", this.#request(Action.Drop, () => {})).catch(() => {});
  }

  async #ask(action: Action, write: Write): Promise<Slice> {
    const { onProgress, signal } = this.#options;
    for (;;) {
      const input = open(await this.#session.request("c", this.#request(action, write), signal));
      const state: State = input.u8();
      const progress = { bytesDone: input.number(), bytesTotal: input.number() };
      if (state === State.Unknown) throw new Lost();
      if (state !== State.Waits) {
        if (action === Action.Step) onProgress?.({ ...progress });
        return { isDone: state === State.Done, bytesDone: progress.bytesDone, input };
      }
      await pause(PAUSE);
    }
  }

  #request(action: Action, write: Write): Uint8Array {
    return request(JOB, (out) => {
      out.id(this.#id);
      out.u8(action);
      write(out);
    });
  }
}

/** Runs a job to its end; where its leader goes, the next one begins it again. */
async function run<T>(
  session: Session,
  options: KeepOptions,
  action: Action,
  write: Write,
  read: (input: Input) => T,
): Promise<T> {
  for (;;) {
    const job = new Job(session, options);
    try {
      await job.begin(action, write);
      for (;;) {
        const { isDone, input } = await job.step();
        if (isDone) return read(input);
      }
    } catch (error) {
      if (error instanceof Lost) continue;
      job.drop();
      throw error;
    }
  }
}

export function verify(session: Session, options: KeepOptions = {}): Promise<VerifyReport> {
  return run(session, options, Action.Verify, () => {}, readReport);
}

/** What is lost for good must be named: a filter whose value is missing would take in all that is left. */
function named(region: Region): void {
  const filters = Object.entries(region ?? {});
  const [missing] = filters.find(([, value]) => value === undefined) ?? [];
  if (missing) throw new AnnalsError("InvalidInput", `\`${missing}\` is undefined: leave it out, or give it a value`);
  if (!filters.length) throw new AnnalsError("InvalidInput", "nothing says which events: give a filter, or `{ prefix: \"\" }` for all");
}

export async function erase(session: Session, region: Region, options: KeepOptions = {}): Promise<Erasure> {
  named(region);
  return run(session, options, Action.Erase, (out) => putRegion(out, region), readErasure);
}

export async function compact(session: Session, options: CompactOptions = {}): Promise<Compaction> {
  const { drop, sealActive = false, outputMaxBytes } = options;
  if (drop !== undefined) named(drop);
  const write = (out: Output) => {
    out.option(drop, (region) => putRegion(out, region));
    out.u8(+sealActive);
    out.option(outputMaxBytes, (bytes) => out.u64(bytes));
  };
  return run(session, options, Action.Compact, write, (input) => ({ kept: input.number(), dropped: input.number() }));
}

export async function exportBackup(
  session: Session,
  options: ExportOptions = {},
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const job = new Job(session, options);
  // Now, so that the backup is of what is there now, however late it is read.
  await job.begin(Action.Export, (out) => out.option(options.from, (from) => out.u64(from)));
  let position = 0;
  return new ReadableStream({
    async pull(controller) {
      try {
        const write = (out: Output) => { out.u64(position); out.u32(CHUNK); };
        const { isDone, input } = await job.step(write);
        if (isDone) return controller.close();
        const bytes = input.bytes().slice();
        position += bytes.length;
        controller.enqueue(bytes);
      } catch (error) {
        job.drop();
        throw error;
      }
    },
    cancel: () => job.drop(),
  }, { highWaterMark: 0 });
}

export async function importBackup(
  session: Session,
  backup: BackupSource,
  options: ImportOptions = {},
): Promise<Import> {
  const { verify = true, signal } = options;
  const job = new Job(session, options);
  const chunks = streamOf(backup).getReader();
  let position = 0;
  const feed = async (bytes: Uint8Array) => {
    const { bytesDone } = await job.step((out) => { out.u8(0); out.u64(position); out.bytes(bytes); });
    position = bytesDone;
  };
  try {
    await job.begin(Action.Import, (out) => out.u8(+verify));
    for (;;) {
      const { done, value } = await next(chunks, signal, () => feed(new Uint8Array()));
      if (done) break;
      const start = position;
      while (position < start + value.length) {
        const from = position - start;
        await feed(value.subarray(from, from + CHUNK));
      }
    }
    for (;;) {
      const { isDone, input } = await job.step((out) => out.u8(1));
      if (!isDone) continue;
      const done = { storeId: input.text(), from: input.u64(), end: input.u64(), bytes: input.number() };
      session.noteEnd(done.end);
      return done;
    }
  } catch (error) {
    job.drop();
    chunks.cancel(error).catch(() => {});
    throw error;
  }
}

/** The next bytes of a source. While they are waited for, `alive` is called now and then. */
async function next(
  chunks: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal | undefined,
  alive: () => Promise<void>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  const read = chunks.read();
  // Whoever gives up no longer awaits it.
  read.catch(() => {});
  let onabort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onabort = () => reject(signal!.reason);
    if (signal?.aborted) onabort(); else signal?.addEventListener("abort", onabort);
  });
  aborted.catch(() => {});
  try {
    for (;;) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<undefined>((resolve) => { timer = setTimeout(() => resolve(undefined), SIGN_OF_LIFE); });
      const result = await Promise.race([read, aborted, late]).finally(() => clearTimeout(timer));
      if (result) return result;
      await alive();
    }
  } finally {
    signal?.removeEventListener("abort", onabort);
  }
}

function streamOf(backup: BackupSource): ReadableStream<Uint8Array> {
  if (backup instanceof Blob) return backup.stream();
  if (!(backup instanceof Uint8Array)) return backup;
  return new ReadableStream({
    start(controller) {
      if (backup.length > 0) controller.enqueue(backup);
      controller.close();
    },
  });
}

/** Lets others have their turn, in a page or a process that does the work itself. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); resolve(); };
    port2.postMessage(0);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

function list<T>(input: Input, read: () => T): T[] {
  return Array.from({ length: input.u32() }, read);
}

function readReport(input: Input): VerifyReport {
  return {
    isWhole: input.u8() === 1, isComplete: input.u8() === 1,
    segments: input.number(), bytes: input.number(), events: input.number(), erasedEvents: input.number(),
    prunedRuns: input.number(), streams: input.number(),
    faults: list(input, (): Fault => ({
      kind: input.text(), count: input.number(), file: input.text(), offset: input.number(), expected: input.text(),
      found: input.text(),
    })),
  };
}

function readErasure(input: Input): Erasure {
  const erasure: Erasure = {
    erased: input.number(), erasedBefore: input.number(), segments: input.number(),
    waitingFiles: list(input, () => input.text()),
  };
  const [record] = readReceipts(input);
  return record ? { ...erasure, record } : erasure;
}
