//! What a directory keeps of what was read: nothing that was changed, cut off, removed or erased
//! since, nothing that another process may change, and no more than it may.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use annals::{
    CompactionConfig, CompactionStrategy, Coordinate, EventKind, FileId, FsFile, FsOptions,
    FsStorage, Payload, Storage, StorageErrorKind, StorageFile as _, Store, StoreConfig,
};

const ONE: FileId = FileId::segment(1);

fn open(dir: &Path) -> FsStorage {
    FsStorage::open(dir, FsOptions::default()).unwrap()
}

fn with_file(dir: &Path, bytes: &[u8]) -> (FsStorage, FsFile) {
    let storage = open(dir);
    let file = storage.create(ONE).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (storage, file)
}

/// Reads twice, since what is read once is not kept.
fn committed(file: &FsFile, offset: u64, count: usize) -> Vec<u8> {
    let (mut first, mut second) = (vec![0; count], vec![0; count]);
    file.read_committed_at(&mut first, offset).unwrap();
    file.read_committed_at(&mut second, offset).unwrap();
    assert_eq!(first, second);
    second
}

fn sealed(file: &FsFile, offset: u64, count: usize) -> Vec<u8> {
    let (mut first, mut second) = (vec![0; count], vec![0; count]);
    file.read_sealed_at(&mut first, offset).unwrap();
    file.read_sealed_at(&mut second, offset).unwrap();
    assert_eq!(first, second);
    second
}

fn plain(file: &FsFile, offset: u64, count: usize) -> Vec<u8> {
    let mut buf = vec![0; count];
    file.read_exact_at(&mut buf, offset).unwrap();
    buf
}

/// Changes a file behind the back of its storage, so that a read tells where it was answered from.
fn change_behind(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join(ONE.name()), bytes).unwrap();
}

#[test]
fn a_committed_read_is_kept_the_second_time_and_answered_from_memory_then() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, file) = with_file(dir.path(), b"one two three");
    file.read_committed_at(&mut [0; 3], 4).unwrap();
    assert_eq!(storage.read_cache_bytes(), 0, "who reads all of it once keeps nothing");
    assert_eq!(committed(&file, 4, 3), b"two");
    assert!(storage.read_cache_bytes() > 0);
    change_behind(dir.path(), b"ONE TWO THREE");
    assert_eq!(committed(&file, 4, 3), b"two");
    assert_eq!(sealed(&file, 4, 3), b"two");
    // A shorter one from the same place too, a longer one not.
    assert_eq!(committed(&file, 4, 2), b"tw");
    assert_eq!(committed(&file, 4, 5), b"TWO T");
    assert_eq!(plain(&file, 4, 3), b"TWO", "who proves a file reads the file");
}

#[test]
fn a_write_through_the_storage_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, file) = with_file(dir.path(), b"one two three");
    let other = storage.open(ONE).unwrap();
    assert_eq!((committed(&file, 0, 3), committed(&other, 4, 3)), (b"one".into(), b"two".into()));
    other.write_all_at(b"TWO", 4).unwrap();
    assert_eq!(committed(&file, 4, 3), b"TWO");
    assert_eq!(committed(&other, 4, 3), b"TWO");
}

#[test]
fn an_append_leaves_what_is_before_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, file) = with_file(dir.path(), b"one two");
    assert_eq!(committed(&file, 4, 3), b"two");
    file.write_all_at(b" three", 7).unwrap();
    change_behind(dir.path(), b"ONE TWO THREE");
    assert_eq!(committed(&file, 4, 3), b"two");
}

#[test]
fn what_was_cut_off_and_written_anew_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, file) = with_file(dir.path(), b"one two three");
    assert_eq!(committed(&file, 8, 5), b"three");
    file.set_len(8).unwrap();
    let error = file.read_committed_at(&mut [0; 5], 8).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::OutOfBounds);
    file.write_all_at(b"THREE", 8).unwrap();
    assert_eq!(committed(&file, 8, 5), b"THREE");
}

#[test]
fn a_removed_file_is_forgotten_and_its_number_holds_other_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, old) = with_file(dir.path(), b"old");
    assert_eq!(sealed(&old, 0, 3), b"old");
    storage.remove(ONE).unwrap();
    assert_eq!(storage.read_cache_bytes(), 0);

    let new = storage.create(ONE).unwrap();
    new.write_all_at(b"new", 0).unwrap();
    for _ in 0..2 {
        assert_eq!((sealed(&old, 0, 3), sealed(&new, 0, 3)), (b"old".into(), b"new".into()));
    }
    drop(new);
    storage.remove(ONE).unwrap();
    assert_eq!(sealed(&old, 0, 3), b"old");
    assert!(storage.read_cache_bytes() > 0, "a handle reads on");
    drop(old);
    assert_eq!(storage.read_cache_bytes(), 0, "nobody can ask for it any more");
}

#[test]
fn a_reader_beside_a_writer_keeps_nothing_but_what_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, file) = with_file(dir.path(), b"one two");
    let beside = FsStorage::open_read_only(dir.path(), FsOptions::default()).unwrap();
    let seen = beside.open(ONE).unwrap();
    assert_eq!(committed(&seen, 0, 3), b"one");
    assert_eq!(beside.read_cache_bytes(), 0);
    file.write_all_at(b"ONE", 0).unwrap();
    assert_eq!(committed(&seen, 0, 3), b"ONE");

    assert_eq!(sealed(&seen, 4, 3), b"two");
    assert!(beside.read_cache_bytes() > 0);
}

#[test]
fn a_file_that_outlives_its_storage_keeps_no_more_than_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, file) = with_file(dir.path(), b"one");
    file.sync_data().unwrap();
    drop(storage);
    assert_eq!(committed(&file, 0, 3), b"one");
    let next = open(dir.path());
    next.open(ONE).unwrap().write_all_at(b"ONE", 0).unwrap();
    assert_eq!(committed(&file, 0, 3), b"ONE");
}

#[test]
fn no_more_is_kept_than_was_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = 64 * 1024;
    for bytes in [0, allowed] {
        let options = FsOptions::default().with_read_cache_bytes(bytes);
        let storage = FsStorage::open(dir.path(), options).unwrap();
        let number = 1 + bytes as u64;
        let file = storage.create(FileId::segment(number)).unwrap();
        let all: Vec<u8> = (0..400_000_u32).flat_map(|at| at.to_le_bytes()).collect();
        file.write_all_at(&all, 0).unwrap();
        for at in (0..all.len() - 200).step_by(200) {
            assert_eq!(sealed(&file, at as u64, 200), all[at..at + 200]);
            assert_eq!(sealed(&file, at as u64, 200), all[at..at + 200]);
        }
        let kept = storage.read_cache_bytes();
        assert!(kept <= bytes as u64 && (kept > 0) == (bytes > 0), "{kept} of {bytes}");
        // A long read is not kept.
        let before = storage.read_cache_bytes();
        assert_eq!(sealed(&file, 8, 100_000), all[8..100_008]);
        assert_eq!(storage.read_cache_bytes(), before);
    }
}

#[test]
fn an_allowance_larger_than_memory_allocates_none_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_read_cache_bytes(usize::MAX);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    let file = storage.create(ONE).unwrap();
    file.write_all_at(b"one two", 0).unwrap();
    assert_eq!(committed(&file, 4, 3), b"two");
    assert!((1..1000).contains(&storage.read_cache_bytes()));
}

#[test]
fn events_that_are_read_in_turn_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, file) = with_file(dir.path(), &vec![b'x'; 8_000 * 100]);
    sealed(&file, 0, 100);
    let one = storage.read_cache_bytes();
    for _ in 0..2 {
        for at in 0..8_000 {
            file.read_sealed_at(&mut [0; 100], at * 100).unwrap();
        }
    }
    // Where it is noted which were read once, a few share a place with many.
    assert!(storage.read_cache_bytes() > 7_800 * one, "{}", storage.read_cache_bytes() / one);
}

#[test]
fn readers_beside_a_writer_never_see_less_than_was_written_before() {
    let dir = tempfile::tempdir().unwrap();
    // Each byte counts up to this and is left alone then: one byte is never torn.
    const TOP: u64 = 200;
    let last = 100 * TOP - 1;
    let (storage, file) = with_file(dir.path(), &[0; 100]);
    file.write_all_at(&[1], 0).unwrap();
    let written = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            let file = storage.open(ONE).unwrap();
            let written = &written;
            scope.spawn(move || {
                loop {
                    let before = written.load(Ordering::SeqCst);
                    let mut seen = [0];
                    file.read_committed_at(&mut seen, before / TOP).unwrap();
                    let seen = u64::from(seen[0]);
                    assert!(seen > before % TOP, "{seen} after {before}");
                    if before == last {
                        return;
                    }
                }
            });
        }
        for number in 1..=last {
            let byte = u8::try_from(number % TOP + 1).unwrap();
            file.write_all_at(&[byte], number / TOP).unwrap();
            written.store(number, Ordering::SeqCst);
        }
    });
}

#[test]
fn b37_what_is_erased_is_neither_kept_nor_answered() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let config = StoreConfig::new("").with_segment_max_bytes(8 * 1024);
    let store = Store::open_in(storage.clone(), config).unwrap();
    let (ada, bob) = ("person:ada", "person:bob");
    for number in 0..200_u64 {
        let at = Coordinate::new(if number % 2 == 0 { ada } else { bob }, "shop").unwrap();
        store.append(&at, EventKind::new(1, 1), Payload::raw(number.to_le_bytes())).unwrap();
    }
    let payloads = |entity: &str| -> Vec<Option<Vec<u8>>> {
        let events = store.stream(entity).map(|event| event.unwrap().payload);
        events.map(|payload| payload.bytes().map(<[u8]>::to_vec)).collect()
    };
    let (of_ada, of_bob) = (payloads(ada), payloads(bob));
    assert_eq!((payloads(ada), payloads(bob)), (of_ada.clone(), of_bob.clone()));
    assert_eq!((payloads(ada), payloads(bob)), (of_ada.clone(), of_bob.clone()));
    assert!(storage.read_cache_bytes() > 0);

    store.erase(annals::Region::stream(ada)).unwrap();
    for _ in 0..2 {
        assert_eq!(payloads(ada), vec![None; 100]);
        assert_eq!(payloads(bob), of_bob);
    }
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
    store.compact(&merge, |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(storage.read_cache_bytes(), 0, "every file was replaced");
    for _ in 0..2 {
        assert_eq!((payloads(ada), payloads(bob)), (vec![None; 100], of_bob.clone()));
    }
}
