// Causes and effects as a picture, laid out by dagre: panned, zoomed, walked through by keys.

import dagre from "@dagrejs/dagre";
import type { Context, View } from "./context.js";
import { counted, cut, grouped, h, isAbort, messageOf, s, save, timeText, visible } from "./dom.js";
import type { EventRow } from "./source.js";

const EVENTS_MAX = 300;
const NODE = { width: 236, height: 58 };
const LABEL_CHARS = 27;
const PAN_STEP = 60;
const ZOOM_STEP = 1.25;

export class GraphView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #said = h("p", { class: "count", role: "status" }, "Choose an event to see why it happened and what it led to.");
  readonly #which = h("input", { name: "event", placeholder: "# or id", autocomplete: "off", size: 14 });
  readonly #of = h("select", { name: "of" }, h("option", { value: "causes" }, "Causes and effects"), h("option", { value: "correlation" }, "All it belongs to"));
  readonly #canvas = h("div", { class: "canvas" });
  readonly #save = h("button", { type: "button", class: "small", disabled: true, onclick: () => this.#export() }, "Save as SVG");
  #svg: SVGSVGElement | undefined;
  #size = { width: 1, height: 1 };
  #view = { x: 0, y: 0, zoom: 1 };
  #event: Pick<EventRow, "id" | "sequence"> | undefined;
  #request = new AbortController();
  #isLater = false;

  constructor(context: Context) {
    this.#context = context;
    const zoom = (words: string, label: string, by: number) => h("button", { type: "button", class: "small", "aria-label": label, onclick: () => this.#zoom(by) }, words);
    this.#of.addEventListener("change", () => this.#event && void this.open(this.#event));
    this.element = h("section", { class: "view graph-view", "aria-label": "Graph" },
      h("div", { class: "bar" }, this.#said, h("span", { class: "space" }),
        h("form", { onsubmit: (event: Event) => { event.preventDefault(); void this.#ask(this.#which.value.trim()); } },
          h("label", {}, h("span", {}, "Event"), this.#which)),
        h("label", {}, h("span", {}, "Show"), this.#of), zoom("−", "Zoom out", 1 / ZOOM_STEP), zoom("+", "Zoom in", ZOOM_STEP),
        h("button", { type: "button", class: "small", onclick: () => this.#fit() }, "Fit"), this.#save),
      this.#canvas);
    this.#canvas.addEventListener("wheel", (event) => {
      if (!this.#svg) return;
      event.preventDefault();
      const box = this.#canvas.getBoundingClientRect();
      this.#zoom(Math.exp(-event.deltaY / 400), { x: event.clientX - box.left, y: event.clientY - box.top });
    }, { passive: false });
    this.#canvas.addEventListener("pointerdown", (event) => this.#drag(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  onshow() {
    const { beside } = this.#context;
    if (beside && beside.id !== this.#event?.id) void this.open(beside);
    else if (this.#isLater) this.#fit();
  }

  async open(event: Pick<EventRow, "id" | "sequence">) {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#event = event;
    this.#which.value = `#${event.sequence}`;
    this.#said.textContent = "…";
    try {
      const { events, isCut } = await this.#context.source.graph(event.id, this.#of.value as "causes", EVENTS_MAX, signal);
      if (signal.aborted) return;
      this.#draw(events, event.id);
      this.#said.textContent = `${counted(events.length, "event")}${isCut ? ", cut there: there are more" : ""}`;
    } catch (error) {
      if (!isAbort(error)) this.#said.textContent = messageOf(error);
    }
  }

  async #ask(text: string) {
    const sequence = Number(text.replace(/[#,\s]/g, ""));
    try {
      const event = await this.#context.source.event(text !== "" && Number.isSafeInteger(sequence) ? { sequence } : { id: text });
      if (!event) throw new Error(`There is no event ${text}.`);
      await this.open(event);
    } catch (error) {
      this.#said.textContent = messageOf(error);
    }
  }

  #draw(events: EventRow[], chosen: string) {
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "TB", nodesep: 24, ranksep: 44, marginx: 24, marginy: 24 });
    graph.setDefaultEdgeLabel(() => ({}));
    const known = new Set(events.map(({ id }) => id));
    for (const { id } of events) graph.setNode(id, { ...NODE });
    for (const { id, causation } of events) if (causation && causation !== id && known.has(causation)) graph.setEdge(causation, id);
    dagre.layout(graph);
    const arrow = s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" }, s("path", { d: "M0,0L8,4L0,8z", class: "head" }));
    const edges = graph.edges().map((edge: Parameters<typeof graph.edge>[0]) => {
      const points = graph.edge(edge).points as { x: number; y: number }[];
      return s("path", { class: "edge", d: curve(points), "marker-end": "url(#arrow)" });
    });
    const nodes = events.map((event) => {
      const { x, y } = graph.node(event.id) as unknown as { x: number; y: number };
      return this.#node(event, x, y, event.id === chosen);
    });
    const { width = 1, height = 1 } = graph.graph() as { width?: number; height?: number };
    this.#size = { width, height };
    this.#svg = s("svg", { role: "group", "aria-label": "Events and what caused them" }, s("defs", {}, arrow), s("g", { class: "edges" }, ...edges), s("g", { class: "nodes" }, ...nodes));
    this.#canvas.replaceChildren(this.#svg);
    this.#save.disabled = false;
    this.#fit();
  }

  #node(event: EventRow, x: number, y: number, isChosen: boolean): SVGGElement {
    const words = [event.type, event.entity, `#${grouped(event.sequence)}  ${timeText(event.time).slice(0, 19)}`].map((text) => visible(cut(text, LABEL_CHARS)));
    const line = (at: number, y: number, name: string) => s("text", { x: 12, y, class: name }, `${words[at]} `);
    const open = () => this.#context.openEvent({ id: event.id });
    const group = s("g", {
      class: `node${isChosen ? " is-chosen" : ""}`, transform: `translate(${x - NODE.width / 2},${y - NODE.height / 2})`, tabindex: 0, role: "button",
      "aria-label": words.join(" "), "data-id": event.id,
      onclick: open, onkeydown: (key: KeyboardEvent) => { if (key.key === "Enter" || key.key === " ") { key.preventDefault(); open(); } },
    },
    s("rect", { ...NODE, rx: 8 }), line(0, 22, "name"), line(1, 38, "entity"), line(2, 52, "when"));
    return group;
  }

  #fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#isLater = clientWidth === 0;
    if (this.#isLater) return;
    const { width, height } = this.#size;
    const zoom = Math.min(1, clientWidth / width, clientHeight / height);
    // A graph that would be too small to read begins at the event that was asked for.
    if (zoom < 0.5) return this.#centre(0.8);
    this.#view = { zoom, x: (clientWidth - width * zoom) / 2, y: Math.max(0, (clientHeight - height * zoom) / 2) };
    this.#place();
  }

  #centre(zoom: number) {
    const chosen = this.#svg?.querySelector(".is-chosen")?.getAttribute("transform");
    const [x = 0, y = 0] = (chosen?.match(/-?[\d.]+/g) ?? []).map(Number);
    const { clientWidth, clientHeight } = this.#canvas;
    this.#view = { zoom, x: clientWidth / 2 - (x + NODE.width / 2) * zoom, y: clientHeight / 2 - (y + NODE.height / 2) * zoom };
    this.#place();
  }

  #zoom(by: number, at = { x: this.#canvas.clientWidth / 2, y: this.#canvas.clientHeight / 2 }) {
    const zoom = Math.max(0.05, Math.min(4, this.#view.zoom * by));
    const share = zoom / this.#view.zoom;
    this.#view = { zoom, x: at.x - (at.x - this.#view.x) * share, y: at.y - (at.y - this.#view.y) * share };
    this.#place();
  }

  #place() {
    const { x, y, zoom } = this.#view;
    const { clientWidth, clientHeight } = this.#canvas;
    this.#svg?.setAttribute("viewBox", `${-x / zoom} ${-y / zoom} ${clientWidth / zoom} ${clientHeight / zoom}`);
  }

  #drag(start: PointerEvent) {
    if (!this.#svg || start.button !== 0) return;
    const from = { ...this.#view };
    let hasMoved = false;
    const move = (event: PointerEvent) => {
      const [x, y] = [event.clientX - start.clientX, event.clientY - start.clientY];
      if (!hasMoved && Math.hypot(x, y) > 4) {
        hasMoved = true;
        this.#canvas.setPointerCapture(start.pointerId);
      }
      if (!hasMoved) return;
      this.#view = { ...from, x: from.x + x, y: from.y + y };
      this.#place();
    };
    const end = () => {
      this.#canvas.removeEventListener("pointermove", move);
      this.#canvas.removeEventListener("pointerup", end);
      this.#canvas.removeEventListener("pointercancel", end);
    };
    this.#canvas.addEventListener("pointermove", move);
    this.#canvas.addEventListener("pointerup", end);
    this.#canvas.addEventListener("pointercancel", end);
  }

  #key(event: KeyboardEvent) {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
    const pans: Record<string, [number, number]> = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const pan = pans[event.key];
    if (pan) { this.#view.x += pan[0] * PAN_STEP; this.#view.y += pan[1] * PAN_STEP; this.#place(); }
    else if (event.key === "+" || event.key === "=") this.#zoom(ZOOM_STEP);
    else if (event.key === "-") this.#zoom(1 / ZOOM_STEP);
    else if (event.key === "0") this.#fit();
    else return;
    event.preventDefault();
  }

  /** The whole picture, with its colours, as a file of its own. */
  #export() {
    if (!this.#svg) return;
    const picture = this.#svg.cloneNode(true) as SVGSVGElement;
    const { width, height } = this.#size;
    const own = this.#svg.querySelectorAll("*");
    picture.querySelectorAll("*").forEach((element, at) => {
      const style = getComputedStyle(own[at]!);
      for (const name of ["fill", "stroke", "stroke-width", "font-size", "font-weight", "font-family"]) element.setAttribute(name, style.getPropertyValue(name));
      for (const name of ["class", "tabindex", "role"]) element.removeAttribute(name);
    });
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height })) picture.setAttribute(name, String(value));
    picture.prepend(s("rect", { width: "100%", height: "100%", fill: getComputedStyle(this.#canvas).backgroundColor }));
    save(this.#context.window, `events-${this.#event?.sequence ?? ""}.svg`, [new XMLSerializer().serializeToString(picture)], "image/svg+xml");
  }
}

function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  const last = rest.at(-1)!;
  if (rest.length < 2) return `M${first!.x},${first!.y}L${last.x},${last.y}`;
  const middle = rest.slice(0, -1).map((point, at) => {
    const next = rest[at + 1]!;
    const end = at === rest.length - 2 ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${point.x},${point.y} ${end.x},${end.y}`;
  });
  return `M${first!.x},${first!.y}${middle.join("")}`;
}
