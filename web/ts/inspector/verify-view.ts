// Whether the store is whole: a bar while it is looked at, a verdict at the end.

import type { Context, View } from "./context.js";
import { bytesText, data, grouped, h, messageOf } from "./dom.js";
import type { VerifyState } from "./source.js";

const LOOK_AGAIN = 150;
const NAMES: Record<string, string> = {
  segments: "segments", bytes: "bytes read", events: "events", erased_events: "erased events", pruned_runs: "runs dropped by retention", streams: "streams",
};

export class VerifyView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #bar = h("progress", { max: 1, value: 0, "aria-label": "How much has been looked at", hidden: true });
  readonly #said = h("p", { class: "verdict", role: "status" });
  readonly #found = h("div");
  readonly #start = h("button", { type: "button", class: "primary", onclick: () => this.#toggle() }, "Verify");
  #isRunning = false;

  constructor(context: Context) {
    this.#context = context;
    const words = context.source.verify
      ? "Every byte of every segment: checksums, hash chains, indexes held against the events."
      : "This source can’t be verified here.";
    this.element = h("section", { class: "view verify-view", "aria-label": "Verify" },
      h("div", { class: "prose", tabindex: 0 }, h("p", {}, words), context.source.verify && this.#start, this.#bar, this.#said, this.#found));
  }

  async #toggle() {
    const verify = this.#context.source.verify!;
    try {
      if (this.#isRunning) return void await verify.stop();
      this.#found.replaceChildren();
      this.#show(await verify.start());
      while (this.#isRunning) {
        await new Promise((resolve) => this.#context.window.setTimeout(resolve, LOOK_AGAIN));
        this.#show(await verify.state());
      }
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  #fail(message: string) {
    this.#isRunning = false;
    this.#bar.hidden = true;
    this.#start.textContent = "Verify";
    this.#said.className = "verdict is-bad";
    this.#said.textContent = message;
  }

  #show(state: VerifyState) {
    const { bytesDone, bytes, isWhole, isComplete, counted = [], faults = [], error } = state;
    if (error !== undefined) return this.#fail(error);
    this.#isRunning = state.isRunning;
    this.#start.textContent = state.isRunning ? "Stop" : "Verify again";
    this.#bar.hidden = false;
    this.#bar.value = bytes === 0 ? Number(!state.isRunning) : bytesDone / bytes;
    if (state.isRunning) {
      this.#said.className = "verdict";
      this.#said.textContent = `${bytesText(bytesDone)} of ${bytesText(bytes)}`;
      return;
    }
    const isStopped = isComplete === false && faults.length === 0;
    this.#said.className = `verdict ${isWhole ? "is-good" : isStopped ? "" : "is-bad"}`;
    this.#said.textContent = isWhole ? "✓ Whole" : isStopped ? `Stopped before the end${counted.length > 0 ? "; what was looked at is whole" : ""}` : "✗ Damaged: keep what is there as it is, and restore a backup";
    this.#found.replaceChildren(
      h("dl", { class: "fields" }, ...counted.flatMap(([name, value]) => [h("dt", {}, NAMES[name] ?? name), h("dd", {}, name === "bytes" ? bytesText(value) : grouped(value))])),
      ...faults.map(({ kind, count, file, offset, expected, found }) => h("div", { class: "fault" },
        h("h3", {}, data(kind)), h("p", {}, file && data(file), ` at byte ${grouped(offset)}`),
        h("p", {}, "expected ", data(expected)), found && h("p", {}, "found ", data(found)), count > 1 && h("p", {}, `the first of ${grouped(count)}`))));
  }
}
