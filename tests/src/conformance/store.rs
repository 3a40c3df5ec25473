//! What the topics share: how a store is opened, what is appended, how answers are told apart.

use annals_core::{
    Append, AppendOptions, AppendReceipt, Coordinate, Event, EventKind, FileId, FileKind, Log,
    LogConfig, Payload, Reader, Region, Storage, StorageFile, StoreError,
};

use super::{Backend, TestHost};

pub(super) const PLACED: EventKind = EventKind::new(0x1, 0x001);
pub(super) const PAID: EventKind = EventKind::new(0x1, 0x002);
pub(super) const SHIPPED: EventKind = EventKind::new(0x2, 0x001);

/// A log of a test.
pub(super) type TestLog<S> = Log<S, TestHost>;

/// The smallest segments, so that a few appends fill several.
pub(super) fn small_segments() -> LogConfig {
    LogConfig::default().with_segment_max_bytes(4096)
}

/// Opens with large segments: everything stays in the active one.
pub(super) fn open<B: Backend>(backend: &B) -> TestLog<B::Storage> {
    open_with(backend, LogConfig::default())
}

/// Opens with segments that rotate after a few kilobytes.
pub(super) fn open_small<B: Backend>(backend: &B) -> TestLog<B::Storage> {
    open_with(backend, small_segments())
}

pub(super) fn open_with<B: Backend>(backend: &B, config: LogConfig) -> TestLog<B::Storage> {
    open_on(backend.storage(), config)
}

pub(super) fn open_on<S: Storage>(storage: S, config: LogConfig) -> TestLog<S> {
    Log::open(storage, host(), config).expect("the store opens")
}

/// A host like no other in this process, as two processes have different randomness.
pub(super) fn host() -> TestHost {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEED: AtomicU64 = AtomicU64::new(1);
    TestHost::new(SEED.fetch_add(1, Ordering::Relaxed)).with_step_us(1)
}

pub(super) fn at(entity: &str, scope: &str) -> Coordinate {
    Coordinate::new(entity, scope).expect("a valid coordinate")
}

/// An event of the scope `shop`.
pub(super) fn event(entity: &str, kind: EventKind, payload: &str) -> Append {
    Append::new(at(entity, "shop"), kind, Payload::raw(payload))
}

pub(super) fn with(append: Append, options: impl FnOnce(AppendOptions) -> AppendOptions) -> Append {
    let changed = options(append.options.clone());
    append.with_options(changed)
}

/// Appends and takes for granted that it works.
pub(super) fn put<S: Storage>(log: &mut TestLog<S>, append: &Append) -> AppendReceipt {
    log.append(append).expect("the append is fine")
}

/// Fills at least `segments` sealed segments (of [`open_small`]) with events of `filler:0` to
/// `filler:2`, and returns their receipts.
pub(super) fn fill<S: Storage>(log: &mut TestLog<S>, segments: usize) -> Vec<AppendReceipt> {
    let mut receipts = Vec::new();
    let sealed = |log: &TestLog<S>| {
        let stats = log.stats().expect("the store can be counted");
        stats.segments.iter().filter(|segment| segment.sealed).count()
    };
    let wanted = sealed(log) + segments;
    while sealed(log) < wanted {
        let payload = format!("{:0>600}", receipts.len());
        let entity = format!("filler:{}", receipts.len() % 3);
        receipts.push(put(log, &event(&entity, PLACED, &payload)));
    }
    receipts
}

/// Everything that a reader sees.
pub(super) fn all<S: Storage>(reader: &Reader<S>) -> Vec<Event> {
    events(reader, &Region::all())
}

/// The events of a region.
pub(super) fn events<S: Storage>(reader: &Reader<S>, region: &Region) -> Vec<Event> {
    reader.query(region).map(|event| event.expect("a readable event")).collect()
}

/// The sequences of a region's events, checked in both directions and under every limit.
pub(super) fn sequences<S: Storage>(reader: &Reader<S>, region: &Region) -> Vec<u64> {
    let number = |event: Result<Event, StoreError>| event.expect("readable").sequence().get();
    let forward: Vec<u64> = reader.query(region).map(number).collect();
    let mut backward: Vec<u64> = reader.query(region).backward().map(number).collect();
    backward.reverse();
    assert_eq!(forward, backward, "both directions find the same events");
    for limit in [0, 1, forward.len() / 2, forward.len(), forward.len() + 1] {
        let first: Vec<u64> = reader.query(region).limit(limit as u64).map(number).collect();
        assert_eq!(first, forward[..limit.min(forward.len())], "limit {limit}");
        let newest = reader.query(region).backward().limit(limit as u64);
        let newest: Vec<u64> = newest.map(number).collect();
        let expected = forward.iter().rev().take(limit);
        assert!(newest.iter().eq(expected), "limit {limit} backward");
    }
    forward
}

/// The segments of a storage, in ascending order.
pub(super) fn segments<S: Storage>(storage: &S) -> Vec<FileId> {
    let listed = storage.list().expect("the files can be listed");
    listed.into_iter().filter(|id| id.kind == FileKind::Segment).collect()
}

/// The segments of a backend whose storage nobody has open.
pub(super) fn segments_of<B: Backend>(backend: &B) -> Vec<FileId> {
    segments(&backend.storage())
}

/// Every segment with its bytes.
pub(super) fn contents<S: Storage>(storage: &S) -> Vec<(FileId, Vec<u8>)> {
    segments(storage).into_iter().map(|id| (id, file_bytes(storage, id))).collect()
}

pub(super) fn file_bytes<S: Storage>(storage: &S, id: FileId) -> Vec<u8> {
    let file = storage.open(id).expect("the file is there");
    let len = usize::try_from(file.len().expect("a length")).expect("a short file");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("the file can be read");
    bytes
}

/// Gives a file these bytes and no others.
pub(super) fn overwrite<S: Storage>(storage: &S, id: FileId, bytes: &[u8]) {
    let file = storage.open(id).expect("the file is there");
    file.set_len(bytes.len() as u64).expect("the file can be cut");
    file.write_all_at(bytes, 0).expect("the file can be written");
    file.sync_data().expect("the file can be synced");
}

/// Where `needle` stands in a file.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).expect("the bytes are there")
}

/// Appends one more event and reads it back: the store goes on.
pub(super) fn goes_on<S: Storage>(log: &mut TestLog<S>) {
    let end = log.reader().end();
    let receipt = put(log, &event("order:goes-on", PLACED, "still here"));
    assert_eq!(receipt.sequence, end);
    let read = log.reader().get(receipt.id).expect("the event just appended");
    assert_eq!(read.payload, Payload::raw("still here"));
    assert_eq!(all(&log.reader()).len() as u64, end.get() + 1);
}
