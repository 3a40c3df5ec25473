//! How much is read for an answer, and that what is kept between two steps of a query, or between
//! two projections, never makes one wrong.

use annals_core::{
    Append, CodecError, CompactionStrategy, Coordinate, EventKind, EventRef, EventSourced, FileId,
    Log, LogConfig, MemoryCache, MemoryFile, MemoryStorage, Payload, Projector, SourceEvent,
    Storage, StorageError, StorageFile,
};
use annals_tests::conformance::TestHost;
use annals_tests::fixture::{MemoryLog, append_payload, compact, open_small, open_with};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NOTED: EventKind = EventKind::new(1, 1);

/// Files in memory that count how often they are read.
#[derive(Default)]
struct Counting {
    files: MemoryStorage,
    reads: Arc<AtomicU64>,
    gap: u64,
}

struct CountingFile {
    file: MemoryFile,
    reads: Arc<AtomicU64>,
    gap: u64,
}

impl Counting {
    fn counted(&self, file: MemoryFile) -> CountingFile {
        CountingFile { file, reads: Arc::clone(&self.reads), gap: self.gap }
    }
}

impl Storage for Counting {
    type File = CountingFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.files.list()
    }

    fn create(&self, id: FileId) -> Result<CountingFile, StorageError> {
        self.files.create(id).map(|file| self.counted(file))
    }

    fn open(&self, id: FileId) -> Result<CountingFile, StorageError> {
        self.files.open(id).map(|file| self.counted(file))
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.files.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.files.sync_dir()
    }
}

impl StorageFile for CountingFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.file.read_exact_at(buf, offset)
    }

    fn read_gap(&self) -> u64 {
        self.gap
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        self.file.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.file.sync_data()
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Notes(Vec<u8>);

impl EventSourced for Notes {
    const NAME: &'static str = "notes";

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.0.extend_from_slice(event.payload().unwrap_or(b"-"));
        Ok(())
    }
}

#[test]
fn b26_a_projection_one_event_behind_its_cache_reads_that_event_alone() {
    let reads = Arc::new(AtomicU64::new(0));
    let storage = Counting { reads: Arc::clone(&reads), ..Counting::default() };
    let mut log = Log::open(storage, TestHost::new(1), LogConfig::default()).unwrap();
    let note = |log: &mut Log<Counting, TestHost>, entity: &str| {
        let coordinate = Coordinate::new(entity, "diary").unwrap();
        log.append(&Append::new(coordinate, NOTED, Payload::raw(b"x"))).unwrap();
    };
    let cache = MemoryCache::new(1 << 20);
    let entities = ["a", "b", "c"];
    for _ in 0..50 {
        entities.iter().for_each(|entity| note(&mut log, entity));
    }
    for round in 0..20 {
        for entity in entities {
            note(&mut log, entity);
            let reader = log.reader();
            let before = reads.load(Ordering::Relaxed);
            let notes =
                Projector::new(&reader).with_cache(&cache, 0).project_cached::<Notes>(entity);
            assert_eq!(notes.unwrap().unwrap().state.0.len(), 51 + round, "{entity}");
            if round > 0 {
                assert_eq!(reads.load(Ordering::Relaxed) - before, 1, "{entity}");
            }
        }
    }
}

#[test]
fn what_lies_between_two_events_is_read_too_where_that_is_cheaper_than_a_second_read() {
    let count_reads = |gap| {
        let storage = Counting { gap, ..Counting::default() };
        let reads = Arc::clone(&storage.reads);
        let mut log = Log::open(storage, TestHost::new(1), LogConfig::default()).unwrap();
        for at in 0..20 {
            let entity = Coordinate::new(["a", "b"][at % 2], "diary").unwrap();
            log.append(&Append::new(entity, NOTED, Payload::raw([0; 10_000]))).unwrap();
        }
        let before = reads.load(Ordering::Relaxed);
        assert_eq!(log.reader().stream("a").count(), 10);
        reads.load(Ordering::Relaxed) - before
    };
    assert_eq!((count_reads(8_000), count_reads(12_000)), (10, 1));
}

#[test]
fn b26_a_state_made_before_an_erasure_is_not_served_behind_it() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    let cache = MemoryCache::new(1 << 20);
    let notes = |log: &MemoryLog| {
        let reader = log.reader();
        let made = Projector::new(&reader).with_cache(&cache, 0).project_cached::<Notes>("a");
        made.unwrap().unwrap().state
    };
    for _ in 0..200 {
        append_payload(&mut log, "a", "diary", NOTED, Payload::raw(b"x"));
        append_payload(&mut log, "b", "diary", NOTED, Payload::raw(b"x"));
    }
    assert_eq!(notes(&log).0, [b'x'; 200]);
    // Asked for and found again, so that the hashes that prove the state are in memory.
    assert_eq!(notes(&log).0, [b'x'; 200]);
    let of_a = |event: &EventRef<'_>| event.header().entity() == "a";
    compact(&mut log, CompactionStrategy::Erase(Arc::new(of_a)));
    assert_eq!(notes(&log).0, [b'-'; 200]);
    assert_eq!(notes(&log).0, [b'-'; 200]);
}

#[test]
fn a_query_goes_on_where_the_index_is_damaged_under_it() {
    const EVENTS: usize = 6_000;
    let storage = MemoryStorage::new();
    let config = LogConfig::default().with_index_cache_bytes(0);
    let mut log = open_with(&storage, 1, config);
    for at in 0..EVENTS {
        let entity = format!("order:{:04}", at % 20);
        append_payload(&mut log, &entity, "shop", NOTED, Payload::raw(b"x"));
    }
    log.seal().unwrap();

    let reader = log.reader();
    let mut query = reader.stream("order:0007");
    let seen = query.by_ref().take(20).map(|event| event.unwrap().version().get());
    assert_eq!(seen.collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    let file = storage.open(FileId::segment(1)).unwrap();
    let len = file.len().unwrap();
    for from_end in (1_024..64 * 1_024).step_by(4 * 1_024) {
        file.write_all_at(&[0xA5; 8], len - from_end).unwrap();
    }
    let rest = query.map(|event| event.unwrap().version().get());
    assert_eq!(rest.collect::<Vec<_>>(), (20..EVENTS as u64 / 20).collect::<Vec<_>>());
    assert_eq!(reader.diagnostics().index_damages.len(), 1);
}

#[test]
fn b18_each_of_more_kinds_than_an_index_remembers_is_found_by_scope() {
    const KINDS: u16 = 600;
    let mut log = open_with(&MemoryStorage::new(), 1, LogConfig::default());
    let kind = |number: u16| EventKind::new(1, number + 1);
    for round in 0..8_u16 {
        let items = (0..KINDS).map(|number| {
            let scope = if (number + round) % 2 == 0 { "even" } else { "odd" };
            let at = Coordinate::new(format!("order:{round}"), scope).unwrap();
            Append::new(at, kind(number), Payload::raw(number.to_le_bytes()))
        });
        log.append_batch(&items.collect::<annals_core::Batch>()).unwrap();
    }
    let found = |log: &MemoryLog, number: u16, scope: &str| -> Vec<u64> {
        let region = annals_core::Region::all().scope(scope).kind(kind(number));
        log.reader().query(&region).map(|event| event.unwrap().sequence().get()).collect()
    };
    let answers = |log: &MemoryLog| -> Vec<Vec<u64>> {
        let both = (0..KINDS).flat_map(|number| [(number, "even"), (number, "odd")]);
        both.map(|(number, scope)| found(log, number, scope)).collect()
    };
    let growing = answers(&log);
    for (at, found) in growing.iter().enumerate() {
        let (number, odd) = (at as u64 / 2, at as u64 % 2);
        let rounds = (0..8).filter(|round| (number + round) % 2 == odd);
        let expected: Vec<u64> = rounds.map(|round| round * u64::from(KINDS) + number).collect();
        assert_eq!(*found, expected, "kind {number}");
    }
    log.seal().unwrap();
    assert_eq!(answers(&log), growing, "the sealed index says the same");
}
