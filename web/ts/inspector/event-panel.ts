// One event beside the view: its header, its payload, its chain back to genesis, its bytes.

import type { Context } from "./context.js";
import { bytesText, type Child, copyButton, counted, data, grouped, h, isAbort, messageOf, save, timeElement } from "./dom.js";
import { hexDump, jsonTree, longText, parseJson } from "./payload-view.js";
import type { EventDetail, EventRow } from "./source.js";

/** Events of a chain that are asked for at once, and on the way to the first. */
const CHAIN_STEP = 100;
const CHAIN_PAGE = 1000;
/** Events of a chain that are listed; the others are only held against each other. */
const CHAIN_SHOWN_MAX = 2000;
/** A longer payload is not made a tree at once, in characters. */
const TREE_MAX = 2_000_000;

const NO_JSON = "It says that it is JSON, and is not.";

export class EventPanel {
  readonly element = h("aside", { class: "panel", hidden: true, "aria-label": "The event", tabindex: -1 });
  readonly #context: Context;
  readonly #onclose: () => void;
  #event: EventDetail | undefined;
  #request = new AbortController();

  constructor(context: Context, onclose: () => void) {
    this.#context = context;
    this.#onclose = onclose;
  }

  get isOpen() { return !this.element.hidden; }

  /** The event that it shows, once it is there. */
  get event(): Pick<EventRow, "id" | "sequence"> | undefined { return this.isOpen ? this.#event : undefined; }

  async open(which: { id: string } | { sequence: number }) {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.element.hidden = false;
    this.#event = undefined;
    try {
      const event = await this.#context.source.event(which, signal);
      if (signal.aborted) return;
      if (!event) throw new Error(`There is no event ${"id" in which ? which.id : `#${which.sequence}`} here.`);
      this.#show(event, signal);
    } catch (error) {
      if (isAbort(error)) return;
      this.element.replaceChildren(this.#head("Event"), h("p", { class: "error", role: "alert" }, messageOf(error)));
    }
  }

  close() {
    this.#request.abort();
    this.element.hidden = true;
    this.element.replaceChildren();
    this.#onclose();
  }

  #head(title: Child): HTMLElement {
    return h("header", {}, h("h2", {}, title),
      h("button", { type: "button", class: "close", "aria-label": "Close the event", title: "Close (Esc)", onclick: () => this.close() }, "×"));
  }

  #show(event: EventDetail, signal: AbortSignal) {
    this.#event = event;
    const { entity, scope, id, sequence, version, correlation, causation } = event;
    const link = (id: string, words = id) => h("button", { type: "button", class: "link mono", onclick: () => this.#context.openEvent({ id }) }, words);
    const fields: [string, Child][] = [
      ["Sequence", `#${grouped(sequence)}`], ["Entity", data(entity)], ["Scope", data(scope)], ["Version", grouped(version)],
      ["Kind", h("span", {}, data(event.type), " ", h("small", {}, `0x${event.kind.toString(16).toUpperCase().padStart(4, "0")}`))],
      ["Time", timeElement(event.time)], ["Id", h("span", { class: "mono" }, id)],
      ["Correlation", correlation === id ? "itself" : link(correlation)], ["Caused by", causation ? link(causation) : "nothing"],
      ["Position", event.position], ["Flags", event.flags === 0 ? "none" : `0x${event.flags.toString(16).padStart(4, "0")}`],
      ["Admission", event.admission && data(event.admission)],
      ["Metadata", event.metadata === undefined ? undefined : typeof event.metadata === "string" ? longText(event.metadata) : hexDump(event.metadata)],
    ];
    const list = h("dl", { class: "fields" }, ...fields.flatMap(([name, value]) => (value ? [h("dt", {}, name), h("dd", {}, value)] : [])));
    const act = (words: string, onclick: () => void) => h("button", { type: "button", class: "small", onclick }, words);
    const actions = h("p", { class: "actions" },
      act("Causes and effects", () => this.#context.openGraph(event)),
      act("Its stream", () => this.#context.setFilter({ stream: entity }, "log")),
      act("State of its stream", () => this.#context.setFilter({ stream: entity }, "state")),
      act("What it belongs to", () => this.#context.setFilter({ correlation }, "log")));
    this.element.replaceChildren(this.#head(h("span", {}, data(event.type), " ", h("small", {}, `#${grouped(sequence)}`))),
      list, actions, this.#payload(event), this.#chain(event, signal), bytes(event));
  }

  #payload(event: EventDetail): HTMLElement {
    const { id, format, payloadVersion, payloadText, payloadBytes, isErased } = event;
    if (isErased) return section("Payload", true, h("p", {}, "It was erased. The header and the chain have stayed."));
    const whole = h("button", { type: "button", class: "small", onclick: async () => {
      try {
        save(this.#context.window, `payload-${event.sequence}.${format === "json" ? "json" : "bin"}`, [await this.#context.source.payload(id)], "application/octet-stream");
      } catch (error) { this.#context.say(messageOf(error)); }
    } }, "Save");
    // The bytes of postcard say nothing of what they are: the kind's name is that of their type.
    const head = h("p", { class: "about" }, ...(format === "postcard" ? ["postcard of ", data(event.type, { class: "type" })] : [format ?? ""]),
      `, version ${payloadVersion}, ${bytesText(event.bytes ?? 0)} `, whole);
    if (payloadBytes) return section("Payload", true, head, format === "json" && h("p", {}, NO_JSON), hexDump(payloadBytes, { length: event.bytes ?? payloadBytes.length }));
    const text = payloadText ?? "";
    const raw = () => h("pre", { class: "raw", tabindex: 0, "aria-label": "Payload as text" }, longText(text));
    if (text.length > TREE_MAX) return section("Payload", true, head, h("p", {}, "It is too large for a tree, so here is its text."), raw());
    head.append(" ", copyButton(text));
    const body = h("div");
    const toggle = h("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => {
      const isRaw = toggle.getAttribute("aria-pressed") === "false";
      toggle.setAttribute("aria-pressed", String(isRaw));
      body.replaceChildren(isRaw ? raw() : jsonTree(parseJson(text)));
    } }, "As text");
    try {
      body.append(jsonTree(parseJson(text)));
      head.append(" ", toggle);
    } catch {
      body.append(h("p", {}, NO_JSON), raw());
    }
    return section("Payload", true, head, body);
  }

  /** The hashes, and on request the events before it, each held against the next. */
  #chain(event: EventDetail, signal: AbortSignal): HTMLElement {
    const body = h("div");
    const hash = (name: string, value: string | undefined) => (value ? [h("dt", {}, name), h("dd", { class: "mono" }, value)] : []);
    if (event.hash ?? event.contentHash) body.append(h("dl", { class: "fields" }, ...hash("Hash", event.hash), ...hash("Previous", event.previousHash), ...hash("Content", event.contentHash)));
    const list = h("ol", { class: "chain", tabindex: 0, "aria-label": "Events of the chain, newest first" });
    const said = h("p", { role: "status" });
    let last: EventRow | undefined;
    let count = 0;
    /** Takes the next events of the chain; how it went on behind them. */
    const step = async (limit: number) => {
      const { events, end } = await this.#context.source.chain(last?.id ?? event.id, last ? limit + 1 : limit, signal);
      for (const link of events) {
        if (link.id === last?.id) continue;
        if (last && last.previousHash !== link.hash) throw new Error(`The chain is broken: #${grouped(last.sequence)} does not name the hash of #${grouped(link.sequence)}.`);
        if (++count <= CHAIN_SHOWN_MAX) list.append(this.#link(link));
        last = link;
      }
      return end;
    };
    const walk = async (limit: number, isToFirst: boolean) => {
      try {
        let end = await step(limit);
        while (isToFirst && end === "limit") {
          said.textContent = `${grouped(count)} events…`;
          end = await step(limit);
        }
        const unlisted = count > CHAIN_SHOWN_MAX ? ` (the newest ${grouped(CHAIN_SHOWN_MAX)} are listed)` : "";
        const checked = `${counted(count, "event")}${unlisted}, each names the hash of the one before`;
        said.textContent = end === "genesis" ? `${checked}, back to the first of the stream.` : end === "limit" ? `${checked}.` : `${checked}. Those up to version ${grouped(end.pruned)} were dropped by retention.`;
        const more = (words: string, limit: number, isToFirst: boolean) => h("button", { type: "button", class: "small", onclick: () => walk(limit, isToFirst) }, words);
        if (end === "limit") said.append(" ", more("Further back", CHAIN_STEP, false), " ", more("To the first", CHAIN_PAGE, true));
      } catch (error) {
        if (!isAbort(error)) said.replaceChildren(h("span", { class: "error" }, messageOf(error)));
      }
    };
    const details = section("Hash chain", false, body, said, list);
    details.addEventListener("toggle", () => {
      if (!details.open || said.textContent) return;
      said.textContent = "…";
      void walk(CHAIN_STEP, false);
    });
    return details;
  }

  #link({ id, version, type, hash = "" }: EventRow): HTMLElement {
    return h("li", {},
      h("button", { type: "button", class: "link", onclick: () => this.#context.openEvent({ id }) }, `version ${grouped(version)}`),
      " ", data(type, { max: 80 }), " ", h("span", { class: "mono hash" }, hash));
  }
}

function bytes({ record }: EventDetail): HTMLElement {
  if (!record) return section("Bytes in the file", false, h("p", {}, "They can’t be read here."));
  const { file, offset, length, bytes } = record;
  return section("Bytes in the file", false,
    h("p", { class: "about" }, `${bytesText(length)} at byte ${grouped(offset)} of `, data(file, { class: "mono" })), hexDump(bytes, { offset, length }));
}

function section(title: string, open: boolean, ...children: Child[]): HTMLDetailsElement {
  return h("details", { class: "section", open }, h("summary", {}, h("h3", {}, title)), ...children);
}
