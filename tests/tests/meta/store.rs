//! What the tests of this folder share: a host without chance, and short ways to open and append.

use std::cell::RefCell;

use annals_core::{
    Append, AppendReceipt, CheckpointName, Coordinate, EventKind, FileId, FileKind, Host, Log,
    LogConfig, Payload, ReadOnlyLog, StoreError,
};
use annals_tests::sim_disk::{Random, SimDisk};

pub(crate) type TestLog = Log<SimDisk, TestHost>;

pub(crate) struct TestHost {
    random: RefCell<Random>,
}

impl TestHost {
    pub(crate) fn new(seed: u64) -> Self {
        TestHost { random: RefCell::new(Random::new(seed)) }
    }
}

impl Host for TestHost {
    fn now_us(&self) -> i64 {
        1_700_000_000_000_000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.random.borrow_mut().fill(buffer);
    }
}

pub(crate) fn try_open(disk: &SimDisk) -> Result<TestLog, StoreError> {
    let config = LogConfig::default().with_segment_max_bytes(16 * 1024);
    Log::open(disk.clone(), TestHost::new(disk.operation_count()), config)
}

pub(crate) fn open(disk: &SimDisk) -> TestLog {
    try_open(disk).unwrap()
}

pub(crate) fn open_read_only(disk: &SimDisk) -> ReadOnlyLog<SimDisk> {
    ReadOnlyLog::open(disk.clone(), LogConfig::default()).unwrap()
}

pub(crate) fn append(log: &mut TestLog, kind: EventKind) -> Result<AppendReceipt, StoreError> {
    let order = Coordinate::new("order:5", "shop").unwrap();
    log.append(&Append::new(order, kind, Payload::raw("two apples")))
}

pub(crate) fn consumer(log: &TestLog, name: &str) -> Option<Vec<u8>> {
    log.checkpoint(CheckpointName::consumer(name))
}

pub(crate) fn meta_files(disk: &SimDisk) -> Vec<FileId> {
    disk.peek_list().into_iter().filter(|id| id.kind == FileKind::Meta).collect()
}

/// The whole CRC-32/ISO-HDLC, bit by bit, so that the tests trust no other one.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}
