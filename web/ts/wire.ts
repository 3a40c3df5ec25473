// The packed buffers that cross the border to WebAssembly, and to the tab that leads. The Rust
// side is `src/wire.rs`, `src/request.rs` and `src/answer.rs`: numbers are little-endian, bytes
// are `len u32 | bytes`, an optional value is `0` or `1 | value`. To encode or decode a text costs
// more than a hundred of its characters do, so the texts of a request stand together at its end,
// and those of a page of events at its beginning.

import { AnnalsError, type ErrorCode } from "./errors.js";
import type { Condition, ExpectedVersion, NewEvent, QueryOptions, Receipt, Region, StoredEvent } from "./types.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const U32_END = 2 ** 32;
/** What a buffer may hold to be kept for the next request. */
const SPARE_MAX = 1 << 20;

/** The buffer of the last request, unless one is being written just now. */
let spare: Uint8Array<ArrayBuffer> | undefined;

/** A request. */
export class Output {
  #bytes = spare ?? new Uint8Array(1024);
  #length = 0;
  #texts = "";

  constructor() { spare = undefined; }
  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(this.#length * 2);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
    }
    return at;
  }
  /** A number in so many bytes; what does not fit must not become another. */
  #whole(value: number, size: number, max: number) {
    if (!(Number.isInteger(value) && value >= 0 && value <= max)) throw no(value, "whole number up to " + max);
    for (let at = this.#room(size); size--; value /= 256) this.#bytes[at++] = value;
  }
  #view() { const at = this.#room(8); return new DataView(this.#bytes.buffer, at); }
  u8(value: number) { this.#whole(value, 1, 0xff); }
  u16(value: number) { this.#whole(value, 2, 0xffff); }
  u32(value: number) { this.#whole(value, 4, U32_END - 1); }
  u64(value: bigint | number) {
    if (typeof value !== "bigint") return this.#whole(value, 8, Number.MAX_SAFE_INTEGER);
    if (value < 0 || value > U64_MAX) throw no(value, "whole number up to " + U64_MAX);
    this.#view().setBigUint64(0, value, true);
  }
  time(time: Date | number) {
    const us = Math.round(+(time ?? NaN) * 1000);
    if (isNaN(us)) throw no(time, "time");
    this.#view().setFloat64(0, us, true);
  }
  raw(bytes: Uint8Array) { const at = this.#room(bytes.length); this.#bytes.set(bytes, at); }
  bytes(bytes: Uint8Array) { this.u32(bytes.length); this.raw(bytes); }
  /** Its length in UTF-16; something ends it, so that halves of characters do not meet. */
  text(text: string) {
    if (typeof text !== "string") throw no(text, "string");
    this.u32(text.length);
    this.#texts += text + "\0";
  }
  id(id: string) { const at = this.#room(16); putId(id, this.#bytes, at); }
  ids(...ids: (string | undefined)[]) { for (const id of ids) this.option(id, (id) => this.id(id)); }
  option<T>(value: T | undefined, write: (value: T) => void) {
    this.u8(+(value !== undefined));
    if (value !== undefined) write(value);
  }
  /** The numbers, the texts, and how long the texts are. */
  done(): Uint8Array<ArrayBuffer> {
    const end = this.#length;
    if (this.#texts) this.raw(encoder.encode(this.#texts));
    this.u32(this.#length - end);
    if (this.#bytes.length <= SPARE_MAX) spare = this.#bytes;
    return this.#bytes.slice(0, this.#length);
  }
}

/** An answer. */
export class Input {
  readonly whole: Uint8Array;
  readonly view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.whole = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  /** Passes over so many bytes, and tells where they are. */
  take(length: number): number { const at = this.#at; this.#at += length; return at; }
  u8() { return this.whole[this.take(1)]!; }
  u32() { return this.view.getUint32(this.take(4), true); }
  u64() { return this.view.getBigUint64(this.take(8), true); }
  /** One of 64 bits that a number holds exactly. */
  number() { return numberAt(this.view, this.take(8)); }
  raw(length: number) { const at = this.take(length); return this.whole.subarray(at, at + length); }
  bytes() { return this.raw(this.u32()); }
  text() { return decoder.decode(this.bytes()); }
  id() { return idText(this.whole, this.take(16)); }
  hash() { return digits(HASH, this.whole, this.take(32)); }
}

const numberAt = (view: DataView, at: number) => view.getUint32(at, true) + view.getInt32(at + 4, true) * U32_END;

// Ids.

const DIGITS = "0123456789abcdef";
/** The codes of a text, but for its digits. */
const UUID = Array<number>(36).fill(45);
const HASH = Array<number>(64).fill(0);
/** The places of the dashes, one bit each. */
const DASHES = 1 << 8 | 1 << 13 | 1 << 18 | 1 << 23;
/** The digits in one go: putting a text together piece by piece costs several times as much. */
function digits(codes: number[], bytes: Uint8Array, at: number, dashes = 0): string {
  for (let place = 0; place < codes.length; at++) {
    codes[place++] = DIGITS.charCodeAt(bytes[at]! >> 4);
    codes[place++] = DIGITS.charCodeAt(bytes[at]! & 15);
    if (dashes >> place & 1) place++;
  }
  return String.fromCharCode.apply(undefined, codes);
}

const idText = (bytes: Uint8Array, at: number) => digits(UUID, bytes, at, DASHES);

/** Writes the 16 bytes of an id. */
function putId(given: string, bytes: Uint8Array, at: number) {
  const id = `${given}`;
  let count = 0;
  for (let index = id.startsWith("event:") ? 6 : 0; index < id.length; index++) {
    const code = id.charCodeAt(index);
    if (code === 45) continue;
    const isLetter = code > 57;
    const value = isLetter ? (code | 32) - 87 : code - 48;
    if (value < (isLetter ? 10 : 0) || value > 15) count = 32;
    const place = at + (count >> 1);
    if (count++ < 32) bytes[place] = count & 1 ? value << 4 : bytes[place]! | value;
  }
  if (count !== 32) throw no(JSON.stringify(id), "UUID");
}

/** A new UUIDv7: its ids sort by time, which the store's index likes. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  for (let at = 0; at < 6; at++) bytes[at] = now / 256 ** (5 - at);
  bytes[6] = bytes[6]! & 0xf | 0x70;
  bytes[8] = bytes[8]! & 0x3f | 0x80;
  return idText(bytes, 0);
}

function invalid(message: string): AnnalsError {
  return new AnnalsError("InvalidInput", message);
}

const no = (given: unknown, what: string) => invalid(`${given} is no ${what}`);

// Requests.

function putKind(out: Output, type: string | number) {
  out.u8(+(typeof type === "string"));
  if (typeof type === "string") out.text(type); else out.u16(type);
}

function putExpected(out: Output, expected: ExpectedVersion = "any") {
  const tag = ["any", "noStream", "streamExists"].indexOf(expected as string);
  if (tag >= 0) return out.u8(tag);
  out.u8(3);
  out.u64(expected as number);
}

function putRange(out: Output, range: { from?: bigint | number; to?: bigint | number } | undefined) {
  out.option(range, ({ from = 0, to = U64_MAX }) => { out.u64(from); out.u64(to); });
}

/** A filter that is passed over gives events that nobody asked for: so null is none, and neither is a strange name. */
export function putRegion(out: Output, region: Region) {
  const { entity, stream, prefix, scope, type, category, versions, sequences, times, correlation, causation, ...others } = region;
  for (const name in others) throw no(name, "filter");
  for (const name of [entity, stream, prefix, scope]) out.option(name, (name) => out.text(name));
  out.option(type, (type) => {
    const types = Array.isArray(type) ? type : [type];
    out.u32(types.length);
    for (const kind of types) putKind(out, kind);
  });
  out.option(category, (category) => out.u8(category));
  putRange(out, versions);
  putRange(out, sequences);
  out.option(times, ({ from = -Infinity, to = Infinity }) => { out.time(from); out.time(to); });
  out.ids(correlation, causation);
}

function putCondition(out: Output, condition: Condition) {
  putRegion(out, condition.region);
  out.option(condition.after, (after) => out.u64(after));
}

function json(what: string, value: unknown): string {
  let text: string | undefined;
  let why = `it is a ${typeof value}`;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  if (text === undefined) throw invalid(`the ${what} is nothing that JSON can hold (${why}): give plain data, or a Uint8Array`);
  return text;
}

/** Bytes as they are, all else as JSON. */
function putContent(out: Output, what: string, value: unknown) {
  const isRaw = value instanceof Uint8Array;
  if (!isRaw && (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)) throw invalid(`the ${what} is no Uint8Array`);
  out.u8(isRaw ? 3 : 2);
  if (isRaw) out.bytes(value); else out.text(json(what, value));
}

function putEvent(out: Output, event: NewEvent, id: string) {
  const { payload, metadata } = event;
  out.text(event.entity);
  out.text(event.scope);
  putKind(out, event.type);
  out.u16(event.payloadVersion ?? 1);
  putContent(out, "payload", payload ?? null);
  out.id(id);
  out.ids(event.correlation, event.causation);
  out.option(metadata ?? undefined, (data) => putContent(out, "metadata", data));
  out.u16(event.flags ?? 0);
  out.option(event.position ?? undefined, ({ lane, depth }) => { out.u32(lane); out.u32(depth); });
  putExpected(out, event.expectedVersion);
  out.option(event.causedBy, (item) => out.u32(item));
}

/** An append as bytes. Every event gets an id, so that asking twice appends once. */
export function appendRequest(events: readonly NewEvent[], condition?: Condition): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.option(condition, (condition) => putCondition(out, condition));
  out.u32(events.length);
  for (const event of events) putEvent(out, event, event.id ?? newId());
  return out.done();
}

/** Several appends as one group. */
export function groupRequest(requests: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u32(requests.length);
  for (const request of requests) out.bytes(request);
  return out.done();
}

/** The answers of a group, each with a buffer of its own. */
export function groupAnswers(answer: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const input = new Input(answer);
  const answers: Uint8Array<ArrayBuffer>[] = [];
  if (input.u8() !== 0) return answers;
  for (let at = 1; at < answer.length; at += 4 + answers.at(-1)!.length) answers.push(input.bytes().slice());
  return answers;
}

/** A request of a kind, with what is written behind that. */
export function request(code: number, write: (out: Output) => void = () => {}): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(code);
  write(out);
  return out.done();
}

export const getRequest = (id: string) => request(2, (out) => out.id(id));
export const headRequest = (entity: string) => request(4, (out) => out.text(entity));

/** A page of at most so many events, behind one that was seen, of the moment of the first page. */
export function queryRequest(
  region: Region,
  { direction, withChain }: QueryOptions,
  after: bigint | undefined,
  end: bigint | undefined,
  eventsMax: number,
): Uint8Array<ArrayBuffer> {
  return request(3, (out) => {
    putRegion(out, region);
    out.u8(+(direction === "backward"));
    for (const border of [after, end]) out.option(border, (border) => out.u64(border));
    out.u32(eventsMax);
    out.u8(+!!withChain);
  });
}

/** How a request for a slice of long work begins; the rest is in `keep.ts`. */
export const JOB = 7;
export const SYNC_REQUEST = request(6);

// Answers.

/** Throws the failure that an answer carries, or gives what it holds. */
export function open(answer: Uint8Array): Input {
  const input = new Input(answer);
  if (input.u8() === 0) return input;
  const [code, message, fields] = JSON.parse(input.text()) as [ErrorCode, string, Record<string, unknown>?];
  if (fields?.sequence !== undefined) fields.sequence = BigInt(fields.sequence as number);
  throw new AnnalsError(code, message, fields);
}

/** An answer that `open` throws as this error. */
export function failureBytes({ code, message }: AnnalsError): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(1);
  out.bytes(encoder.encode(JSON.stringify([code, message])));
  return out.done();
}

/** The failure that was thrown as bytes, or what else was thrown. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Uint8Array)) return thrown;
  try { open(thrown); return thrown; } catch (error) { return error; }
}

export function readReceipts(input: Input): Receipt[] {
  return Array.from({ length: input.u32() }, () => ({
    id: input.id(), sequence: input.u64(), version: input.number(), hash: input.hash(),
    time: input.number() / 1000, durable: input.u8() === 1,
  }));
}

const FORMATS = [, "postcard", "json", "raw"] as const;

/** What of an event's parts there is, as `src/answer.rs` says it. */
const enum Has { Name = 1, Correlation = 2, Causation = 4, Admission = 8, Metadata = 16, Payload = 32, Erased = 64, Chain = 128 }

/** The value of JSON. What says that it is, and is not, must not keep others from being read. */
function valueOf(content: string | Uint8Array, isJson: boolean): unknown {
  const isText = typeof content === "string";
  try {
    if (isJson) return JSON.parse(isText ? content : decoder.decode(content));
  } catch { /* as it is, then */ }
  return isText ? encoder.encode(content) : content.slice();
}

function readEvents(input: Input): StoredEvent[] {
  const count = input.u32();
  const texts = input.text();
  let place = input.u32();
  // Parsed, for a piece of a text would keep all of it in memory.
  const [kinds, ...names] = JSON.parse(texts.slice(0, place)) as [[number, string][], ...string[]];
  const types = new Map(kinds);
  let name = -2;
  const { view } = input;
  /** A piece of the texts or bytes: which one, the lowest bit says. */
  const content = () => {
    const length = input.u32();
    return length & 1 ? texts.slice(place, place += length >>> 1) : input.raw(length >>> 1);
  };
  return Array.from({ length: count }, () => {
    const at = input.take(56);
    const has = view.getUint8(at + 55);
    const id = idText(input.whole, at + 16);
    const kind = view.getUint16(at + 48, true);
    const payloadFormat = FORMATS[view.getUint8(at + 54)]!;
    if (has & Has.Name) name += 2;
    const event: StoredEvent = {
      id, entity: names[name]!, scope: names[name + 1]!, type: types.get(kind) ?? kind, kind,
      sequence: view.getBigUint64(at, true), version: numberAt(view, at + 8), time: numberAt(view, at + 32) / 1000,
      payload: undefined, payloadFormat, payloadVersion: view.getUint16(at + 52, true),
      correlation: has & Has.Correlation ? input.id() : id, flags: view.getUint16(at + 50, true),
      position: { lane: view.getUint32(at + 40, true), depth: view.getUint32(at + 44, true) },
    };
    if (has & Has.Causation) event.causation = input.id();
    if (has & Has.Admission) event.admission = valueOf(content(), true) as NonNullable<StoredEvent["admission"]>;
    if (has & Has.Metadata) {
      const metadata = content();
      event.metadata = valueOf(metadata, typeof metadata === "string") as Record<string, unknown> | Uint8Array;
    }
    if (has & Has.Payload) event.payload = valueOf(content(), payloadFormat === "json");
    if (has & Has.Erased) event.erased = input.hash();
    if (has & Has.Chain) event.chain = { previousHash: input.hash(), hash: input.hash() };
    return event;
  });
}

/** The event, or none: that an id is unknown is no failure. */
export const readEventAnswer = (answer: Uint8Array): StoredEvent | undefined => readEvents(open(answer))[0];

export interface Page { isDone: boolean; end: bigint; events: StoredEvent[] }

export function readPage(answer: Uint8Array): Page {
  const input = open(answer);
  return { isDone: input.u8() === 1, end: input.u64(), events: readEvents(input) };
}

export function readHead(answer: Uint8Array): number | undefined {
  const input = open(answer);
  return input.u8() ? input.number() : undefined;
}
