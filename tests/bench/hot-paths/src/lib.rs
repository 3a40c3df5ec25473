//! The hot paths of Annals, each a function that prepares a store and does its work within
//! [`measured`]. `src/main.rs` runs one for callgrind to count; `benches/hot_paths.rs` times all.
//! Time, randomness and files are of a kind that makes every run the same.

use annals::{
    Append, AppendOptions, Batch, CodecError, Coordinate, Cursor, Durability, EventId, EventKind,
    EventSourced, ExpectedVersion, Host, Log, LogConfig, MemoryCache, MemoryStorage, Payload,
    Projector, Reader, Region, SourceEvent, Store, StoreConfig, Version,
};
use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ENTITIES: usize = 20;
const EVENTS: usize = 2_000;
const BATCH: usize = 1_000;
/// Segments of the log that has sealed ones, each with an event of each of so many entities.
const SEGMENTS: usize = 16;
const SEGMENT_ENTITIES: usize = BATCH;
const PAYLOAD: [u8; 100] = [b'x'; 100];
const KIND: EventKind = EventKind::new(1, 1);

/// What a run of a path has done within [`measured`].
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub operations: usize,
    pub took: Duration,
}

/// A path: its name, and what does its work. Returns how many operations were measured.
type Path = (&'static str, fn() -> Result<usize>);

const PATHS: &[Path] = &[
    ("stage", stage),
    ("append", append),
    ("append-batch", append_batch),
    ("append-rolled", append_rolled),
    ("store-append", store_append),
    ("get", get),
    ("get-sealed", get_sealed),
    ("walk", walk),
    ("stream", stream),
    ("stream-sealed", stream_sealed),
    ("poll", poll),
    ("project", project),
];

thread_local! {
    static TOOK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The names of all paths.
pub fn names() -> impl Iterator<Item = &'static str> {
    PATHS.iter().map(|(name, _)| *name)
}

/// Runs the path of that name once.
///
/// # Errors
///
/// There is no such path, or what it prepares or does fails.
pub fn run(name: &str) -> Result<Run> {
    let (_, path) = PATHS.iter().find(|(own, _)| *own == name).ok_or("there is no such path")?;
    Ok(Run { operations: path()?, took: TOOK.get() })
}

/// The clock is read outside of what callgrind counts.
fn timed<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = measured(work);
    TOOK.set(begun.elapsed());
    answer
}

/// Callgrind counts between its entry and its exit, and knows it by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// The same time and the same numbers in each run.
struct Fixed {
    now_us: Cell<i64>,
    random: Cell<u64>,
}

impl Host for Fixed {
    fn now_us(&self) -> i64 {
        self.now_us.replace(self.now_us.get() + 10)
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            self.random.set(next);
            *byte = next.to_be_bytes()[0];
        }
    }
}

type MemoryLog = Log<MemoryStorage, Fixed>;

fn empty() -> Result<MemoryLog> {
    let host = Fixed { now_us: Cell::new(1_700_000_000_000_000), random: Cell::new(7) };
    Ok(Log::open(MemoryStorage::new(), host, LogConfig::default())?)
}

/// A log with [`EVENTS`] events, and the ids of all.
fn full() -> Result<(MemoryLog, Vec<EventId>)> {
    let (mut log, mut ids) = (empty()?, Vec::with_capacity(EVENTS));
    for first in (0..EVENTS).step_by(BATCH) {
        ids.extend(log.append_batch(&batch(first)?)?.iter().map(|receipt| receipt.id));
    }
    Ok((log, ids))
}

/// A log of [`SEGMENTS`] sealed segments, and the ids of all.
fn rolled() -> Result<(MemoryLog, Vec<EventId>)> {
    let (mut log, mut ids) = (empty()?, Vec::with_capacity(SEGMENTS * BATCH));
    for first in (0..SEGMENTS * BATCH).step_by(BATCH) {
        let events = (first..first + BATCH).map(|number| event_of(number, SEGMENT_ENTITIES));
        let batch = events.collect::<Result<Vec<_>>>()?.into_iter().fold(Batch::new(), Batch::push);
        ids.extend(log.append_batch(&batch)?.iter().map(|receipt| receipt.id));
        log.seal()?;
    }
    Ok((log, ids))
}

fn event(number: usize) -> Result<Append> {
    event_of(number, ENTITIES)
}

fn event_of(number: usize, entities: usize) -> Result<Append> {
    let (entity, version) = (number % entities, number / entities);
    let coordinate = Coordinate::new(format!("order:{entity:08}"), format!("tenant-{entity}"))?;
    let expected = match version.checked_sub(1) {
        None => ExpectedVersion::NoStream,
        Some(last) => ExpectedVersion::Exact(Version::new(last as u64)),
    };
    let options = AppendOptions::default().with_expected_version(expected);
    Ok(Append::new(coordinate, KIND, Payload::raw(PAYLOAD)).with_options(options))
}

fn batch(first: usize) -> Result<Batch> {
    (first..first + BATCH).try_fold(Batch::new(), |batch, number| Ok(batch.push(event(number)?)))
}

fn stage() -> Result<usize> {
    let (mut log, _) = full()?;
    let events = (EVENTS..EVENTS + BATCH).map(event).collect::<Result<Vec<_>>>()?;
    timed(|| {
        events.iter().try_for_each(|event| log.stage(std::slice::from_ref(event), None).map(drop))
    })?;
    Ok(BATCH)
}

fn append() -> Result<usize> {
    let (mut log, _) = full()?;
    let events = (EVENTS..EVENTS + BATCH).map(event).collect::<Result<Vec<_>>>()?;
    timed(|| events.iter().try_for_each(|event| log.append(event).map(drop)))?;
    Ok(BATCH)
}

fn append_batch() -> Result<usize> {
    let (mut log, _) = full()?;
    let batch = batch(EVENTS)?;
    timed(|| log.append_batch(&batch).map(drop))?;
    Ok(BATCH)
}

/// Each stream's first append behind a sealing.
fn append_rolled() -> Result<usize> {
    let (mut log, _) = rolled()?;
    let first = SEGMENTS * BATCH;
    let events = (first..first + BATCH).map(|number| event_of(number, SEGMENT_ENTITIES));
    let events = events.collect::<Result<Vec<_>>>()?;
    timed(|| events.iter().try_for_each(|event| log.append(event).map(drop)))?;
    Ok(BATCH)
}

/// Through the store and into a file: the queue, the leader, the write.
fn store_append() -> Result<usize> {
    let dir = tempfile::tempdir()?;
    let config = StoreConfig::new(dir.path())
        .with_durability(Durability::OnSync)
        .with_clock(|| 1_700_000_000_000_000);
    let store = Store::open(config)?;
    let order = Coordinate::new("order:5", "shop")?;
    let one = || store.append(&order, KIND, Payload::raw(PAYLOAD)).map(drop);
    (0..100).try_for_each(|_| one())?;
    timed(|| (0..BATCH).try_for_each(|_| one()))?;
    Ok(BATCH)
}

fn get() -> Result<usize> {
    let (log, ids) = full()?;
    let reader = log.reader();
    timed(|| ids.iter().try_for_each(|id| reader.get(*id).map(|event| drop(black_box(event)))))?;
    Ok(EVENTS)
}

/// By the indexes of sealed segments.
fn get_sealed() -> Result<usize> {
    let (log, ids) = rolled()?;
    let reader = log.reader();
    let get = |id: &EventId| reader.get(*id).map(|event| drop(black_box(event)));
    ids.iter().step_by(BATCH).try_for_each(get)?;
    timed(|| ids.iter().try_for_each(get))?;
    Ok(ids.len())
}

fn walk() -> Result<usize> {
    let (log, _) = full()?;
    let reader = log.reader();
    assert_eq!(timed(|| seen(&reader, &Region::all()))?, EVENTS);
    Ok(EVENTS)
}

fn stream() -> Result<usize> {
    let (log, _) = full()?;
    let reader = log.reader();
    let found = timed(|| seen(&reader, &Region::stream("order:00000007")))?;
    assert_eq!(found, EVENTS / ENTITIES);
    Ok(found)
}

/// Streams with an event in each of many sealed segments.
fn stream_sealed() -> Result<usize> {
    let (log, _) = rolled()?;
    let reader = log.reader();
    let read = |entity: usize| seen(&reader, &Region::stream(&format!("order:{entity:08}")));
    assert_eq!(read(0)?, SEGMENTS);
    let sum = |all: usize, entity| Ok::<_, Box<dyn Error>>(all + read(entity)?);
    timed(|| (0..SEGMENT_ENTITIES).step_by(7).try_fold(0, sum))
}

fn poll() -> Result<usize> {
    const POLLS: usize = 100;
    let (log, _) = full()?;
    let mut cursor = Cursor::new(Region::all().scope("tenant-7"));
    let found = cursor.poll(&log.reader(), usize::MAX)?.len();
    assert_eq!(found, EVENTS / ENTITIES);
    let nothing = timed(|| {
        (0..POLLS).try_fold(0, |sum, _| {
            Ok::<_, Box<dyn Error>>(sum + cursor.poll(&log.reader(), 10)?.len())
        })
    })?;
    assert_eq!(nothing, 0);
    Ok(POLLS)
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Total {
    bytes: u64,
}

impl EventSourced for Total {
    const NAME: &'static str = "total";

    fn apply(&mut self, event: &SourceEvent<'_>) -> std::result::Result<(), CodecError> {
        self.bytes += event.payload().map_or(0, |payload| payload.len() as u64);
        Ok(())
    }
}

/// Each entity's state, one event behind what a cache holds of it.
fn project() -> Result<usize> {
    let (mut log, _) = full()?;
    let cache = MemoryCache::new(1 << 20);
    let each = |log: &MemoryLog, payloads: usize| {
        let reader = log.reader();
        (0..ENTITIES).try_for_each(|entity| {
            let projector = Projector::new(&reader).with_cache(&cache, 0);
            let total = projector.project_cached::<Total>(&format!("order:{entity:08}"))?;
            let bytes = total.map_or(0, |total| total.state.bytes);
            assert_eq!(bytes, (payloads * PAYLOAD.len()) as u64);
            Ok::<_, Box<dyn Error>>(())
        })
    };
    each(&log, EVENTS / ENTITIES)?;
    for at in EVENTS..EVENTS + ENTITIES {
        log.append(&event(at)?)?;
    }
    timed(|| each(&log, EVENTS / ENTITIES + 1))?;
    Ok(ENTITIES)
}

fn seen(reader: &Reader<MemoryStorage>, region: &Region) -> Result<usize> {
    let (mut query, mut seen) = (reader.query(region), 0);
    while query.next_with(|event| black_box(event.payload()).is_some())? == Some(true) {
        seen += 1;
    }
    Ok(seen)
}
