// A payload as a tree that opens where it is opened, and bytes as hex. Long texts and long lists
// are shown from their beginning, and the rest when it is asked for.

import { bytesText, counted, data, grouped, h } from "./dom.js";

const CHILDREN_STEP = 100;
const TEXT_STEP = 2000;
const TEXT_MORE = 20_000;
const OPEN_DEPTH = 2;
const HEX_ROW = 16;
const HEX_STEP = 2048;

/** A number that JavaScript can't hold, as it was written. */
class Written {
  constructor(readonly text: string) {}
}

/** Reads JSON so that no number is shown as another one. */
export function parseJson(text: string): unknown {
  const reviver = (_: string, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && isOther(value, source) ? new Written(source) : value;
  };
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    // A reviver does not reach as deep as the parser itself.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}

/** Whether a number means something else than what was written: `1e2` and `100.0` do not. */
function isOther(value: number, source: string): boolean {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER && source.length <= 16) return false;
  const digits = (text: string) => text.toLowerCase().replace(/^-|\.|e.*$/g, "").replace(/^0+|0+$/g, "");
  return digits(source) !== digits(String(value));
}

/** A value of JSON as a tree. */
export function jsonTree(value: unknown): HTMLElement {
  return h("div", { class: "tree" }, branch(undefined, value, 0));
}

function branch(name: string | undefined, value: unknown, depth: number): HTMLElement {
  const key = name === undefined ? undefined : h("span", { class: "key" }, data(name, { max: 200 }), ": ");
  if (typeof value !== "object" || value === null || value instanceof Written) return h("div", { class: "leaf" }, key, leaf(value));
  const entries = Array.isArray(value) ? value.map((item, at) => [String(at), item] as const) : Object.entries(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return h("div", { class: "leaf" }, key, open + close);
  const children = h("div", { class: "children" });
  let shown = 0;
  const more = h("button", { type: "button", class: "small", onclick: () => grow() });
  const grow = () => {
    for (const [name, item] of entries.slice(shown, shown + CHILDREN_STEP)) children.append(branch(name, item, depth + 1));
    shown = Math.min(shown + CHILDREN_STEP, entries.length);
    if (shown < entries.length) {
      more.textContent = `${counted(entries.length - shown, "more", "more")}…`;
      children.append(more);
    } else more.remove();
  };
  const size = counted(entries.length, Array.isArray(value) ? "item" : "field");
  const details = h("details", { open: depth < OPEN_DEPTH && entries.length <= CHILDREN_STEP, ontoggle: () => { if (details.open && shown === 0) grow(); } },
    h("summary", {}, key, h("span", { class: "size" }, `${open} ${size} ${close}`)), children);
  if (details.open) grow();
  return details;
}

function leaf(value: unknown): HTMLElement {
  if (value instanceof Written) return h("span", { class: "value number" }, longText(value.text));
  if (typeof value !== "string") return h("span", { class: `value ${value === null ? "null" : typeof value}` }, String(value));
  return h("span", { class: "value string" }, "“", longText(value), "”");
}

/** A text from the store that may be of any length. */
export function longText(text: string): HTMLElement {
  const element = h("span", {}, data(text, { max: TEXT_STEP }));
  let shown = TEXT_STEP;
  if (text.length <= shown) return element;
  const more = h("button", {
    type: "button", class: "small", onclick: () => {
      shown += TEXT_MORE;
      element.replaceChildren(data(text, { max: shown }), ...(shown < text.length ? [" ", more] : []));
      tell();
    },
  });
  const tell = () => { more.textContent = `${grouped(text.length - shown)} characters more`; };
  tell();
  element.append(" ", more);
  return element;
}

/** Bytes as hex, with what they are as ASCII beside them. */
export function hexDump(bytes: Uint8Array, { offset = 0, length = bytes.length }: { offset?: number; length?: number } = {}): HTMLElement {
  const text = h("pre", { class: "hex", tabindex: 0, "aria-label": "Bytes as hex" });
  let shown = 0;
  const more = h("button", { type: "button", class: "small", onclick: () => grow() });
  const grow = () => {
    const end = Math.min(shown + HEX_STEP, bytes.length);
    let lines = "";
    for (; shown < end; shown += HEX_ROW) lines += hexLine(bytes.subarray(shown, Math.min(shown + HEX_ROW, end)), offset + shown);
    shown = end;
    text.append(lines);
    if (shown >= bytes.length) more.replaceWith(length > bytes.length ? `${bytesText(length - bytes.length)} more are not shown.` : "");
    else more.textContent = `${bytesText(bytes.length - shown)} more`;
  };
  const element = h("div", {}, text, more);
  grow();
  return element;
}

function hexLine(bytes: Uint8Array, offset: number): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const left = digits.slice(0, 8).join(" ").padEnd(23);
  const right = digits.slice(8).join(" ").padEnd(23);
  const ascii = Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
  return `${offset.toString(16).padStart(8, "0")}  ${left}  ${right}  ${ascii}\n`;
}
