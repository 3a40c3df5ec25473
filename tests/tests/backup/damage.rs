//! Damaged streams are refused with the place, never taken in, and never believed about lengths.

use crate::stream::{host, open};
use annals_core::{
    Append, BackupError, Coordinate, EventKind, ExportOptions, Import, Log, LogConfig,
    MemoryStorage, Payload, Sequence, Storage, StoreError,
};
use annals_tests::backup::{append_some, backup, events, feed, restore};
use annals_tests::sim_disk::SimDisk;

fn small_backup() -> (Log<MemoryStorage, annals_tests::conformance::TestHost>, Vec<u8>) {
    let mut log = open(MemoryStorage::new(), 1);
    log.name_kind(EventKind::new(1, 1), "order.placed").unwrap();
    for n in 0..2 {
        let at = Coordinate::new("order:5", "shop").unwrap();
        log.append(&Append::new(at, EventKind::new(1, 1), Payload::raw(format!("{n}")))).unwrap();
    }
    let whole = backup(&log, &ExportOptions::default());
    (log, whole)
}

/// The import of these bytes is refused, as damage, and nothing of it is left.
fn refused(storage: &MemoryStorage, bytes: &[u8], what: &str) {
    let before = storage.list().unwrap();
    let mut import = Import::new(storage.clone(), host(1));
    let fed = feed(&mut import, bytes, 4_096);
    let error = fed.and_then(|()| import.publish().map(|_| ())).expect_err(what);
    match &error {
        BackupError::Damaged { offset, .. } => {
            assert!(*offset <= bytes.len() as u64, "{what}: {error}");
        }
        BackupError::NewerBackup { .. } => {}
        error => panic!("{what}: {error}"),
    }
    drop(import);
    assert_eq!(storage.list().unwrap(), before, "{what}");
}

#[test]
fn b38_every_flipped_byte_of_a_backup_is_found() {
    let (_, whole) = small_backup();
    for at in 0..whole.len() {
        for mask in [1, 0x80, 0xFF] {
            let mut bent = whole.clone();
            bent[at] ^= mask;
            refused(&MemoryStorage::new(), &bent, &format!("byte {at} with {mask:#x}"));
        }
    }
}

#[test]
fn b38_every_truncation_of_a_backup_is_found() {
    let (_, whole) = small_backup();
    for len in 0..whole.len() {
        refused(&MemoryStorage::new(), &whole[..len], &format!("{len} bytes"));
    }
    let longer = [&whole[..], b"!"].concat();
    refused(&MemoryStorage::new(), &longer, "one byte more");
    let twice = [&whole[..], &whole[..]].concat();
    refused(&MemoryStorage::new(), &twice, "all of it twice");
}

#[test]
fn b38_every_flipped_byte_of_a_continuing_backup_is_found() {
    let (mut log, whole) = small_backup();
    let storage = MemoryStorage::new();
    restore(storage.clone(), host(1), &whole, 999).unwrap();
    let from = log.reader().end();
    append_some(&mut log, 1);
    let more = backup(&log, &ExportOptions::default().with_from(from));
    // Its first try seals what is there.
    drop(Import::new(storage.clone(), host(1)));
    for at in 0..more.len() {
        let mut bent = more.clone();
        bent[at] ^= 0x10;
        let copy = storage.fork();
        assert!(restore(copy.clone(), host(1), &bent, 999).is_err(), "byte {at}");
        assert_eq!(open(copy, 2).reader().end(), from, "byte {at}");
    }
    for len in 0..more.len() {
        let copy = storage.fork();
        assert!(restore(copy.clone(), host(1), &more[..len], 999).is_err(), "{len} bytes");
        assert_eq!(open(copy, 2).reader().end(), from, "{len} bytes");
    }
}

#[test]
fn b38_the_place_of_damage_is_told() {
    let (_, mut whole) = small_backup();
    let at = whole.windows(6).rposition(|window| window == b"order:").unwrap();
    whole[at] ^= 1;
    let error = restore(MemoryStorage::new(), host(1), &whole, 999).unwrap_err();
    let BackupError::Damaged { offset, section, expected, found } = &error else {
        panic!("{error}")
    };
    assert_eq!(*section, 3, "begin, values, a segment, its data");
    assert!(*offset < at as u64 && at as u64 - offset < 1_000, "{offset} for {at}");
    assert!(expected.starts_with("a section with crc32") && expected != found, "{error}");
}

#[test]
fn b38_no_backup_is_made_of_a_damaged_store() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone(), 1);
    append_some(&mut log, 20);
    drop(log);
    let files = disk.peek_list();
    for id in files.into_iter().filter(|id| id.kind == annals_core::FileKind::Segment) {
        let len = disk.peek(id).unwrap().len() as u64;
        for offset in (0..len).step_by(97) {
            let rotten = disk.fork();
            rotten.rot(id, offset, 4);
            let Ok(log) = Log::open(rotten, host(1), LogConfig::default()) else { continue };
            let whole = log
                .export(&ExportOptions::default())
                .and_then(|mut export| annals_tests::backup::bytes_of(&mut export, 4_096));
            match whole {
                Err(BackupError::Store(StoreError::Corruption(found))) => {
                    assert_eq!(found.file, id, "{found}");
                }
                Err(error) => panic!("{id} at {offset}: {error}"),
                // A torn tail that nothing vouches for was cut.
                Ok(_) => assert!(log.recovery().torn_tail.is_some(), "{id} at {offset}"),
            }
        }
    }
}

#[test]
fn b38_a_copy_whose_tail_was_cut_takes_in_what_it_lacks() {
    let (mut log, whole) = small_backup();
    append_some(&mut log, 2);
    let storage = MemoryStorage::new();
    restore(storage.clone(), host(1), &whole, 999).unwrap();
    let options = ExportOptions::default().with_from(Sequence::new(2));
    restore(storage.clone(), host(1), &backup(&log, &options), 999).unwrap();
    assert!(events(&open(storage, 1).reader()) == events(&log.reader()));
}
