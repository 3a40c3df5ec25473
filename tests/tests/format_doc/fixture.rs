//! Stores whose time and randomness are the same in each run.

use std::cell::Cell;

use annals_core::{
    Append, AppendOptions, AppendReceipt, Coordinate, EventId, EventKind, FileId, Host, Log,
    LogConfig, MemoryStorage, Payload, Storage, StorageFile,
};

/// Time goes on by 1.5 ms at each look, and randomness is 0x11, then 0x22, and so on.
#[derive(Default)]
pub(crate) struct Regular {
    pub(crate) looks: Cell<i64>,
    pub(crate) fills: Cell<u8>,
}

impl Host for Regular {
    fn now_us(&self) -> i64 {
        let looks = self.looks.get();
        self.looks.set(looks + 1);
        1_700_000_000_000_000 + looks * 1_500
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.fills.set(self.fills.get().wrapping_add(0x11));
        buffer.fill(self.fills.get());
    }
}

pub(crate) fn open(storage: &MemoryStorage) -> Log<MemoryStorage, Regular> {
    let config = LogConfig::default();
    Log::open(storage.clone(), Regular::default(), config).expect("memory does not fail")
}

pub(crate) fn order() -> Coordinate {
    Coordinate::new("order:5", "shop").expect("a valid address")
}

pub(crate) fn segment(storage: &MemoryStorage, number: u64) -> Vec<u8> {
    let file = storage.open(FileId::segment(number)).expect("the store has the segment");
    let len = file.len().expect("memory does not fail");
    let mut bytes = vec![0; usize::try_from(len).expect("a small file")];
    file.read_exact_at(&mut bytes, 0).expect("memory does not fail");
    bytes
}

pub(crate) const EVENTS: u64 = 300;

/// Appends events of several entities, scopes, kinds and causes, each in a frame of its own, and
/// seals them.
pub(crate) fn fill(log: &mut Log<MemoryStorage, Regular>) -> Vec<AppendReceipt> {
    let mut receipts: Vec<AppendReceipt> = Vec::new();
    for n in 0..EVENTS {
        let at = Coordinate::new(format!("order:{}", n % 7), format!("shop{}", n % 2)).unwrap();
        // Regular randomness would give ids that differ in their times alone.
        let key = EventId::from_key(&n.to_string());
        let mut options = AppendOptions::default().with_idempotency_key(key);
        if n % 10 == 9 {
            let cause = &receipts[usize::try_from(n - n % 50).unwrap()];
            options = options.with_correlation(receipts[0].id).with_causation(cause.id);
        }
        let kind = EventKind::new(1, u16::try_from(n % 3).unwrap());
        let payload = Payload::raw(n.to_string());
        receipts.push(log.append(&Append::new(at, kind, payload).with_options(options)).unwrap());
    }
    log.seal().unwrap();
    receipts
}
