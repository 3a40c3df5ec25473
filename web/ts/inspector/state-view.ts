// A state through time: a reducer that the reader pastes, over the events of the filter, and a
// slider over the moments behind each of them.

import { type Context, isFiltered, type View } from "./context.js";
import { counted, data, grouped, h, isAbort, messageOf, timeText, visible } from "./dom.js";
import { filterText } from "./filter-bar.js";
import { jsonTree, longText, parseJson } from "./payload-view.js";
import type { StoredEvent } from "../types.js";
import { OwnStates, PastedStates, type ReducerEvent, type States } from "./reducer.js";
import type { EventRow } from "./source.js";

const EVENTS_MAX = 20_000;
const TOLD_STEP = 1000;
const STATE_TREE_MAX = 2_000_000;

const EXAMPLE = `(state = { events: 0, kinds: {} }, event) => ({
  ...state,
  events: state.events + 1,
  kinds: { ...state.kinds, [event.type]: (state.kinds[event.type] ?? 0) + 1 },
  last: event.payload,
})`;

/** An event that a state comes after, as it is shown. */
type Moment = Pick<EventRow, "id" | "type" | "time">;

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
  readonly #which = h("select", { name: "which" });
  readonly #pasted: HTMLElement;
  #states: States | undefined;
  #moments: Moment[] = [];
  #request = new AbortController();

  constructor(context: Context) {
    this.#context = context;
    this.#source.value = EXAMPLE;
    this.#slider.addEventListener("input", () => void this.#show());
    this.#pasted = h("div", {},
      h("label", {}, h("span", {}, "Reducer: a function of state and event, in JavaScript"), this.#source),
      h("p", {}, h("small", {}, "It runs without a network, and apart from this page.")));
    const own = Object.keys(context.source.projections ?? {});
    this.#which.append(...own.map((name) => h("option", { value: name }, visible(name))), h("option", { value: "" }, "A pasted reducer"));
    this.#which.addEventListener("change", () => this.#choose());
    const form = h("form", { class: "reducer", onsubmit: (event: Event) => { event.preventDefault(); void this.#start(); } },
      own.length > 0 && h("label", { class: "which" }, h("span", {}, "Projection"), this.#which),
      this.#pasted, h("p", { class: "actions" }, this.#run), this.#said);
    this.element = h("section", { class: "view state-view", "aria-label": "State" },
      h("div", { class: "bar" }, this.#scope), h("div", { class: "halves" }, form,
        h("div", {}, h("label", { class: "slider" }, h("span", {}, "Moment"), this.#slider), this.#moment, this.#state)));
  }

  onshow() { this.#choose(); }

  onfilter() { this.#choose(); }

  /** The projection of the page's own that is chosen; none where a reducer is to be pasted. */
  get #projection() {
    return this.#which.value === "" ? undefined : this.#context.source.projections?.[this.#which.value];
  }

  #choose() {
    const { filter } = this.#context;
    const projection = this.#projection;
    this.#pasted.hidden = projection !== undefined;
    this.#scope.textContent = projection?.region ? "Over the events of its own region, whatever the filter says"
      : `Over ${isFiltered(filter) ? filterText(filter) : "all events; filter by an entity to see one stream"}`;
  }

  async #start() {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#states?.close();
    this.#states = undefined;
    this.#slider.disabled = true;
    this.#state.replaceChildren();
    this.#moment.replaceChildren();
    try {
      const { states, isCut } = await this.#read(signal);
      this.#states = states;
      const count = await states.load();
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
  async #read(signal: AbortSignal): Promise<{ states: States; isCut: boolean }> {
    const projection = this.#projection;
    const { source } = this.#context;
    if (projection) {
      const { events, isCut } = await this.#readStored(signal);
      this.#moments = events.map(({ id, type, time }) => ({ id, type: String(type), time }));
      return { states: new OwnStates(projection, events), isCut };
    }
    const { events, isCut } = await this.#readRows(signal);
    this.#moments = events;
    return { states: new PastedStates(this.element, source.reducerUrl, this.#source.value, events.map(eventOf)), isCut };
  }

  async #readStored(signal: AbortSignal): Promise<{ events: StoredEvent[]; isCut: boolean }> {
    const events: StoredEvent[] = [];
    const { source, filter } = this.#context;
    const projection = this.#projection;
    for await (const event of source.stored!(projection?.region ? projection : filter, signal)) {
      if (events.length >= EVENTS_MAX) return { events, isCut: true };
      events.push(event);
      if (events.length % TOLD_STEP === 0) this.#tell(events.length);
    }
    return { events, isCut: false };
  }

  async #readRows(signal: AbortSignal): Promise<{ events: EventRow[]; isCut: boolean }> {
    const events: EventRow[] = [];
    for (let after: number | undefined; ;) {
      const page = await this.#context.source.events({
        filter: this.#context.filter, direction: "forward", limit: 1000, withPayload: true, signal, ...(after === undefined ? {} : { after }),
      });
      signal.throwIfAborted();
      events.push(...page.events);
      this.#tell(events.length);
      if (events.length >= EVENTS_MAX || page.isDone) return { events, isCut: !page.isDone };
      after = page.next;
    }
  }

  #tell(count: number) {
    this.#said.textContent = `${grouped(count)} events read…`;
  }

  async #show() {
    const at = Number(this.#slider.value);
    const event = this.#moments[at - 1];
    this.#slider.setAttribute("aria-valuetext", event ? `after event ${at}, ${event.type}` : "before the first event");
    this.#moment.replaceChildren(...(event
      ? [`after ${grouped(at)} of ${grouped(this.#moments.length)}: `, data(event.type, { max: 80 }), ` at ${timeText(event.time)} `,
        h("button", { type: "button", class: "small", onclick: () => this.#context.openEvent({ id: event.id }) }, "Show it")]
      : ["before the first event"]));
    try {
      const state = await this.#states?.stateAt(at);
      // The slider may have gone on meanwhile.
      if (state === undefined || Number(this.#slider.value) !== at) return;
      this.#state.replaceChildren(state === "undefined" ? "undefined" : state.length > STATE_TREE_MAX ? longText(state) : jsonTree(parseJson(state)));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown) {
    this.#said.replaceChildren(h("span", { class: "error" }, data(messageOf(error))));
  }
}

function eventOf({ payloadText, payloadHex: _hex, preview: _, format: _format, ...row }: EventRow): ReducerEvent {
  let payload: unknown;
  try { payload = payloadText === undefined ? undefined : JSON.parse(payloadText); } catch { /* It says that it is JSON, and is not. */ }
  return { ...row, payload };
}
