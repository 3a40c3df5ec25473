// Which tab holds the files. A Web Lock chooses; its holder starts the worker, everybody else
// gets a port to it. When the holder goes, the lock goes to the next, and sessions ask again
// what was not answered. From a holder that gives no sign of life the lock is taken. Its files
// stay its own until its worker ends, so two never write.

import { askByBroadcast, hearLeaders } from "./broadcast.js";
import type { FromBroker, ToBroker } from "./broker.js";
import { AnnalsError, type ErrorCode } from "./errors.js";
import type { Port, Session } from "./session.js";
import type { FromWorker, Start, WasmFiles } from "./worker.js";
import { failure } from "./wire.js";

export interface TabsOptions {
  name: string;
  isRelaxed: boolean;
  storage: "opfs" | "memory";
  /** Whether other tabs may ask. */
  isShared: boolean;
  wasm: WasmFiles;
  makeWorker(): Worker;
  /** Where there is none, tabs find each other by broadcast. */
  makeBroker: (() => SharedWorker) | undefined;
}

/** How long to wait for the broker before asking by broadcast. */
const BROKER_TIMEOUT = 1_000;
/** How long a tab that could not open the files leaves the lead to others. */
const RETRY_DELAY = 500;
/** How long a worker may take to close before it is ended. */
const CLOSE_TIMEOUT = 2_000;
/** Names the lock of a leader that has opened the files: it owes answers, as one that is still opening does not. */
const OPEN = ":open";

export class Tabs {
  role: "leader" | "follower" | "alone" | "waiting" = "waiting";
  readonly #options: TabsOptions;
  readonly #session: Session;
  #epoch = 0;
  #worker: Worker | undefined;
  #stopAsking: (() => void) | undefined;
  /** Ends the present stay among the tabs: a page that is hidden leaves, and comes back. */
  #stay: AbortController | undefined;

  constructor(session: Session, options: TabsOptions) {
    this.#session = session;
    this.#options = options;
    session.onlost = () => this.#restart();
    session.onsilent = (leader) => void this.#replaceSilent(leader);
    if (options.isShared) this.#watchPage("addEventListener");
  }

  join() {
    const stay = new AbortController();
    this.#stay = stay;
    this.#session.watchTime(true);
    if (!this.#options.isShared) {
      void this.#lead(stay.signal).catch(() => {});
      return;
    }
    this.#find();
    void this.#stand(stay.signal);
  }

  /** Leaves in good order: what is written is on stable storage, the files are free. */
  async close() {
    this.#watchPage("removeEventListener");
    const worker = this.#worker;
    if (worker) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, CLOSE_TIMEOUT);
        worker.addEventListener("message", ({ data }) => (data as FromWorker)[0] === "closed" && resolve());
        worker.postMessage("close");
      });
    }
    this.#end();
  }

  /** A page that is put to sleep gives the files to others while it still can. */
  #watchPage(change: "addEventListener" | "removeEventListener") {
    globalThis[change]("pagehide", this.#leave);
    globalThis[change]("pageshow", this.#comeBack);
    // A worker that opens a store has no document.
    globalThis.document?.[change]("freeze", this.#leave);
    globalThis.document?.[change]("resume", this.#comeBack);
  }

  readonly #leave = () => this.#end();

  readonly #comeBack = () => {
    if (!this.#stay && !this.#session.closedBy) this.join();
  };

  #end() {
    this.#stay?.abort();
    this.#stay = undefined;
    // First, since it says goodbye over what comes next.
    this.#session.detach();
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

  /** Asks for whoever leads, and goes on listening for whoever will. */
  #find() {
    this.#session.detach();
    this.#stopAsking?.();
    const { makeBroker } = this.#options;
    if (makeBroker) this.#askBroker(makeBroker()); else this.#askByBroadcast();
  }

  #askBroker(broker: SharedWorker) {
    const { port } = broker;
    const { name } = this.#options;
    const useBroadcast = () => {
      if (this.role === "waiting" && this.#stopAsking === stop) {
        stop();
        this.#askByBroadcast();
      }
    };
    const timer = setTimeout(useBroadcast, BROKER_TIMEOUT);
    const stopHearing = hearLeaders(name, (epoch) => setTimeout(() => {
      // A broker ends with the process that it runs in, and nobody is told.
      if (this.#stopAsking === stop && this.#epoch < epoch) this.#find();
    }, BROKER_TIMEOUT));
    const stop = () => {
      clearTimeout(timer);
      stopHearing();
      port.postMessage(["leave", name] satisfies ToBroker);
      port.close();
    };
    this.#stopAsking = stop;
    broker.onerror = useBroadcast;
    port.onmessage = ({ data, ports }) => {
      const [, epoch, leader] = data as Extract<FromBroker, ["leader", ...unknown[]]>;
      this.#follow(ports[0]!, epoch, leader);
    };
    port.postMessage(["find", name] satisfies ToBroker);
  }

  #askByBroadcast() {
    this.#stopAsking = askByBroadcast(this.#options.name, (port, epoch, leader) => this.#follow(port, epoch, leader));
    // Who leads already tells it in its welcome, and it may be asleep.
    this.#holder(OPEN).then((leader) => this.#session.suspect(leader), () => {});
  }

  #follow(port: Port, epoch: number, leader?: string) {
    if (this.#worker || (epoch > 0 && epoch < this.#epoch)) return port.close?.();
    this.#epoch = Math.max(this.#epoch, epoch);
    this.role = "follower";
    this.#session.attach(port, leader);
  }

  get #lockName(): string { return `annals:${this.#options.name}`; }

  /** Stands for the lead until it comes, holds it, and stands again. */
  async #stand(stay: AbortSignal) {
    while (!stay.aborted) {
      await this.#hold({ signal: stay }, stay);
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY));
    }
  }

  /** Leads for as long as it has the lock and nothing else ends it. */
  async #hold(options: LockOptions, stay: AbortSignal) {
    const lead = new AbortController();
    const end = () => lead.abort();
    stay.addEventListener("abort", end);
    try {
      await navigator.locks.request(this.#lockName, options, async () => {
        const self = await this.#holder();
        if (!lead.signal.aborted) await this.#lead(lead.signal, self);
      });
    } catch (error) {
      if (stay.aborted) return;
      lead.abort();
      if ((error as Error).name === "AbortError") {
        // Taken by another tab, which has announced itself or soon will.
        this.role = "waiting";
        this.#find();
      } else {
        this.#session.explain(error);
      }
    } finally {
      stay.removeEventListener("abort", end);
    }
  }

  /** The client that holds the lock now, or the one named after it. */
  async #holder(suffix = ""): Promise<string | undefined> {
    const { held } = await navigator.locks.query();
    return held?.find(({ name }) => name === this.#lockName + suffix)?.clientId;
  }

  /** Takes the lead from a tab that gives no sign of life, unless it has lost it already. */
  async #replaceSilent(leader: string) {
    if (this.#worker) return this.#restart();
    const stay = this.#stay?.signal;
    if (!stay || !this.#options.isShared) return;
    this.role = "waiting";
    if (leader !== (await this.#holder()) || stay.aborted) return;
    await this.#hold({ steal: true }, stay);
  }

  /** Starts the worker, and resolves when the lead is over. Rejects with why it could not begin. */
  #lead(signal: AbortSignal, leader?: string): Promise<void> {
    const { name, storage, isRelaxed, isShared, makeBroker, wasm } = this.#options;
    this.#epoch = Math.max(this.#epoch + 1, Date.now());
    const worker = this.#options.makeWorker();
    this.#worker = worker;
    const { port1, port2 } = new MessageChannel();
    const broker = isShared ? makeBroker?.().port : undefined;
    const start: Start = { name, storage, isRelaxed, isShared, wasm, leader, broker, epoch: this.#epoch, port: port2 };
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
            // From one that sleeps it is taken: it has lost the lead before.
            if (isShared) void navigator.locks.request(this.#lockName + OPEN, { steal: true }, () => over).catch(() => {});
            return this.#session.attach(port1, leader);
          case "failed":
            return reject(asError(message[1]));
        }
      };
    });
    worker.postMessage(start, broker ? [port2, broker] : [port2]);
    const over = lead.finally(() => {
      if (this.#worker !== worker) return;
      this.#stopWorker();
      this.#session.detach();
    });
    if (!isShared) over.catch((error) => this.#session.explain(error));
    return over;
  }
}

function asError(failed: Uint8Array | [string, string]): unknown {
  if (failed instanceof Uint8Array) return failure(failed);
  return new AnnalsError(failed[0] as ErrorCode, failed[1]);
}
