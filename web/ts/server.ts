// Whoever holds the files: takes requests from any number of ports, answers them through the
// engine, and tells those who watch that the end has moved. Appends that arrive together are
// written together.

import { AnnalsError } from "./errors.js";
import { failure, failureBytes, groupAnswers, groupRequest, JOB, SYNC_REQUEST } from "./wire.js";
import { PROTOCOL, type Port, type ToClient, type ToServer, type Welcome } from "./session.js";

/** What of the wasm engine the server uses. */
export interface Engine {
  append(group: Uint8Array): Uint8Array;
  call(request: Uint8Array): Uint8Array;
  /** For long work: the second wasm file must be there. */
  job(request: Uint8Array): Uint8Array;
  topUp(): Promise<void>;
  close(): void;
  readonly isRefused: boolean;
  readonly needsUpkeep: boolean;
  readonly end: bigint;
}

interface Append { port: Port; id: number; request: Uint8Array }

/** Appends that share one write: so many, or so many bytes. */
const GROUP_APPENDS_MAX = 512;
const GROUP_BYTES_MAX = 8 << 20;
/** How often files that are not ready are made ready for one call. */
const TRIES_MAX = 4;
/** How long relaxed appends may stay off stable storage, in milliseconds. */
const SYNC_DELAY = 50;

export class Server {
  readonly #engine: Engine;
  readonly #welcome: Omit<Welcome, "end">;
  readonly #isRelaxed: boolean;
  readonly #loadJobs: () => Promise<void>;
  readonly #onfatal: (error: unknown) => void;
  readonly #ports = new Set<Port>();
  readonly #watching = new Set<Port>();
  #appends: Append[] = [];
  #isBusy = false;
  #tending: Promise<void> = Promise.resolve();
  #syncTimer: ReturnType<typeof setTimeout> | undefined;
  #told = 0n;
  readonly #soon: (run: () => void) => void;

  /**
   * `loadJobs` has the engine's `job` at hand when it resolves; `soon` runs something behind the messages that have
   * arrived already.
   */
  constructor(
    engine: Engine,
    welcome: Omit<Welcome, "end">,
    isRelaxed: boolean,
    loadJobs: () => Promise<void>,
    soon: (run: () => void) => void,
    onfatal: (error: unknown) => void,
  ) {
    this.#engine = engine;
    this.#welcome = welcome;
    this.#isRelaxed = isRelaxed;
    this.#loadJobs = loadJobs;
    this.#onfatal = onfatal;
    this.#soon = soon;
    this.#told = engine.end;
  }

  connect(port: Port) {
    this.#ports.add(port);
    port.onmessage = ({ data }) => this.#receive(port, data as ToServer);
  }

  /** Answers what has arrived, syncs and gives the files up. */
  async close() {
    await this.#drain();
    clearTimeout(this.#syncTimer);
    for (const port of this.#ports) port.onmessage = null;
    this.#engine.close();
  }

  #receive(port: Port, message: ToServer) {
    switch (message[0]) {
      case "hello":
        this.#setWatching(port, message[2]);
        if (message[1] !== PROTOCOL) return send(port, ["refused", PROTOCOL]);
        return send(port, ["welcome", PROTOCOL, { ...this.#welcome, end: this.#engine.end }]);
      case "watch":
        return this.#setWatching(port, message[1]);
      case "ping":
        return send(port, ["pong"]);
      case "bye":
        this.#ports.delete(port);
        this.#setWatching(port, false);
        return port.close?.();
      case "a":
        this.#appends.push({ port, id: message[1], request: message[2] });
        // So that whatever has arrived as well joins the group.
        if (this.#appends.length === 1 && !this.#isBusy) this.#soon(() => void this.#guard(() => this.#drain()));
        return;
      case "c":
        return void this.#guard(() => this.#answer(port, message[1], message[2]));
    }
  }

  async #answer(port: Port, id: number, request: Uint8Array) {
    let answer: Uint8Array;
    if (request[0] === JOB) {
      answer = await this.#job(request);
    } else {
      const ask = () => this.#engine.call(request);
      answer = ask();
      if (this.#engine.isRefused) answer = await this.#whenReady(answer, ask);
    }
    this.#tell();
    sendAnswer(port, id, answer);
  }

  /** It waits only where the files have to be made ready. */
  async #drain() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#appends.length > 0) {
        const group = this.#takeGroup();
        const request = groupRequest(group.map((append) => append.request));
        const ask = () => this.#engine.append(request);
        let answer = ask();
        if (this.#engine.isRefused) answer = await this.#whenReady(answer, ask);
        // What is refused as a whole is refused for each.
        const answers = answer[0] === 0 ? groupAnswers(answer) : group.map(() => answer.slice());
        group.forEach(({ port, id }, at) => answers[at] && sendAnswer(port, id, answers[at]));
        this.#tell();
        this.#syncLater();
        // What the group has used up is made ready now, while nobody waits for it.
        if (this.#engine.needsUpkeep) await this.#topUp().catch(() => {});
      }
    } finally {
      this.#isBusy = false;
    }
  }

  #takeGroup(): Append[] {
    let bytes = 0;
    let count = 0;
    for (const { request } of this.#appends) {
      bytes += request.length;
      if (count > 0 && (count >= GROUP_APPENDS_MAX || bytes > GROUP_BYTES_MAX)) break;
      count++;
    }
    return this.#appends.splice(0, count);
  }

  /** Asks again after files were made ready. Ids make a second append harmless. */
  async #whenReady(answer: Uint8Array, ask: () => Uint8Array): Promise<Uint8Array> {
    for (let tries = 1; this.#engine.isRefused && tries < TRIES_MAX; tries++) {
      try {
        await this.#topUp();
      } catch (error) {
        // Why the files can't be made ready says more than that they are not.
        if (failure(error) instanceof Error && error instanceof Uint8Array) return asGroup(answer, error);
        throw error;
      }
      answer = ask();
    }
    return answer;
  }

  /** One after the other: the engine has one upkeep, and each must see what was asked for last. */
  #topUp(): Promise<void> {
    const tended = this.#tending.catch(() => {}).then(() => this.#engine.topUp());
    this.#tending = tended;
    return tended;
  }

  async #job(request: Uint8Array): Promise<Uint8Array> {
    try {
      await this.#loadJobs();
    } catch (error) {
      if (error instanceof AnnalsError) return failureBytes(error);
      throw error;
    }
    const ask = () => this.#engine.job(request);
    return this.#tidied(await this.#whenReady(ask(), ask));
  }

  /** The answer of a job's slice, when the files that it has replaced are gone, or why they are not. */
  async #tidied(answer: Uint8Array): Promise<Uint8Array> {
    try {
      await this.#topUp();
      return answer;
    } catch (error) {
      if (error instanceof Uint8Array) return error;
      throw error;
    }
  }

  #tell() {
    const end = this.#engine.end;
    if (end <= this.#told) return;
    this.#told = end;
    for (const port of this.#watching) send(port, ["end", end]);
  }

  #setWatching(port: Port, isWatching: boolean) {
    if (isWatching) this.#watching.add(port); else this.#watching.delete(port);
  }

  #syncLater() {
    if (!this.#isRelaxed) return;
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      void this.#guard(async () => void this.#engine.call(SYNC_REQUEST));
    }, SYNC_DELAY);
  }

  /** What the engine throws is a trap: its memory can't be trusted any more. */
  async #guard(run: () => Promise<void>) {
    try {
      await run();
    } catch (error) {
      for (const port of this.#ports) send(port, ["lost"]);
      this.#onfatal(error);
    }
  }
}

/** The failure of an upkeep, in place of what it failed for. */
function asGroup(refused: Uint8Array, error: Uint8Array): Uint8Array {
  // An append's answer is a group of answers; any other is one failure.
  if (refused[0] !== 0) return error;
  const answers = groupAnswers(refused).map((answer) => (answer[0] === 0 ? answer : error));
  const group = groupRequest(answers);
  group.copyWithin(1, 4);
  group[0] = 0;
  // Without three bytes of the count, and the length of the texts that end a request.
  return group.subarray(0, group.length - 7);
}

function send(port: Port, message: ToClient, transfer: Transferable[] = []) {
  port.postMessage(message, transfer);
}

function sendAnswer(port: Port, id: number, answer: Uint8Array) {
  send(port, ["answer", id, answer], [answer.buffer as ArrayBuffer]);
}
