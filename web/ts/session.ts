// The client's end of the line to whoever holds the files. What was asked and not answered is
// kept, and asked again when the line is a new one: nothing of that is seen by callers, because
// every append carries its ids.

import { AnnalsError, closed, type ErrorCode } from "./errors.js";

/** The version of the messages between tabs. Tabs that differ refuse each other. */
export const PROTOCOL = 1;

/** What a message can be posted through: a MessagePort, or something that acts like one. */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((event: any) => any) | null;
  close?(): void;
}

/** `"a"` appends, `"c"` asks for anything else. */
export type Operation = "a" | "c";

/** Client to server. */
export type ToServer = ["hello", number, boolean] | ["watch", boolean] | ["ping"] | ["bye"] | [Operation, number, Uint8Array];
/** Server to client. */
export type ToClient =
  | ["welcome", number, Welcome]
  | ["refused", number]
  | ["end", bigint]
  | ["answer", number, Uint8Array]
  | ["pong"]
  | ["lost"];

export interface Welcome {
  epoch: number;
  /** The client that holds the lock, where there are tabs. */
  leader?: string;
  storage: "opfs" | "memory" | "files";
  end: bigint;
}

interface Waiting {
  message: ToServer;
  resolve(answer: Uint8Array): void;
  reject(reason: unknown): void;
  settled(): void;
}

/** While an answer is due, so many beats share the time that an operation may wait without a line. */
const BEATS = 15;
/** Beats without a sign of life after which the other end counts as silent. */
const BEATS_MISSED_MAX = 5;

export class Session {
  /** What the leader said of itself, since there has been one. */
  welcome: Welcome | undefined;
  /** Called when anything that `status` shows has changed. */
  onchange = () => {};
  /** Called when the line breaks from the other end. */
  onlost = () => {};
  /** Called when the line was dropped because the other end gave no sign of life, with who leads there. */
  onsilent = (_leader: string) => {};
  /** Called with why there is no line, as soon as that is known, or when there has been none for too long. */
  onfailure = (_error: unknown) => {};
  #port: Port | undefined;
  #isOpen = false;
  /** The client that leads at the other end, once that is known. */
  #leader: string | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #missed = 0;
  #closed: AnnalsError | undefined;
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watchers = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #cause: unknown;
  readonly #patience: number;

  constructor(patience: number) {
    this.#patience = patience;
  }

  get pending(): number { return this.#waiting.size; }
  get isConnected(): boolean { return this.#isOpen; }

  /** Notes how far the store is at least: an append was answered. */
  noteEnd(end: bigint) {
    if (this.welcome && end > this.welcome.end) this.welcome.end = end;
  }

  /** Takes a new line, and who leads at its other end if that is known; the old line is dropped. */
  attach(port: Port, leader?: string) {
    this.detach();
    this.#port = port;
    this.#leader = leader;
    port.onmessage = ({ data }) => this.#port === port && this.#receive(data as ToClient);
    this.#send(["hello", PROTOCOL, this.#watchers.size > 0]);
    this.#watchPulse();
  }

  /** Takes a client for the one at the other end, unless that is known. */
  suspect(leader: string | undefined) {
    this.#leader ??= leader;
    this.#watchPulse();
  }

  /** Drops the line, if there is one. What waits goes on waiting. */
  detach() {
    const port = this.#port;
    if (this.#isOpen) this.#send(["bye"]);
    this.#port = undefined;
    this.#isOpen = false;
    clearInterval(this.#pulse);
    this.#pulse = undefined;
    if (port) {
      port.onmessage = null;
      port.close?.();
    }
    this.watchTime();
    this.onchange();
  }

  /** Notes why there is no line just now, for those who will have waited too long. */
  explain(cause: unknown) {
    this.#cause = cause;
    this.onfailure(cause);
  }

  request(operation: Operation, request: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      const forget = () => { this.#waiting.delete(id); reject(signal!.reason); };
      const settled = () => signal?.removeEventListener("abort", forget);
      signal?.addEventListener("abort", forget);
      const message: ToServer = [operation, id, request];
      this.#waiting.set(id, { message, resolve, reject, settled });
      if (this.#isOpen) this.#send(message); else this.watchTime();
      this.#watchPulse();
    });
  }

  /** Calls back whenever the end of the store has moved, as long as anyone watches. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener);
    if (this.#watchers.size === 1 && this.#isOpen) this.#send(["watch", true]);
    return () => {
      if (this.#watchers.delete(listener) && this.#watchers.size === 0 && this.#isOpen) this.#send(["watch", false]);
    };
  }

  /** Ends everything; what waits is rejected. */
  close(reason = closed()) {
    if (this.#closed) return;
    this.#closed = reason;
    this.detach();
    this.#rejectAll(reason);
    for (const watcher of this.#watchers) watcher();
  }

  /** Why the session is closed, if it is. */
  get closedBy(): AnnalsError | undefined { return this.#closed; }

  #receive(message: ToClient) {
    this.#missed = 0;
    switch (message[0]) {
      case "welcome":
        return this.#open(message[2]);
      case "refused":
        return this.close(new AnnalsError("ProtocolMismatch",
          `another tab runs protocol ${message[1]} of annals and this one ${PROTOCOL}: reload the older one`));
      case "answer": {
        const waiting = this.#waiting.get(message[1]);
        this.#waiting.delete(message[1]);
        waiting?.settled();
        return waiting?.resolve(message[2]);
      }
      case "end":
        this.noteEnd(message[1]);
        for (const watcher of this.#watchers) watcher();
        return this.onchange();
      case "lost":
        this.detach();
        return this.onlost();
    }
  }

  #open(welcome: Welcome) {
    this.welcome = welcome;
    this.#leader = welcome.leader;
    this.#isOpen = true;
    this.#cause = undefined;
    this.watchTime();
    for (const { message } of this.#waiting.values()) this.#send(message);
    for (const watcher of this.#watchers) watcher();
    this.onchange();
  }

  /** While there is no line, and somebody waits, time runs: `isAnew` for a page that was asleep. */
  watchTime(isAnew = false) {
    const isLate = !this.#isOpen && (this.#waiting.size > 0 || !this.welcome) && !this.#closed;
    if (isAnew || !isLate) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (isLate) this.#timer ??= setTimeout(() => this.#giveUp(), this.#patience);
  }

  #giveUp() {
    this.#timer = undefined;
    const late = `no tab has led for ${this.#patience} ms: try again, an append with the same id`;
    const reason = this.#cause ?? new AnnalsError("LeaderLost", late);
    this.#rejectAll(reason);
    this.onfailure(reason);
  }

  get #isAnswerDue(): boolean {
    return this.#port !== undefined && (!this.#isOpen || this.#waiting.size > 0);
  }

  /** While an answer is due, the other end must show that it lives. */
  #watchPulse() {
    if (this.#pulse !== undefined || this.#leader === undefined || !this.#isAnswerDue) return;
    this.#missed = 0;
    this.#pulse = setInterval(() => this.#beat(), this.#patience / BEATS);
  }

  /** Beats are counted, not time: a tab that was itself asleep has missed one. */
  #beat() {
    if (!this.#isAnswerDue) {
      clearInterval(this.#pulse);
      this.#pulse = undefined;
      return;
    }
    if (this.#missed++ < BEATS_MISSED_MAX) return this.#send(["ping"]);
    const leader = this.#leader!;
    this.detach();
    this.onsilent(leader);
  }

  #rejectAll(reason: unknown) {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, settled } of waiting) {
      settled();
      reject(reason);
    }
  }

  #send(message: ToServer) {
    this.#port?.postMessage(message);
  }
}

export type { ErrorCode };
