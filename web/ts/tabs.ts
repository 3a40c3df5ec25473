// Which tab holds the files. A Web Lock chooses; its holder starts the worker, everybody else
// gets a port to it. When the holder goes, the lock goes to the next, and sessions ask again
// what was not answered.

import { askByBroadcast } from "./broadcast.js";
import type { FromBroker, ToBroker } from "./broker.js";
import { AnnalsError, type ErrorCode } from "./errors.js";
import type { Session } from "./session.js";
import type { FromWorker, Start } from "./worker.js";
import { failure } from "./wire.js";

export interface TabsOptions {
  name: string;
  isRelaxed: boolean;
  storage: "opfs" | "memory";
  /** Whether other tabs may ask. */
  isShared: boolean;
  wasm?: string | BufferSource;
  makeWorker(): Worker;
  /** Where there is none, tabs find each other by broadcast. */
  makeBroker?: () => SharedWorker;
}

/** How long a worker of a tab that was closed while busy may keep the files. */
const BUSY_TIMEOUT = 8_000;
/** How long to wait for the broker before asking by broadcast. */
const BROKER_TIMEOUT = 1_000;
/** How long a tab that could not open the files leaves the lead to others. */
const RETRY_DELAY = 500;
/** How long a worker may take to close before it is ended. */
const CLOSE_TIMEOUT = 2_000;

export class Tabs {
  role: "leader" | "follower" | "alone" | "waiting" = "waiting";
  readonly #options: TabsOptions;
  readonly #session: Session;
  #epoch = 0;
  #worker: Worker | undefined;
  #stopAsking: (() => void) | undefined;
  /** Ends the present stay among the tabs: a page that is hidden leaves, and comes back. */
  #stay: AbortController | undefined;
  /** Called once when the files could not be opened. */
  onfailure = (_error: unknown) => {};

  constructor(session: Session, options: TabsOptions) {
    this.#session = session;
    this.#options = options;
    session.onlost = () => this.#restart();
    if (options.isShared) {
      addEventListener("pagehide", this.#leave);
      addEventListener("pageshow", this.#comeBack);
    }
  }

  join() {
    const { isShared, name, makeBroker } = this.#options;
    const stay = new AbortController();
    this.#stay = stay;
    if (!isShared) {
      void this.#lead(stay.signal).catch(() => {});
      return;
    }
    if (makeBroker) this.#askBroker(makeBroker()); else this.#askByBroadcast();
    void this.#stand(name, stay.signal);
  }

  /** Leaves in good order: what is written is on stable storage, the files are free. */
  async close() {
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#comeBack);
    const worker = this.#worker;
    if (worker) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_TIMEOUT);
        worker.addEventListener("message", ({ data }) => {
          if ((data as FromWorker)[0] !== "closed") return;
          clearTimeout(timer);
          resolve();
        });
        worker.postMessage("close");
      });
    }
    this.#end();
  }

  readonly #leave = () => {
    this.#end();
    this.#session.detach();
  };

  readonly #comeBack = (event: PageTransitionEvent) => {
    if (event.persisted && !this.#session.closedBy) this.join();
  };

  #end() {
    this.#stay?.abort();
    this.#stay = undefined;
    this.#stopWorker();
    this.#stopAsking?.();
    this.#stopAsking = undefined;
    this.role = "waiting";
  }

  /** The worker is no good any more: another stay, with another worker. */
  #restart() {
    if (!this.#worker || !this.#stay) return;
    this.#end();
    this.join();
  }

  #stopWorker() {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #askBroker(broker: SharedWorker) {
    const { port } = broker;
    const { name } = this.#options;
    const useBroadcast = () => {
      clearTimeout(timer);
      if (this.role === "waiting" && this.#stopAsking === stop) {
        stop();
        this.#askByBroadcast();
      }
    };
    const timer = setTimeout(useBroadcast, BROKER_TIMEOUT);
    const stop = () => {
      clearTimeout(timer);
      port.postMessage(["leave", name] satisfies ToBroker);
      port.close();
    };
    this.#stopAsking = stop;
    broker.onerror = useBroadcast;
    port.onmessage = ({ data, ports }) => this.#follow(ports[0]!, (data as FromBroker & ["leader"])[1]);
    port.postMessage(["find", name] satisfies ToBroker);
  }

  #askByBroadcast() {
    this.#stopAsking = askByBroadcast(this.#options.name, (port, epoch) => this.#follow(port, epoch));
  }

  #follow(port: Parameters<Session["attach"]>[0], epoch: number) {
    if (this.#worker || (epoch > 0 && epoch < this.#epoch)) return port.close?.();
    this.#epoch = Math.max(this.#epoch, epoch);
    this.role = "follower";
    this.#session.attach(port);
  }

  /** Stands for the lead until it comes, holds it, and stands again. */
  async #stand(name: string, signal: AbortSignal) {
    while (!signal.aborted) {
      try {
        await navigator.locks.request(`annals:${name}`, { signal }, () => this.#lead(signal));
      } catch (error) {
        if (signal.aborted) return;
        this.#session.explain(error);
        this.onfailure(error);
      }
      this.#stopWorker();
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY));
    }
  }

  /** Starts the worker, and resolves when the lead is over. Rejects with why it could not begin. */
  #lead(signal: AbortSignal): Promise<void> {
    const { name, storage, isRelaxed, isShared, makeBroker, wasm } = this.#options;
    this.#epoch = Math.max(this.#epoch + 1, Date.now());
    const worker = this.#options.makeWorker();
    this.#worker = worker;
    const { port1, port2 } = new MessageChannel();
    const start: Start = {
      name, storage, isRelaxed, isShared, epoch: this.#epoch, busyTimeout: BUSY_TIMEOUT, port: port2,
    };
    if (wasm !== undefined) start.wasm = wasm;
    if (isShared && makeBroker) start.broker = makeBroker().port;
    const lead = new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => resolve());
      worker.onerror = (event) => {
        event.preventDefault?.();
        reject(new AnnalsError("Internal", `the worker could not run: ${event.message ?? "it did not load"}`));
      };
      worker.onmessage = ({ data }) => {
        const message = data as FromWorker;
        switch (message[0]) {
          case "ready":
            this.role = isShared ? "leader" : "alone";
            return this.#session.attach(port1);
          case "failed":
            return reject(asError(message[1]));
          case "fatal":
            return reject(new AnnalsError("Internal", message[1]));
        }
      };
    });
    worker.postMessage(start, start.broker ? [port2, start.broker] : [port2]);
    const over = lead.finally(() => {
      if (this.#worker === worker) this.#stopWorker();
      if (this.role !== "follower") this.#session.detach();
    });
    if (!isShared) over.catch((error) => {
      this.#session.explain(error);
      this.onfailure(error);
    });
    return over;
  }
}

function asError(failed: Uint8Array | [string, string]): unknown {
  if (failed instanceof Uint8Array) return failure(failed);
  return new AnnalsError(failed[0] as ErrorCode, failed[1]);
}
