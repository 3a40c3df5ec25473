// What those ask who look at a store: its numbers, and the bytes of an event. The Rust side is
// `src/answer.rs`. This module is loaded when it is needed.

import { AnnalsError } from "./errors.js";
import type { Session } from "./session.js";
import type { KindStats, RecordBytes, SegmentStats, Stats } from "./types.js";
import { open, Output } from "./wire.js";

const STATUS = 5;
const RECORD = 8;

export async function stats(session: Session): Promise<Stats> {
  const input = open(await session.request("c", Uint8Array.of(STATUS)));
  const number = () => Number(input.u64());
  const list = <T>(read: () => T): T[] => Array.from({ length: input.u32() }, read);
  return {
    storeId: input.text(), events: number(), entities: number(), scopes: number(), bytes: number(),
    end: input.u64(), durableEnd: input.u64(), openHandles: input.u32(),
    recovery: { clean: input.u8() === 1, tornBytes: number(), scannedEvents: number() },
    kinds: list((): KindStats => {
      const kind = input.u16();
      return { kind, events: number(), type: input.option(() => input.text()) ?? kind };
    }),
    segments: list((): SegmentStats => ({
      file: input.text(), isSealed: input.u8() === 1, firstSequence: input.u64(), events: number(), bytes: number(),
    })),
  };
}

export async function recordBytes(session: Session, sequence: bigint): Promise<RecordBytes | undefined> {
  const out = new Output();
  out.u8(RECORD);
  out.u64(sequence);
  try {
    const input = open(await session.request("c", out.done()));
    return { file: input.text(), offset: Number(input.u64()), bytes: input.bytes().slice() };
  } catch (error) {
    if (error instanceof AnnalsError && error.code === "NotFound") return undefined;
    throw error;
  }
}
