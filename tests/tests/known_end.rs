//! Behaviour 36: a closed store knows where it ended, so nobody takes its newest segment unseen.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use annals::{
    FileId, FileKind, Log, LogConfig, MemoryFile, MemoryStorage, ReadOnlyLog, Sequence, Storage,
    StorageError, StoreError,
};
use annals_tests::backup::append_some;
use annals_tests::conformance::TestHost;
use std::cell::RefCell;

fn config() -> LogConfig {
    LogConfig::default().with_segment_max_bytes(4096)
}

fn host() -> TestHost {
    TestHost::new(4).with_step_us(700)
}

fn open<S: Storage>(storage: S) -> Result<Log<S, TestHost>, StoreError> {
    Log::open(storage, host(), config())
}

/// A closed store, its end, and its newest segment.
fn closed() -> (MemoryStorage, Sequence, FileId) {
    let storage = MemoryStorage::new();
    let mut log = open(storage.clone()).unwrap();
    append_some(&mut log, 20);
    let end = log.reader().end();
    log.close().unwrap();
    let files = storage.list().unwrap().into_iter();
    let newest = files.filter(|id| id.kind == FileKind::Segment).max().unwrap();
    (storage, end, newest)
}

fn corruption<T>(opened: Result<T, StoreError>) -> annals::Corruption {
    match opened.map(drop) {
        Err(StoreError::Corruption(corruption)) => *corruption,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b36_the_loss_of_the_newest_segment_of_a_closed_store_is_found_and_can_be_undone() {
    let (storage, end, newest) = closed();
    let backup = storage.fork();
    storage.remove(newest).unwrap();
    let before = storage.list().unwrap();
    for _ in 0..2 {
        let found = corruption(open(storage.clone()));
        assert_eq!((found.file, found.offset), (newest, 0));
        assert!(found.expected.contains(&format!("up to sequence {end}")), "{found}");
        let beside = ReadOnlyLog::open(storage.clone(), config());
        assert_eq!(corruption(beside), found);
        assert_eq!(storage.list().unwrap(), before, "nothing was changed");
    }
    assert_eq!(open(backup).unwrap().reader().end(), end);
}

#[test]
fn b36_a_salvage_of_a_store_that_lost_its_newest_segment_opens() {
    let (storage, end, newest) = closed();
    storage.remove(newest).unwrap();
    let salvaged = MemoryStorage::new();
    annals::salvage(&storage, &salvaged, host(), |_| std::ops::ControlFlow::Continue(())).unwrap();
    let mut log = open(salvaged.clone()).unwrap();
    assert!(log.reader().end() > Sequence::ZERO && log.reader().end() < end);
    append_some(&mut log, 2);
    let end = log.reader().end();
    log.close().unwrap();
    assert_eq!(open(salvaged).unwrap().reader().end(), end);
}

#[test]
fn b36_a_file_that_lost_its_end_is_not_cut_before_that_is_told() {
    let (storage, _, newest) = closed();
    let file = storage.open(newest).unwrap();
    let len = annals::StorageFile::len(&file).unwrap();
    for cut in [8, 40, 300, len - 200, len - 20] {
        annals::StorageFile::set_len(&file, len - cut).unwrap();
        let found = open(storage.clone()).map(|log| log.reader().end());
        match found {
            // Of a store that was closed the last frame has no event.
            Ok(_) => assert!(cut <= 40, "{cut} bytes less"),
            Err(error) => {
                corruption::<()>(Err(error));
                assert_eq!(annals::StorageFile::len(&file).unwrap(), len - cut);
            }
        }
    }
}

/// A directory in which somebody closes the store between two looks of a reader.
struct Beside {
    storage: MemoryStorage,
    writer: RefCell<Option<Log<MemoryStorage, TestHost>>>,
}

impl Storage for Beside {
    type File = MemoryFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.storage.list()
    }

    fn create(&self, id: FileId) -> Result<MemoryFile, StorageError> {
        self.storage.create(id)
    }

    fn open(&self, id: FileId) -> Result<MemoryFile, StorageError> {
        if id.kind == FileKind::Meta
            && let Some(mut writer) = self.writer.take()
        {
            append_some(&mut writer, 20);
            writer.close().unwrap();
        }
        self.storage.open(id)
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.storage.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.storage.sync_dir()
    }
}

#[test]
fn b35_a_reader_beside_a_writer_that_closes_misses_nothing() {
    let (storage, end, _) = closed();
    let writer = RefCell::new(Some(open(storage.clone()).unwrap()));
    let beside = ReadOnlyLog::open(Beside { storage, writer }, config()).unwrap();
    assert!(beside.reader().end() > end, "it has looked again");
}
