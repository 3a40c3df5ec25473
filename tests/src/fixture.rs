//! Small logs in memory for the tests of what stands on a reader.

use crate::conformance::TestHost;
use annals_core::{
    Append, AppendReceipt, CompactionConfig, CompactionStrategy, Coordinate, EventKind, Log,
    LogConfig, MemoryStorage, Payload, Sequence,
};
use std::ops::ControlFlow;

/// A log in memory, whose clock ticks a millisecond at each look.
pub type MemoryLog = Log<MemoryStorage, TestHost>;

/// Opens the log in `storage` with the smallest segments.
///
/// # Panics
///
/// If it does not open.
#[must_use]
pub fn open_small(storage: &MemoryStorage, seed: u64) -> MemoryLog {
    open_with(storage, seed, LogConfig::default().with_segment_max_bytes(4 * 1024))
}

/// Opens the log in `storage`.
///
/// # Panics
///
/// If it does not open.
#[must_use]
pub fn open_with(storage: &MemoryStorage, seed: u64, config: LogConfig) -> MemoryLog {
    Log::open(storage.clone(), TestHost::new(seed).with_step_us(1_000), config)
        .expect("the log opens")
}

/// Appends one event of raw bytes.
///
/// # Panics
///
/// If the log refuses it.
pub fn append(log: &mut MemoryLog, entity: &str, scope: &str, kind: EventKind) -> AppendReceipt {
    append_payload(log, entity, scope, kind, Payload::raw("some payload of some length"))
}

/// Appends one event.
///
/// # Panics
///
/// If the log refuses it.
pub fn append_payload(
    log: &mut MemoryLog,
    entity: &str,
    scope: &str,
    kind: EventKind,
    payload: Payload,
) -> AppendReceipt {
    let coordinate = Coordinate::new(entity, scope).expect("a valid coordinate");
    log.append(&Append::new(coordinate, kind, payload)).expect("the log takes the event")
}

/// Compacts the whole log by a strategy, in outputs of a few segments each.
///
/// # Panics
///
/// If a compaction fails.
pub fn compact(log: &mut MemoryLog, strategy: CompactionStrategy) {
    let config =
        CompactionConfig::new(strategy).with_output_max_bytes(16 * 1024).with_seal_active(true);
    let mut from = Sequence::ZERO;
    while let Some(next) = log.begin_compaction(&config, from).expect("a compaction begins") {
        from = next.end();
        let done = next.run(|_| ControlFlow::Continue(())).expect("a compaction runs");
        if let Some(done) = done {
            log.finish_compaction(&done).expect("a compaction is taken in");
        }
    }
}
