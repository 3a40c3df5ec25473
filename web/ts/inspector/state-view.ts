// A state through time: a reducer that the reader pastes, over the events of the filter, and a
// slider over the moments behind each of them.

import { type Context, isFiltered, type View } from "./context.js";
import { counted, data, grouped, h, isAbort, messageOf, timeText } from "./dom.js";
import { filterText } from "./filter-bar.js";
import { jsonTree, longText } from "./payload-view.js";
import { Reducer, type ReducerEvent } from "./reducer.js";
import type { EventRow } from "./source.js";

const EVENTS_MAX = 20_000;
const STATE_TREE_MAX = 2_000_000;

const EXAMPLE = `(state = { events: 0, kinds: {} }, event) => ({
  ...state,
  events: state.events + 1,
  kinds: { ...state.kinds, [event.type]: (state.kinds[event.type] ?? 0) + 1 },
  last: event.payload,
})`;

export class StateView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #said = h("p", { role: "status" });
  readonly #scope = h("p", { class: "count" });
  readonly #source = h("textarea", { name: "reducer", rows: 9, spellcheck: "false", autocomplete: "off", class: "mono" });
  readonly #slider = h("input", { type: "range", min: 0, max: 0, value: 0, disabled: true, name: "moment" });
  readonly #moment = h("output", { class: "moment" }, "");
  readonly #state = h("div", { class: "state" });
  readonly #run = h("button", { type: "submit", class: "primary" }, "Run");
  #reducer: Reducer | undefined;
  #events: EventRow[] = [];
  #request = new AbortController();

  constructor(context: Context) {
    this.#context = context;
    this.#source.value = EXAMPLE;
    this.#slider.addEventListener("input", () => void this.#show());
    const form = h("form", { class: "reducer", onsubmit: (event: Event) => { event.preventDefault(); void this.#start(); } },
      h("label", {}, h("span", {}, "Reducer: a function of state and event, in JavaScript"), this.#source),
      h("p", { class: "actions" }, this.#run, " ", h("small", {}, "It runs without a network, and apart from this page.")), this.#said);
    this.element = h("section", { class: "view state-view", "aria-label": "State" },
      h("div", { class: "bar" }, this.#scope), h("div", { class: "halves" }, form,
        h("div", {}, h("label", { class: "slider" }, h("span", {}, "Moment"), this.#slider), this.#moment, this.#state)));
  }

  onshow() { this.onfilter(); }

  onfilter() {
    const { filter } = this.#context;
    this.#scope.textContent = `Over ${isFiltered(filter) ? filterText(filter) : "all events; filter by an entity to see one stream"}`;
  }

  async #start() {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#reducer?.close();
    this.#reducer = undefined;
    this.#slider.disabled = true;
    this.#state.replaceChildren();
    this.#moment.replaceChildren();
    try {
      const isCut = await this.#read(signal);
      const reducer = new Reducer(this.element, this.#context.source.reducerUrl);
      this.#reducer = reducer;
      const count = await reducer.load(this.#source.value, this.#events.map(eventOf));
      if (signal.aborted) return;
      this.#said.textContent = `${counted(count, "event")}${isCut ? `: the oldest, and there are more than the ${grouped(EVENTS_MAX)} that are taken` : ""}.`;
      this.#slider.max = String(count);
      this.#slider.value = String(count);
      this.#slider.disabled = false;
      await this.#show();
    } catch (error) {
      if (!isAbort(error)) this.#fail(error);
    }
  }

  /** Reads the events; whether there are more than are taken. */
  async #read(signal: AbortSignal): Promise<boolean> {
    this.#events = [];
    for (let after: number | undefined; ;) {
      const page = await this.#context.source.events({
        filter: this.#context.filter, direction: "forward", limit: 1000, withPayload: true, signal, ...(after === undefined ? {} : { after }),
      });
      signal.throwIfAborted();
      this.#events.push(...page.events);
      this.#said.textContent = `${grouped(this.#events.length)} events read…`;
      if (this.#events.length >= EVENTS_MAX) return !page.isDone;
      if (page.isDone) return false;
      after = page.next;
    }
  }

  async #show() {
    const at = Number(this.#slider.value);
    const event = this.#events[at - 1];
    this.#slider.setAttribute("aria-valuetext", event ? `after event ${at}, ${event.type}` : "before the first event");
    this.#moment.replaceChildren(...(event
      ? [`after ${grouped(at)} of ${grouped(this.#events.length)}: `, data(event.type, { max: 80 }), ` at ${timeText(event.time)} `,
        h("button", { type: "button", class: "small", onclick: () => this.#context.openEvent({ id: event.id }) }, "Show it")]
      : ["before the first event"]));
    try {
      const state = await this.#reducer?.stateAt(at);
      // The slider may have gone on meanwhile.
      if (state === undefined || Number(this.#slider.value) !== at) return;
      this.#state.replaceChildren(state === "undefined" ? "undefined" : state.length > STATE_TREE_MAX ? longText(state) : jsonTree(JSON.parse(state)));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown) {
    this.#said.replaceChildren(h("span", { class: "error" }, data(messageOf(error))));
  }
}

function eventOf({ payloadText, preview: _, format: _format, ...row }: EventRow): ReducerEvent {
  let payload: unknown;
  try { payload = payloadText === undefined ? undefined : JSON.parse(payloadText); } catch { /* It says that it is JSON, and is not. */ }
  return { ...row, payload };
}
