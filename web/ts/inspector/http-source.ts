// The store behind `annals inspect`. The token of the address is exchanged once for the secret of
// this session, which is kept for reloads and goes with the tab.

import type {
  EventDetail, EventRow, EventsPage, EventsRequest, Filter, InspectorSource, InspectorStats, RatesPage, RatesRequest, SegmentRow,
  StreamRow, VerifyState,
} from "./source.js";

const KEY = "annals-inspect-session";

type Wire<T extends EventRow> = Omit<T, "time"> & { timestampUs: number };
type WireDetail = Wire<EventRow> & {
  time: string; payloadVersion: number; isErased: boolean; flags: number; position: string; admission?: string;
  metadataHex?: string; contentHash: string; payloadStartHex?: string;
  record: { file: string; offset: number; bytes: number; hex: string };
};
type WireVerify = Omit<VerifyState, "counted" | "faults" | "isComplete"> & {
  report?: Record<string, unknown> & { complete: boolean; faults: NonNullable<VerifyState["faults"]>; meta_damage: string[] };
};

/** Opens the session of the address that this page was opened with. */
export async function openHttpSource(): Promise<InspectorSource> {
  const token = /^#token=([0-9a-f]+)$/.exec(location.hash)?.[1];
  let session = sessionStorage.getItem(KEY) ?? "";
  if (token) {
    history.replaceState(null, "", location.pathname);
    const answer = await fetch("/api/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
    const told = await answer.json() as { session?: string; error?: string };
    // A reload of the address, in the tab that has opened it, goes on.
    if (!answer.ok && !session) throw new Error(told.error);
    session = told.session ?? session;
    sessionStorage.setItem(KEY, session);
  }
  return new HttpSource(session);
}

class HttpSource implements InspectorSource {
  readonly reducerUrl = "/reducer";
  readonly verify = {
    start: async () => verifyOf(await this.#ask<WireVerify>("verify?do=start", { method: "POST" })),
    state: async () => verifyOf(await this.#ask<WireVerify>("verify")),
    stop: async () => verifyOf(await this.#ask<WireVerify>("verify?do=stop", { method: "POST" })),
  };
  readonly #session: string;

  constructor(session: string) {
    this.#session = session;
  }

  async stats(signal?: AbortSignal): Promise<InspectorStats> {
    const told = await this.#ask<InspectorStats & { path: string; storeId: string; tornBytes: number; metaDamage: number; segments: SegmentRow[] }>("stats", { signal });
    const facts: [string, string][] = [["Directory", told.path], ["Store", told.storeId], ["Opened", "read-only, by annals inspect"]];
    if (told.tornBytes > 0) facts.push(["Append under way or cut short", `${told.tornBytes} bytes`]);
    if (told.metaDamage > 0) facts.push(["Damage in the meta log", `${told.metaDamage} places: names of kinds may be missing`]);
    return { ...told, segmentCount: told.segments.length, facts };
  }

  async streams({ text, order, offset, limit, signal }: Parameters<InspectorSource["streams"]>[0]) {
    const query = queryOf({ text, order, offset, limit });
    const told = await this.#ask<{ total: number; streams: Wire<StreamRow & EventRow>[] }>(`streams?${query}`, { signal });
    return { total: told.total, streams: told.streams.map(timed) };
  }

  async events({ filter, after, direction, limit, withPayload, signal }: EventsRequest): Promise<EventsPage> {
    const query = queryOf({ ...filterParams(filter), after, direction, limit, payload: withPayload ? 1 : undefined });
    const told = await this.#ask<Omit<EventsPage, "events"> & { events: Wire<EventRow>[] }>(`events?${query}`, { signal });
    return { ...told, events: told.events.map(timed) };
  }

  async event(which: { id: string } | { sequence: number }, signal?: AbortSignal): Promise<EventDetail | undefined> {
    const answer = await this.#fetch(`event?${queryOf(which)}`, { signal });
    if (answer.status === 404) return undefined;
    const { metadataHex, payloadStartHex, record, ...told } = await read<WireDetail>(answer);
    const detail: EventDetail = {
      ...timed(told),
      record: { file: record.file, offset: record.offset, length: record.bytes, bytes: bytesOf(record.hex) },
    };
    if (payloadStartHex !== undefined) detail.payloadBytes = bytesOf(payloadStartHex);
    if (metadataHex !== undefined) detail.metadata = textOr(bytesOf(metadataHex));
    return detail;
  }

  async payload(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await this.#fetch(`payload?${queryOf({ id })}`, { signal });
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : read(answer);
  }

  async chain(id: string, limit: number, signal?: AbortSignal) {
    const told = await this.#ask<{ events: Wire<EventRow>[]; end: "genesis" }>(`chain?${queryOf({ id, limit })}`, { signal });
    return { ...told, events: told.events.map(timed) };
  }

  async graph(id: string, of: "causes" | "correlation", limit: number, signal?: AbortSignal) {
    const told = await this.#ask<{ events: Wire<EventRow>[]; isCut: boolean }>(`graph?${queryOf({ id, of, limit })}`, { signal });
    return { ...told, events: told.events.map(timed) };
  }

  async rates({ filter, after, parts, signal }: RatesRequest): Promise<RatesPage> {
    return this.#ask<RatesPage>(`rates?${queryOf({ ...filterParams(filter), after, parts })}`, { signal });
  }

  async #ask<T>(what: string, options: { method?: string; signal?: AbortSignal | undefined } = {}): Promise<T> {
    return read<T>(await this.#fetch(what, options));
  }

  async #fetch(what: string, { method = "GET", signal }: { method?: string; signal?: AbortSignal | undefined }): Promise<Response> {
    try {
      return await fetch(`/api/${what}`, { method, headers: { authorization: `Bearer ${this.#session}` }, signal: signal ?? null });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("annals inspect does not answer: is it still running?", { cause: error });
    }
  }
}

async function read<T>(answer: Response): Promise<T> {
  if (answer.ok) return await answer.json() as T;
  const told = await answer.json().catch(() => ({})) as { error?: string };
  throw new Error(told.error ?? `annals inspect answered ${answer.status}`);
}

function queryOf(params: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  return query.toString();
}

function filterParams({ types, since, until, ...rest }: Filter): object {
  const time = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  return { ...rest, kind: types, since: time(since), until: time(until) };
}

function timed<T extends { timestampUs: number }>(told: T): Omit<T, "time"> & { time: number } {
  return { ...told, time: told.timestampUs / 1000 };
}

function verifyOf({ report, ...state }: WireVerify): VerifyState {
  if (!report) return state;
  const counted = Object.entries(report).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const meta = report.meta_damage.map((expected) => ({ kind: "meta_log", count: 1, file: "", offset: 0, expected, found: "" }));
  return { ...state, isComplete: report.complete, counted, faults: [...report.faults, ...meta] };
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(at * 2, at * 2 + 2), 16));
}

function textOr(bytes: Uint8Array): string | Uint8Array {
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return bytes; }
}
