// A state that follows the store: events are folded page by page, and whoever listens is told
// once a page. The state is the same value until an event has changed it.

import { AnnalsError } from "./errors.js";
import type { Fold, LiveOptions, LiveProjection, Region, StoredEvent } from "./types.js";
import type { Page } from "./wire.js";

/** Events in pages: whether that was all there was at the time, each page says. */
export type Pages = AsyncGenerator<Page, void, void>;

/** Pages of past events, then of live ones, until the signal or the store ends them. */
export type Follow = (region: Region, after: bigint | undefined, signal: AbortSignal) => Pages;

export function follow<S, P>(options: LiveOptions<S, P>, open: Follow): LiveProjection<S> {
  const listeners = new Set<() => void>();
  const stop = linkedTo(options.signal);
  let state = initialOf(options);
  let sequence: bigint | undefined;
  let error: unknown;
  const tell = () => { for (const listener of [...listeners]) guarded(listener); };
  const run = async (isReady: () => void) => {
    const pages = open(options.region ?? {}, undefined, stop.signal);
    for await (const { events, isDone } of pages) {
      for (const event of events as StoredEvent<P>[]) {
        state = options.evolve(state, event);
        sequence = event.sequence;
      }
      if (events.length > 0) tell();
      if (isDone) isReady();
    }
    throw stop.signal.reason;
  };
  const ready = new Promise<void>((resolve, reject) => {
    run(resolve).catch((thrown) => {
      reject(thrown);
      if (stop.signal.aborted) return;
      error = thrown;
      tell();
    }).finally(() => stop.unlink());
  });
  // Whoever does not await it reads `error`.
  ready.catch(() => {});
  return {
    subscribe(listener) {
      // A set of its own for each call, so that one listener can be there twice.
      const own = () => listener();
      listeners.add(own);
      return () => { listeners.delete(own); };
    },
    getSnapshot: () => state,
    get sequence() { return sequence; },
    get error() { return error; },
    ready,
    close() {
      listeners.clear();
      stop.abort(new AnnalsError("Closed", "the projection was closed before it had caught up"));
    },
  };
}

export function initialOf<S, P>({ initialState }: Fold<S, P>): S {
  return typeof initialState === "function" ? (initialState as () => S)() : initialState;
}

/** Calls a listener. What it throws is its own affair, and reported like any uncaught error. */
export function guarded(call: () => void) {
  try {
    call();
  } catch (thrown) {
    queueMicrotask(() => { throw thrown; });
  }
}

/** A controller that also aborts when a signal does, until it is unlinked. */
export function linkedTo(signal: AbortSignal | undefined) {
  const controller = new AbortController();
  const onabort = () => controller.abort(signal!.reason);
  if (signal?.aborted) onabort(); else signal?.addEventListener("abort", onabort);
  return {
    signal: controller.signal,
    abort: (reason?: unknown) => controller.abort(reason),
    unlink: () => signal?.removeEventListener("abort", onabort),
  };
}
