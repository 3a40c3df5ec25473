//! Small logs in memory for the tests of what stands on a reader.

use annals_core::{
    Append, AppendReceipt, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload,
};
use std::cell::Cell;

/// A clock that ticks a millisecond at each look, and repeatable randomness.
#[derive(Debug)]
pub struct TickingHost {
    now_us: Cell<i64>,
    random: Cell<u64>,
}

impl TickingHost {
    /// Hosts of other seeds make other ids.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        TickingHost { now_us: Cell::new(1_700_000_000_000_000), random }
    }
}

impl Host for TickingHost {
    fn now_us(&self) -> i64 {
        self.now_us.set(self.now_us.get() + 1_000);
        self.now_us.get()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let mut word = self.random.get();
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            self.random.set(word);
            *byte = word.to_le_bytes()[4];
        }
    }
}

/// A log in memory.
pub type MemoryLog = Log<MemoryStorage, TickingHost>;

/// Opens the log in `storage` with the smallest segments.
///
/// # Panics
///
/// If it does not open.
#[must_use]
pub fn open_small(storage: &MemoryStorage, seed: u64) -> MemoryLog {
    let config = LogConfig::default().with_segment_max_bytes(4 * 1024);
    Log::open(storage.clone(), TickingHost::new(seed), config).expect("the log opens")
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
