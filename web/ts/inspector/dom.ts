// Elements without HTML: whatever comes from a store becomes text, isolated from the direction of
// what stands around it, with what can't be seen made visible.

export type Child = Node | string | number | undefined | null | false;
type Attributes = Record<string, unknown>;

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== false).map((child) => (typeof child === "number" ? String(child) : child)));
  return element;
}

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function s<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// Controls, marks and overrides of direction, invisible separators, halves of characters.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

/** Text with everything visible that has no sign of its own, as an escape. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The beginning of a text, without half a character at its end. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** A text from the store as an element. */
export function data(text: string | number, { max = 2000, ...attributes }: Attributes & { max?: number } = {}): HTMLElement {
  return h("bdi", attributes, visible(cut(String(text), max)));
}

const NUMBER = new Intl.NumberFormat("en");
export const grouped = (number: number) => NUMBER.format(number);
export const counted = (number: number, one: string, many = `${one}s`) => `${grouped(number)} ${number === 1 ? one : many}`;

export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = bytes;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at++; }
  return `${at === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[at]}`;
}

/** A time of the reader's own zone, to the millisecond. */
export function timeText(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(+date)) return `${time} ms`;
  const two = (number: number, width = 2) => String(number).padStart(width, "0");
  return `${two(date.getFullYear(), 4)}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}

/** A time with its words for machines. */
export function timeElement(time: number): HTMLElement {
  const date = new Date(time);
  return h("time", { datetime: Number.isNaN(+date) ? undefined : date.toISOString() }, timeText(time));
}

/** Gives the reader a file, made here. */
export function save({ document }: Window, name: string, parts: BlobPart[], type: string) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Copies text, and says on the button whether that worked. */
export function copyButton(text: string, label = "Copy"): HTMLButtonElement {
  const button = h("button", {
    type: "button", class: "small", async onclick() {
      const done = await button.ownerDocument.defaultView?.navigator.clipboard?.writeText(text).then(() => true, () => false);
      button.textContent = done ? "Copied" : "The browser refuses";
      setTimeout(() => { button.textContent = label; }, 1500);
    },
  }, label);
  return button;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
