// What those ask who look at a store: its numbers, and the bytes of an event. The Rust side is
// `src/answer.rs`. This module is loaded when it is needed.

import { AnnalsError } from "./errors.js";
import type { Session } from "./session.js";
import type { KindStats, RecordBytes, SegmentStats, Stats } from "./types.js";
import { open, request } from "./wire.js";

const STATUS = 5;
const RECORD = 8;

export async function stats(session: Session): Promise<Stats> {
  const input = open(await session.request("c", request(STATUS)));
  const list = <T>(read: () => T): T[] => Array.from({ length: input.u32() }, read);
  return {
    storeId: input.text(), events: input.number(), entities: input.number(), scopes: input.number(), bytes: input.number(),
    end: input.u64(), durableEnd: input.u64(), openHandles: input.u32(),
    recovery: { clean: input.u8() === 1, tornBytes: input.number(), scannedEvents: input.number() },
    kinds: list((): KindStats => {
      const kind = input.u32();
      return { kind, events: input.number(), type: input.u8() ? input.text() : kind };
    }),
    segments: list((): SegmentStats => ({
      file: input.text(), isSealed: input.u8() === 1, firstSequence: input.u64(), events: input.number(), bytes: input.number(),
    })),
  };
}

export async function recordBytes(session: Session, sequence: bigint): Promise<RecordBytes | undefined> {
  try {
    const input = open(await session.request("c", request(RECORD, (out) => out.u64(sequence))));
    return { file: input.text(), offset: input.number(), bytes: input.bytes().slice() };
  } catch (error) {
    if (error instanceof AnnalsError && error.code === "NotFound") return undefined;
    throw error;
  }
}
