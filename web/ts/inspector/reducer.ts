// Where a pasted reducer runs: in a worker, in a frame that has no origin and may reach nothing.
// The frame is a page of its own where one is given, because a page's own policy holds for what it
// writes itself; else it is written here.

import type { StoredEvent } from "../types.js";
import { h } from "./dom.js";
import type { Projection } from "./source.js";

/** How long a step may take, in milliseconds. */
const PATIENCE = 10_000;
/** How many events lie between two states that are kept. */
const SNAPSHOT_STEP = 64;

/** What shows the state at a moment. */
export interface States {
  /** Runs over all events once; how many they are. */
  load(): Promise<number>;
  /** The state after so many events, as JSON. */
  stateAt(at: number): Promise<string>;
  close(): void;
}

/** What a state comes from: an event without what only the store needs. */
export type ReducerEvent = Record<string, unknown>;

/** What JSON has no word for, as something that it has. It is text, as the worker below is. */
const plain = `(_, value) => typeof value === "bigint" ? String(value)
  : value instanceof Map ? Object.fromEntries(value) : value instanceof Set ? [...value] : value`;

// Runs in the worker. It is text, because bundlers change functions.
const WORKER = `"use strict";
const STEP = ${SNAPSHOT_STEP};
let events = [];
let snapshots = [];
let reduce;
const plain = ${plain};
const step = (state, at) => {
  try {
    return reduce(state, structuredClone(events[at]));
  } catch (error) {
    throw new Error("event " + (at + 1) + " of " + events.length + ": " + error);
  }
};
const load = (message) => {
  reduce = new Function("return (" + message.source.trim().replace(/;$/, "") + "\\n)")();
  if (typeof reduce !== "function") throw new Error("this is no function of state and event");
  events = message.events;
  snapshots = [undefined];
  for (let at = 0, state; at < events.length; at++) {
    state = step(state, at);
    if ((at + 1) % STEP === 0) snapshots.push(structuredClone(state));
  }
  return { count: events.length };
};
const stateAt = (count) => {
  const nearest = Math.floor(count / STEP);
  let state = structuredClone(snapshots[nearest]);
  for (let at = nearest * STEP; at < count; at++) state = step(state, at);
  return { state: JSON.stringify(state, plain) ?? "undefined" };
};
onmessage = ({ data: { port } }) => {
  port.onmessage = ({ data }) => {
    try {
      port.postMessage(data.source === undefined ? stateAt(data.at) : load(data));
    } catch (error) {
      port.postMessage({ error: String(error instanceof Error ? error.message : error) });
    }
  };
};`;

const FRAME_SCRIPT = `addEventListener("message", ({ data, ports: [port] }) => {
  const worker = new Worker(URL.createObjectURL(new Blob([data], { type: "text/javascript" })));
  worker.onerror = ({ message }) => port.postMessage({ error: message });
  worker.postMessage({ port }, [port]);
}, { once: true });`;

const POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:";

/** The page in which reducers run. */
export const REDUCER_PAGE = `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>Reducer</title><script>${FRAME_SCRIPT}</script>`;

/** A projection of the page's own over some events: trusted as the page is, so it runs here. */
export class OwnStates implements States {
  readonly #projection: Projection;
  readonly #events: readonly StoredEvent[];

  constructor(projection: Projection, events: readonly StoredEvent[]) {
    this.#projection = projection;
    this.#events = events;
  }

  async load() {
    this.#fold(this.#events.length);
    return this.#events.length;
  }

  async stateAt(at: number) {
    const plain = (_: string, value: unknown) => (typeof value === "bigint" ? String(value)
      : value instanceof Map ? Object.fromEntries(value) : value instanceof Set ? [...value] : value);
    return JSON.stringify(this.#fold(at), plain) ?? "undefined";
  }

  close() {}

  #fold(count: number): unknown {
    const { initialState, evolve } = this.#projection;
    let state = typeof initialState === "function" ? initialState() : initialState;
    this.#events.slice(0, count).forEach((event, at) => {
      try {
        state = evolve(state, event);
      } catch (error) {
        throw new Error(`event ${at + 1} of ${this.#events.length}: ${error}`);
      }
    });
    return state;
  }
}

/** A reducer that was pasted over some events. */
export class PastedStates implements States {
  readonly #source: string;
  readonly #events: readonly ReducerEvent[];
  readonly #frame: HTMLIFrameElement;
  readonly #port: Promise<MessagePort>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(place: HTMLElement, url: string | undefined, source: string, events: readonly ReducerEvent[]) {
    this.#source = source;
    this.#events = events;
    this.#frame = h("iframe", { sandbox: "allow-scripts", hidden: true, title: "Reducer", ...(url ? { src: url } : { srcdoc: REDUCER_PAGE }) });
    this.#port = new Promise((resolve) => {
      this.#frame.addEventListener("load", () => {
        const { port1, port2 } = new MessageChannel();
        this.#frame.contentWindow!.postMessage(WORKER, "*", [port2]);
        resolve(port1);
      }, { once: true });
    });
    place.append(this.#frame);
  }

  async load(): Promise<number> {
    return (await this.#ask({ source: this.#source, events: this.#events }) as { count: number }).count;
  }

  async stateAt(at: number): Promise<string> {
    return (await this.#ask({ at }) as { state: string }).state;
  }

  /** Ends it, also where it runs for ever. */
  close() {
    this.#frame.remove();
  }

  #ask(message: object): Promise<object> {
    const asked = this.#last.then(async () => {
      const port = await this.#port;
      return await new Promise<object>((resolve, reject) => {
        const timer = setTimeout(() => {
          this.close();
          reject(new Error(`the reducer took longer than ${PATIENCE / 1000} s and was stopped`));
        }, PATIENCE);
        port.onmessage = ({ data }) => {
          clearTimeout(timer);
          if (data.error === undefined) resolve(data); else reject(new Error(data.error));
        };
        port.postMessage(message);
      });
    });
    this.#last = asked.catch(() => {});
    return asked;
  }
}
