// The packed buffers that cross the border to WebAssembly, and to the tab that leads. The Rust
// side is `src/wire.rs`, `src/request.rs` and `src/answer.rs`: numbers are little-endian, texts
// and bytes are `len u32 | bytes`, an optional value is `0` or `1 | value`.

import { AnnalsError, type ErrorCode } from "./errors.js";
import type { Condition, ExpectedVersion, NewEvent, Receipt, Region, StoredEvent } from "./types.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const I64_MIN = -0x8000_0000_0000_0000n;
const I64_MAX = 0x7fff_ffff_ffff_ffffn;

export class Output {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return at;
  }
  u8(value: number) { const at = this.#room(1); this.#view.setUint8(at, value); }
  u16(value: number) { const at = this.#room(2); this.#view.setUint16(at, value, true); }
  u32(value: number) { const at = this.#room(4); this.#view.setUint32(at, value, true); }
  u64(value: bigint) { const at = this.#room(8); this.#view.setBigUint64(at, value, true); }
  i64(value: bigint) { const at = this.#room(8); this.#view.setBigInt64(at, value, true); }
  raw(bytes: Uint8Array) { const at = this.#room(bytes.length); this.#bytes.set(bytes, at); }
  bytes(bytes: Uint8Array) { this.u32(bytes.length); this.raw(bytes); }
  text(text: string) { this.bytes(encoder.encode(text)); }
  id(id: string) { const at = this.#room(16); putId(id, this.#bytes, at); }
  option<T>(value: T | undefined | null, write: (value: T) => void) {
    this.u8(value == null ? 0 : 1);
    if (value != null) write(value);
  }
  done(): Uint8Array<ArrayBuffer> { return this.#bytes.slice(0, this.#length); }
}

export class Input {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  #take(length: number): number { const at = this.#at; this.#at += length; return at; }
  u8() { return this.#view.getUint8(this.#take(1)); }
  u16() { return this.#view.getUint16(this.#take(2), true); }
  u32() { return this.#view.getUint32(this.#take(4), true); }
  u64() { return this.#view.getBigUint64(this.#take(8), true); }
  i64() { return this.#view.getBigInt64(this.#take(8), true); }
  raw(length: number) { const at = this.#take(length); return this.#bytes.subarray(at, at + length); }
  bytes() { return this.raw(this.u32()); }
  text() { return decoder.decode(this.bytes()); }
  id() { return idText(this.#bytes, this.#take(16)); }
  option<T>(read: () => T): T | undefined { return this.u8() ? read() : undefined; }
}

// Ids.

/** A table over bytes. */
const table = (of: (byte: number) => number) => Uint8Array.from({ length: 256 }, (_, byte) => of(byte));
/** The codes of a byte's two digits. */
const HIGH = table((byte) => (byte >> 4).toString(16).charCodeAt(0));
const LOW = table((byte) => HIGH[(byte & 0xf) << 4]!);
/** The value of a digit by its code, 16 for anything else. */
const VALUES = table((code) => {
  const value = parseInt(String.fromCharCode(code), 16);
  return value >= 0 ? value : 16;
});

/** The digits in one go: putting a text together piece by piece costs several times as much. */
function digits(bytes: Uint8Array, at: number, length: number, dashes = 0): string {
  const codes: number[] = [];
  for (let index = 0; index < length; index++) {
    if (dashes >> index & 1) codes.push(45);
    codes.push(HIGH[bytes[at + index]!]!, LOW[bytes[at + index]!]!);
  }
  return String.fromCharCode.apply(undefined, codes);
}

const hex = (bytes: Uint8Array) => digits(bytes, 0, bytes.length);
/** Dashes stand in front of the bytes 4, 6, 8 and 10. */
const idText = (bytes: Uint8Array, at: number) => digits(bytes, at, 16, 0b101_0101_0000);

/** Writes the 16 bytes of an id. */
function putId(id: string, bytes: Uint8Array, at: number) {
  let count = 0;
  for (let index = id.startsWith("event:") ? 6 : 0; index < id.length; index++) {
    const code = id.charCodeAt(index);
    if (code === 45) continue;
    const value = code < 128 ? VALUES[code]! : 16;
    if (value === 16) count = 32;
    const place = at + (count >> 1);
    if (count++ < 32) bytes[place] = count & 1 ? value << 4 : bytes[place]! | value;
  }
  if (count !== 32) throw invalid(`${JSON.stringify(id)} is no UUID`);
}

/** A new UUIDv7: its ids sort by time, which the store's index likes. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Date.now()) << 16n | BigInt(bytes[6]! & 0xf) << 8n | BigInt(bytes[7]!) | 0x7000n);
  bytes[8] = bytes[8]! & 0x3f | 0x80;
  return idText(bytes, 0);
}

function invalid(message: string): AnnalsError {
  return new AnnalsError("InvalidInput", message);
}

// Requests.

function putKind(out: Output, type: string | number) {
  if (typeof type === "string") { out.u8(1); out.text(type); return; }
  if (!(Number.isInteger(type) && type >= 0 && type <= 0xffff)) throw invalid(`${type} is no kind`);
  out.u8(0);
  out.u16(type);
}

function putExpected(out: Output, expected: ExpectedVersion = "any") {
  const tag = { any: 0, noStream: 1, streamExists: 2 }[expected as string];
  if (tag !== undefined) return out.u8(tag);
  if (!Number.isSafeInteger(expected) || (expected as number) < 0) throw invalid(`${expected} is no expected version`);
  out.u8(3);
  out.u64(BigInt(expected));
}

function putRange(out: Output, range: { from?: bigint | number; to?: bigint | number } | undefined) {
  out.option(range, ({ from, to }) => { out.u64(BigInt(from ?? 0)); out.u64(to === undefined ? U64_MAX : BigInt(to)); });
}

function micros(time: Date | number): bigint {
  return BigInt(Math.round(+time * 1000));
}

export function putRegion(out: Output, region: Region) {
  const { entity, stream, prefix, type, category, times } = region;
  const name = entity ?? stream ?? prefix;
  out.u8(entity !== undefined ? 1 : stream !== undefined ? 2 : prefix !== undefined ? 3 : 0);
  if (name !== undefined) out.text(name);
  out.option(region.scope, (scope) => out.text(scope));
  if (type !== undefined) {
    const types = Array.isArray(type) ? type : [type];
    out.u8(1);
    out.u32(types.length);
    for (const kind of types) putKind(out, kind);
  } else if (category !== undefined) {
    out.u8(2);
    out.u8(category);
  } else {
    out.u8(0);
  }
  putRange(out, region.versions);
  putRange(out, region.sequences);
  out.option(times, ({ from, to }) => {
    out.i64(from === undefined ? I64_MIN : micros(from));
    out.i64(to === undefined ? I64_MAX : micros(to));
  });
  out.option(region.correlation, (id) => out.id(id));
  out.option(region.causation, (id) => out.id(id));
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

function putEvent(out: Output, event: NewEvent, id: string) {
  out.text(event.entity);
  out.text(event.scope);
  putKind(out, event.type);
  const { payload, metadata } = event;
  const isRaw = payload instanceof Uint8Array;
  out.u8(isRaw ? 3 : 2);
  out.u16(event.payloadVersion ?? 1);
  if (isRaw) out.bytes(payload); else out.text(payload === undefined ? "null" : json("payload", payload));
  out.option(id, (id) => out.id(id));
  out.option(event.correlation, (id) => out.id(id));
  out.option(event.causation, (id) => out.id(id));
  out.option(metadata, (data) => data instanceof Uint8Array ? out.bytes(data) : out.text(json("metadata", data)));
  out.u16(event.flags ?? 0);
  out.option(event.position, ({ lane, depth }) => { out.u32(lane); out.u32(depth); });
  putExpected(out, event.expectedVersion);
  out.u8(0);
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

export function getRequest(id: string): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(2);
  out.id(id);
  return out.done();
}

export interface PageRequest {
  region: Region;
  isBackward: boolean;
  after: bigint | undefined;
  end: bigint | undefined;
  eventsMax: number;
  withChain: boolean;
}

const PAGE_BYTES_MAX = 1 << 20;

export function queryRequest(page: PageRequest): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(3);
  putRegion(out, page.region);
  out.u8(+page.isBackward);
  out.option(page.after, (after) => out.u64(after));
  out.option(page.end, (end) => out.u64(end));
  out.u32(page.eventsMax);
  out.u32(PAGE_BYTES_MAX);
  out.u8(+page.withChain);
  return out.done();
}

export function headRequest(entity: string): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(4);
  out.text(entity);
  return out.done();
}

/** How a request for a slice of long work begins; the rest is in `keep.ts`. */
export const JOB = 7;
export const SYNC_REQUEST = Uint8Array.of(6);

// Answers.

/** Throws the failure that an answer carries, or gives what it holds. */
export function open(answer: Uint8Array): Input {
  const input = new Input(answer);
  if (input.u8() === 0) return input;
  const code = input.text() as ErrorCode;
  const message = input.text();
  const fields: Record<string, unknown> = {};
  for (let left = input.u32(); left > 0; left--) {
    const name = input.text();
    const tag = input.u8();
    fields[name] = tag === 2 ? input.text() : tag === 1 ? input.u64() : Number(input.u64());
  }
  throw new AnnalsError(code, message, fields);
}

/** An answer that `open` throws as this error. */
export function failureBytes({ code, message }: AnnalsError): Uint8Array<ArrayBuffer> {
  const out = new Output();
  out.u8(1);
  out.text(code);
  out.text(message);
  out.u32(0);
  return out.done();
}

/** The failure that was thrown as bytes, or what else was thrown. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Uint8Array)) return thrown;
  try { open(thrown); return thrown; } catch (error) { return error; }
}

export function readReceipts(input: Input): Receipt[] {
  return Array.from({ length: input.u32() }, () => {
    const receipt = {
      id: input.id(), sequence: input.u64(), version: Number(input.u64()), hash: hex(input.raw(32)),
      time: Number(input.i64()) / 1000, durable: false,
    };
    input.raw(12);
    receipt.durable = input.u8() === 1;
    return receipt;
  });
}

const FORMATS = [, "postcard", "json", "raw"] as const;

function readMetadata(bytes: Uint8Array): Record<string, unknown> | Uint8Array {
  if (bytes[0] === 0x7b) {
    try { return JSON.parse(decoder.decode(bytes)); } catch { /* bytes that begin like an object */ }
  }
  return bytes.slice();
}

/** The value of a payload. One that says that it is JSON, and is not, must not keep others from being read. */
function readPayload(bytes: Uint8Array, format: StoredEvent["payloadFormat"]): unknown {
  if (format === "json") {
    try { return JSON.parse(decoder.decode(bytes)); } catch { /* as it is, then */ }
  }
  return bytes.slice();
}

function readEvent(input: Input, names: Map<number, string>): StoredEvent {
  const sequence = input.u64();
  const version = Number(input.u64());
  const id = input.id();
  const correlation = input.id();
  const causation = input.option(() => input.id());
  const time = Number(input.i64()) / 1000;
  input.raw(12);
  const position = { lane: input.u32(), depth: input.u32() };
  const kind = input.u16();
  const flags = input.u16();
  const entity = input.text();
  const scope = input.text();
  const admission = input.option(() => input.u8() === 0
    ? { gates: Array.from({ length: input.u32() }, () => input.text()) }
    : { reason: input.text(), justification: input.text() });
  const metadata = input.option(() => readMetadata(input.bytes()));
  const payloadFormat = FORMATS[input.u8()]!;
  const payloadVersion = input.u16();
  const bytes = input.option(() => input.bytes());
  const event: StoredEvent = {
    id, entity, scope, type: names.get(kind) ?? kind, kind, sequence, version, time,
    payload: bytes && readPayload(bytes, payloadFormat),
    payloadFormat, payloadVersion, correlation, flags, position,
  };
  const erased = input.option(() => hex(input.raw(32)));
  const chain = input.option(() => ({ previousHash: hex(input.raw(32)), hash: hex(input.raw(32)) }));
  if (erased) event.erased = erased;
  if (chain) event.chain = chain;
  if (causation) event.causation = causation;
  if (metadata) event.metadata = metadata;
  if (admission) event.admission = admission;
  return event;
}

function readEvents(input: Input): StoredEvent[] {
  const names = new Map<number, string>();
  for (let left = input.u32(); left > 0; left--) names.set(input.u16(), input.text());
  return Array.from({ length: input.u32() }, () => readEvent(input, names));
}

/** The event, or none: that an id is unknown is no failure. */
export function readEventAnswer(answer: Uint8Array): StoredEvent | undefined {
  try {
    return readEvents(open(answer))[0];
  } catch (error) {
    if (error instanceof AnnalsError && error.code === "NotFound") return undefined;
    throw error;
  }
}

export interface Page { isDone: boolean; end: bigint; events: StoredEvent[] }

export function readPage(answer: Uint8Array): Page {
  const input = open(answer);
  return { isDone: input.u8() === 1, end: input.u64(), events: readEvents(input) };
}

export function readHead(answer: Uint8Array): number | undefined {
  const input = open(answer);
  return input.option(() => Number(input.u64()));
}

export function check(answer: Uint8Array) {
  open(answer);
}
