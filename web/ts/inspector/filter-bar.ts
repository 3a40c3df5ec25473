// The fields in which a filter is written, and what they mean.

import { h } from "./dom.js";
import { isFiltered } from "./context.js";
import type { Filter } from "./source.js";

const UUID = /^(event:)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
/** How long typing must rest before it filters, in milliseconds. */
const REST = 300;

export interface FilterBar {
  readonly element: HTMLFormElement;
  /** Shows a filter that was set elsewhere. */
  set(filter: Filter): void;
  setKinds(kinds: readonly string[]): void;
  focus(): void;
}

export function filterBar(window: Window, onchange: (filter: Filter) => void): FilterBar {
  const input = (name: string, label: string, attributes: object) => {
    const field = h("input", { name, autocomplete: "off", spellcheck: "false", dir: "auto", ...attributes });
    return { field, element: h("label", {}, h("span", {}, label), field) };
  };
  const kinds = h("datalist", { id: "kinds" });
  const fields = {
    text: input("text", "Payload contains", { type: "search", "aria-keyshortcuts": "/" }),
    entity: input("entity", "Entity", { placeholder: "order:5, =order:5 or ord*", title: "order:5 and all within it; =order:5 alone; ord* whatever begins so" }),
    scope: input("scope", "Scope", {}),
    types: input("types", "Kind", { list: "kinds", title: "A name, or several with commas between" }),
    since: input("since", "From", { type: "datetime-local", step: "0.001" }),
    until: input("until", "To", { type: "datetime-local", step: "0.001" }),
    correlation: input("correlation", "Correlation", { placeholder: "an event’s id" }),
    causation: input("causation", "Caused by", { placeholder: "an event’s id" }),
  };
  const clear = h("button", { type: "reset", class: "small", disabled: true }, "Clear");
  const more = h("button", {
    type: "button", class: "small more", "aria-expanded": "false",
    onclick: () => more.setAttribute("aria-expanded", String(element.classList.toggle("is-open"))),
  }, "More");
  const element: HTMLFormElement = h("form", { class: "filters", role: "search", "aria-label": "Filter of events" },
    ...Object.values(fields).map(({ element }) => element), more, clear, kinds);
  for (const { element } of [fields.correlation, fields.causation]) element.classList.add("rare");
  let timer = 0;
  let known = "{}";
  /** What is set must be in sight, or on a phone, where the fields leave little room, be counted. */
  const tell = (filter: Filter) => {
    clear.disabled = !isFiltered(filter);
    const count = Object.keys(filter).filter((name) => name !== "text").length;
    more.textContent = isNarrow() && count > 0 ? `More (${count} set)` : "More";
  };
  const isNarrow = () => element.clientWidth < 800;
  const apply = () => {
    window.clearTimeout(timer);
    const filter = read(fields);
    if (!filter) return;
    tell(filter);
    const text = JSON.stringify(filter);
    if (text === known) return;
    known = text;
    onchange(filter);
  };
  element.addEventListener("input", () => { window.clearTimeout(timer); timer = window.setTimeout(apply, REST); });
  element.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
  element.addEventListener("reset", () => { window.setTimeout(apply); });
  return {
    element,
    set(filter) {
      known = JSON.stringify(filter);
      const { stream, entity, prefix, types, since, until, correlation, causation } = filter;
      fields.entity.field.value = stream !== undefined ? `=${stream}` : prefix !== undefined ? `${prefix}*` : entity ?? "";
      fields.types.field.value = types?.join(", ") ?? "";
      fields.since.field.value = since === undefined ? "" : local(since);
      fields.until.field.value = until === undefined ? "" : local(until);
      for (const name of ["scope", "correlation", "causation", "text"] as const) fields[name].field.value = filter[name] ?? "";
      tell(filter);
      if (!isNarrow() && (correlation ?? causation) !== undefined) { element.classList.add("is-open"); more.setAttribute("aria-expanded", "true"); }
    },
    setKinds(names) { kinds.replaceChildren(...names.map((value) => h("option", { value }))); },
    focus() { fields.text.field.focus(); fields.text.field.select(); },
  };
}

/** The filter that the fields say; `undefined` where one of them can't be understood. */
function read(fields: Record<"entity" | "scope" | "types" | "since" | "until" | "correlation" | "causation" | "text", { field: HTMLInputElement }>): Filter | undefined {
  const value = (name: keyof typeof fields) => fields[name].field.value.trim();
  const filter: Filter = {};
  const entity = value("entity");
  if (entity.startsWith("=")) filter.stream = entity.slice(1);
  else if (entity.endsWith("*")) filter.prefix = entity.slice(0, -1);
  else if (entity) filter.entity = entity;
  if (value("scope")) filter.scope = value("scope");
  const types = value("types").split(",").map((type) => type.trim()).filter(Boolean);
  if (types.length > 0) filter.types = types;
  let isUnderstood = true;
  for (const name of ["correlation", "causation"] as const) {
    const id = value(name);
    const isId = id === "" || UUID.test(id);
    fields[name].field.setCustomValidity(isId ? "" : "An event’s id is a UUID.");
    fields[name].field.setAttribute("aria-invalid", String(!isId));
    isUnderstood &&= isId;
    if (id && isId) filter[name] = id;
  }
  if (value("since")) filter.since = +new Date(value("since"));
  if (value("until")) filter.until = +new Date(value("until"));
  if (value("text")) filter.text = value("text");
  return isUnderstood ? filter : undefined;
}

/** A time as the field for times has it. */
function local(time: number): string {
  return new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, -1);
}

/** A filter in words. */
export function filterText(filter: Filter): string {
  const { stream, entity, prefix, scope, types, since, until, correlation, causation, text } = filter;
  const time = (ms: number) => new Date(ms).toISOString();
  const parts = [
    stream !== undefined && `the stream ${stream}`, entity !== undefined && `${entity} and all within`, prefix !== undefined && `${prefix}…`,
    scope !== undefined && `in ${scope}`, types && `of ${types.join(" or ")}`, since !== undefined && `from ${time(since)}`,
    until !== undefined && `to ${time(until)}`, correlation !== undefined && `with correlation ${correlation}`,
    causation !== undefined && `caused by ${causation}`, text !== undefined && `with “${text}”`,
  ];
  return parts.filter(Boolean).join(", ") || "all events";
}
