// The events that all engines are given, each from its number alone, and the sum over what they
// answer. As natively: an entity has a hundred events, in one of sixteen scopes; kinds are four.
// Payloads are text that does not compress.

export const STREAM_EVENTS = 100;
export const SCOPES = 16;
export const KINDS = ["order.placed", "order.paid", "order.packed", "order.sent"];
const POOL_LENGTH = 1 << 20;
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,";

/** A number of 32 bits that looks like chance. */
function mix(number) {
  let mixed = Math.imul(number ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x27d4eb2f);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

let pool;
function letters() {
  if (pool) return pool;
  const bytes = new Uint8Array(POOL_LENGTH);
  for (let at = 0; at < POOL_LENGTH; at++) bytes[at] = LETTERS.charCodeAt(mix(at) % LETTERS.length);
  return (pool = new TextDecoder().decode(bytes));
}

const digits = (number, length) => number.toString(16).padStart(length, "0");

/** A UUIDv7 that grows with the number. */
function idOf(number) {
  const time = digits(0x19300000000 + number, 12);
  const low = digits(mix(number), 8);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits(mix(~number) & 0xfff, 3)}-8${low.slice(0, 3)}-${low}${digits(number & 0xffff, 4)}`;
}

/** The names and payloads of so many events; numbers behind the count go on. */
export class Events {
  #letters = letters();
  #entities;
  #payloadLength;

  constructor(count, payloadLength) {
    this.count = count;
    this.#payloadLength = payloadLength;
    const entities = Math.max(1, Math.floor(count / STREAM_EVENTS));
    this.#entities = Array.from({ length: entities }, (_, at) => `order:${String(at).padStart(8, "0")}`);
  }

  at(number) {
    // A prime apart, so that neighbours are of entities that are not.
    const entity = (number * 7919) % this.#entities.length;
    const version = Math.floor(number / this.#entities.length);
    const start = mix(number) % (POOL_LENGTH - this.#payloadLength);
    return {
      id: idOf(number),
      entity: this.#entities[entity],
      scope: scopeAt(entity % SCOPES),
      type: KINDS[version % KINDS.length],
      version,
      payload: this.#letters.slice(start, start + this.#payloadLength),
    };
  }

  range(first, count) {
    return Array.from({ length: count }, (_, at) => this.at(first + at));
  }

  /** So many entities, evenly chosen. */
  sample(count) {
    const step = Math.max(1, Math.floor(this.#entities.length / count));
    return this.#entities.filter((_, at) => at % step === 0).slice(0, count);
  }
}

export const scopeAt = (at) => `tenant-${at}`;

/** A sum over events in their order: equal sums, equal answers. */
export class Sum {
  events = 0;
  #sum = 0;

  #add(value) {
    this.#sum = Math.imul((this.#sum << 5 | this.#sum >>> 27) ^ value, 0x9e3779b1);
  }

  /** Cheap, for what is timed: the version, and the payload's length and last character. */
  glance({ version, payload }) {
    this.events++;
    this.#add(version + payload.length * 256 + payload.charCodeAt(payload.length - 1));
  }

  /** Every character, for what is not timed. */
  whole(event) {
    this.glance(event);
    for (const text of [event.id, event.entity, event.scope, event.type, event.payload]) {
      for (let at = 0; at < text.length; at++) this.#add(text.charCodeAt(at));
    }
  }

  get value() {
    return `${this.events} events, ${(this.#sum >>> 0).toString(16)}`;
  }
}

/** What the projections make. */
export const TOTAL = { initialState: { events: 0, sum: 0 }, evolve: ({ events, sum }, { payload }) => ({ events: events + 1, sum: sum + payload.charCodeAt(0) }) };
