//! Golden files: stores whose bytes are checked in, one for each format version, and a listing of
//! what every later version must read from them. They are never made anew.
//!
//! `tests/golden/vN/store` is the store, `torn` its newest segment as a power cut in the last batch
//! may leave it, `listing.json` what must be read, `backup` what `GoldenBackup` is about. Here are
//! the checks on them, which run on files, on memory and in a browser.

mod backup;
mod listing;
#[cfg(not(target_arch = "wasm32"))]
mod make;

pub use backup::{
    GOLDEN_BACKUPS, GoldenBackup, golden_backup_continues_the_golden_store,
    golden_backups_are_taken_in, golden_backups_are_whole,
    golden_backups_that_are_damaged_are_refused,
};
#[cfg(not(target_arch = "wasm32"))]
pub use backup::{MadeBackups, make_backups};
pub use listing::{Entry, Listing, Place, entries};
#[cfg(not(target_arch = "wasm32"))]
pub use make::{Made, make};

use crate::conformance::TestHost;
use annals_core::{
    Append, Coordinate, EventId, EventKind, FileId, Log, LogConfig, MemoryStorage, Payload,
    ReadOnlyLog, Reader, Region, Sequence, Storage, StorageFile, StoreError,
};

/// A store of some format version.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// The format version.
    pub version: u16,
    /// The files by their names.
    pub files: &'static [(&'static str, &'static [u8])],
    /// Takes the place of the file of that name; the last batch is torn in it.
    pub torn: (&'static str, &'static [u8]),
    /// What must be read, as JSON.
    pub listing: &'static str,
}

macro_rules! golden_file {
    ($folder:literal, $name:literal) => {
        ($name, include_bytes!(concat!("../golden/", $folder, "/", $name)))
    };
}

/// Every store there is.
pub const GOLDEN: &[Golden] = &[Golden {
    version: 1,
    files: &[
        golden_file!("v1/store", "0000000001.seg"),
        golden_file!("v1/store", "0000000002.meta"),
        golden_file!("v1/store", "0000000005.seg"),
        golden_file!("v1/store", "0000000009.seg"),
        golden_file!("v1/store", "0000000010.seg"),
        golden_file!("v1/store", "0000000011.seg"),
    ],
    torn: golden_file!("v1/torn", "0000000011.seg"),
    listing: include_str!("../golden/v1/listing.json"),
}];

impl Golden {
    /// What must be read.
    ///
    /// # Panics
    ///
    /// If the listing is none.
    #[must_use]
    pub fn listing(&self) -> Listing {
        serde_json::from_str(self.listing).expect("a listing")
    }

    /// A copy of the store in memory.
    #[must_use]
    pub fn storage(&self) -> MemoryStorage {
        let storage = MemoryStorage::new();
        self.files.iter().for_each(|(name, bytes)| put(&storage, name, bytes));
        storage
    }

    /// A copy whose last batch is torn.
    #[must_use]
    pub fn torn_storage(&self) -> MemoryStorage {
        let storage = self.storage();
        put(&storage, self.torn.0, self.torn.1);
        storage
    }
}

fn put(storage: &MemoryStorage, name: &str, bytes: &[u8]) {
    let id = FileId::parse(name).expect("a name of a file");
    let file = storage.open(id).or_else(|_| storage.create(id)).expect("a file in memory");
    file.set_len(0).and_then(|()| file.write_all_at(bytes, 0)).expect("a file in memory");
}

fn open(storage: &MemoryStorage) -> Log<MemoryStorage, TestHost> {
    let host = TestHost::new(7).with_step_us(1_000);
    Log::open(storage.clone(), host, LogConfig::default()).expect("the golden store opens")
}

/// Everything listed is read, by all who read, and nothing else is.
///
/// # Panics
///
/// Where something differs.
pub fn golden_store_is_read_whole(golden: &Golden) {
    let listing = golden.listing();
    let storage = golden.storage();
    let read_only = ReadOnlyLog::open(storage.clone(), LogConfig::default());
    check_reader(&read_only.expect("it opens for reading").reader(), &listing);
    let log = open(&storage);
    assert_eq!(log.recovery().torn_tail, None);
    assert_eq!(log.recovery().meta_damage, []);
    assert_eq!(Listing::of(&log, listing.torn_end).expect("it can be read"), listing);
    check_reader(&log.reader(), &listing);
}

/// It takes appends behind what it holds, and all is there later.
///
/// # Panics
///
/// Where something differs.
pub fn golden_store_goes_on(golden: &Golden) {
    let listing = golden.listing();
    let storage = golden.storage();
    let mut log = open(&storage);
    for (round, entry) in listing.events.iter().enumerate() {
        let at = Coordinate::new(&*entry.entity, &*entry.scope).expect("it was valid");
        if at.entity().starts_with("annals:") {
            continue;
        }
        let head = log.reader().head(at.entity()).expect("it can be read").expect("a stream");
        let append = Append::new(at, EventKind::new(3, 3), Payload::raw(format!("{round}")));
        let receipt = log.append(&append).expect("the golden store takes appends");
        assert_eq!(receipt.version.get(), head.version.get() + 1);
        if round == listing.events.len() / 2 {
            log.seal().expect("it is sealed");
        }
    }
    let end = log.reader().end();
    log.close().expect("it closes");
    let log = open(&storage);
    assert!(log.recovery().clean);
    assert_eq!(log.reader().end(), end);
    let after = Listing::of(&log, listing.torn_end).expect("it can be read");
    assert!(after.events.starts_with(&listing.events));
    assert_eq!(after.kind_names, listing.kind_names);
    assert_eq!(after.projections, listing.projections);
    let names = |listing: &Listing| listing.consumers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&listing));
}

/// The copy with the torn batch opens without it, and says so.
///
/// # Panics
///
/// Where something differs.
pub fn golden_torn_tail_is_cut(golden: &Golden) {
    let listing = golden.listing();
    let storage = golden.torn_storage();
    let kept = |entry: &&Entry| entry.sequence < listing.torn_end;
    let kept: Vec<Entry> = listing.events.iter().filter(kept).cloned().collect();
    assert!(kept.len() < listing.events.len(), "something is torn");
    for _ in 0..2 {
        let read_only = ReadOnlyLog::open(storage.clone(), LogConfig::default());
        let reader = read_only.expect("it opens for reading").reader();
        assert_eq!(reader.end(), Sequence::new(listing.torn_end));
        assert_eq!(entries(&reader).expect("it can be read"), kept);
    }
    let log = open(&storage);
    let torn = log.recovery().torn_tail.expect("a torn tail was found");
    assert_eq!(torn.file.name(), golden.torn.0);
    assert!(torn.len > 0);
    assert_eq!(entries(&log.reader()).expect("it can be read"), kept);
}

fn check_reader<S: Storage>(reader: &Reader<S>, listing: &Listing) {
    assert_eq!(reader.end().get(), listing.end);
    assert_eq!(reader.store_id().to_string(), listing.store_id);
    assert_eq!(entries(reader).expect("it can be read"), listing.events);
    let backward = reader.query(&Region::all()).backward();
    let backward: Vec<u64> =
        backward.map(|event| event.expect("it can be read").sequence().get()).collect();
    let listed = listing.events.iter().rev().map(|entry| entry.sequence);
    assert!(listed.eq(backward), "both ways are one");
    for entry in &listing.events {
        let id: EventId = entry.id.parse().expect("an id");
        let by_id = reader.get(id).expect("it has its id");
        let by_sequence = reader.get_at(Sequence::new(entry.sequence)).expect("it is there");
        assert_eq!((&Entry::from(&by_id), &Entry::from(&by_sequence)), (entry, entry));
        let stream: Result<Vec<_>, _> = reader.stream(&entry.entity).collect();
        let stream = stream.expect("it can be read");
        let listed = listing.events.iter().filter(|other| other.entity == entry.entity);
        assert!(listed.cloned().eq(stream.iter().map(Entry::from)), "{}", entry.entity);
    }
    let there = |sequence| listing.events.iter().any(|entry| entry.sequence == sequence);
    for gone in (0..listing.end).filter(|sequence| !there(*sequence)) {
        let answer = reader.get_at(Sequence::new(gone));
        assert!(matches!(answer, Err(StoreError::SequenceNotFound(_))), "{gone}: {answer:?}");
    }
}
