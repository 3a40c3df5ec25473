//! Which files there are: none before something is kept, one afterwards, none left behind.

use annals_core::{CheckpointName, EventKind, FileId, MetaSync, Storage as _, StorageFile as _};
use annals_tests::sim_disk::{Fault, OperationKind, SimDisk};

use crate::store::{append, consumer, meta_files, open, open_read_only, try_open};

const KIND: EventKind = EventKind::new(1, 1);

#[test]
fn b34_a_store_that_keeps_nothing_has_no_meta_file() {
    let disk = SimDisk::new(0);
    for _ in 0..5 {
        let mut log = open(&disk);
        append(&mut log, KIND).unwrap();
        log.remove_checkpoint(CheckpointName::consumer("nobody"), MetaSync::Now).unwrap();
        log.sync_meta().unwrap();
        log.close().unwrap();
    }
    assert_eq!(meta_files(&disk), []);
}

#[test]
fn b34_opening_five_times_leaves_no_new_file_behind() {
    for close in [true, false] {
        let disk = SimDisk::new(0);
        let mut log = open(&disk);
        append(&mut log, KIND).unwrap();
        log.name_kind(KIND, "kind").unwrap();
        log.close().unwrap();
        let files = disk.peek_list();
        let bytes: Vec<_> = files.iter().map(|id| disk.peek(*id)).collect();
        for _ in 0..5 {
            let mut log = open(&disk);
            log.name_kind(KIND, "kind").unwrap();
            assert_eq!(log.kind_for_name("kind").unwrap(), KIND);
            assert!(log.recovery().clean && log.recovery().removed.is_empty());
            if close {
                log.close().unwrap();
            }
            drop(open_read_only(&disk));
        }
        assert_eq!(disk.peek_list(), files);
        assert_eq!(files.iter().map(|id| disk.peek(*id)).collect::<Vec<_>>(), bytes);
    }
}

#[test]
fn b34_after_a_crash_there_is_still_one_file() {
    let disk = SimDisk::new(0);
    open(&disk).name_kind(KIND, "kind").unwrap();
    disk.power_cut(1);
    for _ in 0..5 {
        let log = open(&disk);
        assert_eq!(log.reader().kind_named("kind"), Some(KIND));
        drop(log);
        disk.restart_process();
        assert_eq!(meta_files(&disk), [FileId::meta(2)], "the first opening made it durable");
    }
}

#[test]
fn a_store_begun_by_its_meta_log_keeps_its_identity() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let store_id = log.store_id();
    log.name_kind(KIND, "kind").unwrap();
    drop(log);
    let mut log = open(&disk);
    assert_eq!(log.store_id(), store_id);
    append(&mut log, KIND).unwrap();
    log.close().unwrap();
    let log = open(&disk);
    assert_eq!(log.store_id(), store_id);
    assert_eq!(log.recovery().meta_damage, []);
    assert_eq!(log.reader().kind_named("kind"), Some(KIND));
}

#[test]
fn a_file_that_is_mostly_dead_is_replaced_by_one_that_is_not() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    log.name_kind(KIND, "kind").unwrap();
    let mut largest = 0;
    for round in 0..2_000_u64 {
        let value = [&round.to_le_bytes()[..], &[7; 1_000]].concat();
        let name = ["a", "b", "c"][usize::try_from(round % 3).unwrap()];
        let sync = if round % 5 == 0 { MetaSync::Now } else { MetaSync::Later };
        log.set_checkpoint(CheckpointName::consumer(name), &value, sync).unwrap();
        largest = largest.max(log.meta_stats().file_bytes);
        assert_eq!(meta_files(&disk), [log.meta_stats().file.unwrap()]);
    }
    assert!(largest < 80 * 1024, "{largest}");
    assert!(log.meta_stats().file.unwrap().number > 10);
    log.close().unwrap();
    let log = open(&disk);
    for (name, round) in [("a", 1_998_u64), ("b", 1_999), ("c", 1_997)] {
        assert_eq!(consumer(&log, name).unwrap()[..8], round.to_le_bytes());
    }
    assert_eq!(log.reader().kind_named("kind"), Some(KIND));
}

#[test]
fn a_replacement_that_fails_loses_nothing_and_is_tried_again_later() {
    let create = second_create(&replacing(8, None));
    // create, write, sync_data.
    for failing in create..create + 3 {
        for fault in [Fault::Io, Fault::NoSpace] {
            let disk = replacing(8, Some((failing, fault)));
            let creates = creates(&disk);
            assert!(creates.len() > 3, "it was tried again: {creates:?}");
            assert_eq!(disk.retried_sync_count(), 0);
            assert_eq!(meta_files(&disk).len(), 1);
        }
    }
}

/// Sets a checkpoint until its file was replaced a few times, and cuts the power after each.
fn replacing(seed: u64, fault: Option<(u64, Fault)>) -> SimDisk {
    let disk = SimDisk::new(seed);
    let mut log = open(&disk);
    if let Some((operation, fault)) = fault {
        disk.fail_at(operation, fault);
    }
    for round in 0..300_u64 {
        let mut value = round.to_le_bytes().to_vec();
        value.resize(1_000, 0);
        log.set_checkpoint(CheckpointName::consumer("a"), &value, MetaSync::Now).unwrap();
        let cut = disk.fork();
        cut.clear_faults();
        cut.power_cut(round);
        assert_eq!(consumer(&open(&cut), "a").unwrap()[..8], round.to_le_bytes());
    }
    disk
}

fn creates(disk: &SimDisk) -> Vec<u64> {
    let trace = disk.trace();
    let creates = trace.iter().filter(|operation| operation.kind == OperationKind::Create);
    creates.map(|operation| operation.number).collect()
}

fn second_create(disk: &SimDisk) -> u64 {
    creates(disk)[1]
}

#[test]
fn the_old_file_stays_until_the_name_of_the_new_one_is_known_to_be_durable() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let name = CheckpointName::consumer("a");
        open(&disk).set_checkpoint(name, b"1", MetaSync::Now).unwrap();
        disk.restart_process();
        // Opening writes a fresh file. The sync of its name fails, and the process ends.
        let probe = disk.fork();
        drop(open(&probe));
        let trace = probe.trace();
        let sync_dir = trace.iter().find(|operation| operation.kind == OperationKind::SyncDir);
        disk.fail_at(sync_dir.unwrap().number, Fault::Io);
        assert!(try_open(&disk).is_err());
        disk.restart_process();
        assert_eq!(meta_files(&disk), [1, 2].map(FileId::meta));
        assert_eq!(consumer(&open(&disk), "a").as_deref(), Some(&b"1"[..]));
        assert_eq!(meta_files(&disk), [FileId::meta(3)]);
        disk.power_cut(seed);
        assert_eq!(consumer(&open(&disk), "a").as_deref(), Some(&b"1"[..]), "seed {seed}");
    }
}

#[test]
fn b36_a_half_made_newer_file_is_removed_and_the_older_one_counts() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    log.name_kind(KIND, "kind").unwrap();
    log.close().unwrap();
    let whole = disk.peek(FileId::meta(1)).unwrap();
    for bytes in [vec![], vec![0; 500], whole[..40].to_vec(), whole[..64].to_vec(), vec![7; 300]] {
        let disk = disk.fork();
        let newer = disk.create(FileId::meta(2)).unwrap();
        newer.write_all_at(&bytes, 0).unwrap();
        let reader = open_read_only(&disk).reader();
        assert_eq!(reader.kind_named("kind"), Some(KIND));

        let mut log = open(&disk);
        assert_eq!(log.reader().kind_named("kind"), Some(KIND));
        assert_eq!(log.recovery().removed, [FileId::meta(2)]);
        assert_eq!(log.recovery().meta_damage, []);
        assert_eq!(meta_files(&disk), [FileId::meta(1)]);
        log.set_checkpoint(CheckpointName::consumer("a"), b"1", MetaSync::Now).unwrap();
        disk.power_cut(3);
        let log = open(&disk);
        assert_eq!(consumer(&log, "a").as_deref(), Some(&b"1"[..]));
        assert_eq!(log.reader().kind_named("kind"), Some(KIND));
    }
}
