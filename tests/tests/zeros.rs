//! Zeros that are written ahead of the tail: what they spare, and that nothing depends on them.
#![expect(clippy::unwrap_used, reason = "tests")]

use annals_core::{
    Append, Coordinate, Durability, EventKind, FileId, Log, LogConfig, Payload, Region, Storage,
};
use annals_tests::conformance::TestHost;
use annals_tests::sim_disk::{OperationKind, SimDisk};

const AHEAD: u64 = 4_000;
const SEGMENT: FileId = FileId::segment(1);

fn config() -> LogConfig {
    LogConfig::default().with_zeros_ahead_bytes(AHEAD)
}

fn open<S: Storage>(storage: S, config: LogConfig) -> Log<S, TestHost> {
    Log::open(storage, TestHost::new(1).with_step_us(1_000), config).unwrap()
}

fn event(len: usize) -> Append {
    let at = Coordinate::new("order:1", "shop").unwrap();
    Append::new(at, EventKind::new(1, 1), Payload::raw("x".repeat(len)))
}

fn len(disk: &SimDisk) -> usize {
    disk.peek(SEGMENT).unwrap().len()
}

/// The lengths that the file has after each of so many appends.
fn lengths(disk: &SimDisk, log: &mut Log<SimDisk, TestHost>, appends: usize) -> Vec<usize> {
    let append = |_| {
        log.append(&event(50)).unwrap();
        len(disk)
    };
    (0..appends).map(append).collect()
}

#[test]
fn most_synced_appends_leave_the_length_of_the_file_as_it_is() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone(), config());
    let mut lengths = lengths(&disk, &mut log, 100);
    assert!(lengths[3] < 1_000, "a small segment stays small: {lengths:?}");
    lengths.dedup();
    // A quarter of the zeros' length is grown over, then they are written some three times.
    assert!(lengths.len() < 12, "{lengths:?}");
    let calls = disk.trace();
    let syncs = calls.iter().filter(|call| call.kind == OperationKind::SyncData).count();
    assert!(syncs < 110, "they have no syncs of their own");
}

#[test]
fn a_store_closes_and_seals_to_the_same_bytes_with_zeros_as_without() {
    for seal_on_close_bytes in [1, u64::MAX] {
        let files = |ahead: u64| {
            let disk = SimDisk::new(1);
            let config = config()
                .with_zeros_ahead_bytes(ahead)
                .with_segment_max_bytes(8 * 1024)
                .with_seal_on_close_bytes(seal_on_close_bytes);
            let mut log = open(disk.clone(), config);
            let grown = lengths(&disk, &mut log, 120);
            log.close().unwrap();
            let files: Vec<_> = disk.peek_list().iter().map(|id| disk.peek(*id)).collect();
            (files, grown)
        };
        let ((with, filled), (without, grown)) = (files(AHEAD), files(0));
        assert_ne!(filled, grown);
        assert_eq!(with, without);
    }
}

#[test]
fn b11_a_disk_that_is_too_full_for_zeros_takes_events_for_as_long_as_they_fit() {
    let written = {
        let disk = SimDisk::new(1);
        lengths(&disk, &mut open(disk.clone(), config().with_zeros_ahead_bytes(0)), 100)
    };
    for appends in [20, 50, 100] {
        let disk = SimDisk::new(1);
        let mut log = open(disk.clone(), config());
        disk.set_space_max(Some(written[appends - 1] as u64));
        for append in 0..appends {
            log.append(&event(50)).unwrap_or_else(|error| panic!("{append}: {error}"));
        }
        log.append(&event(50)).unwrap_err();
        disk.set_space_max(None);
        log.append(&event(50)).unwrap();
        drop(log);
        disk.power_cut(7);
        let log = open(disk, config());
        assert_eq!(log.reader().query(&Region::all()).count(), appends + 1);
    }
}

#[test]
fn what_is_not_synced_or_large_has_no_zeros_behind_it() {
    for (config, len_of_event) in [
        (config().with_durability(Durability::OnSync), 50),
        (config(), usize::try_from(AHEAD / 2).unwrap()),
    ] {
        let disk = SimDisk::new(1);
        let mut log = open(disk.clone(), config);
        for _ in 0..60 {
            log.append(&event(len_of_event)).unwrap();
        }
        let before = len(&disk);
        log.append(&event(len_of_event)).unwrap();
        assert!(len(&disk) > before);
        assert_ne!(disk.peek(SEGMENT).unwrap()[before - 8..], [0; 8]);
    }
}

#[test]
fn b36_zeros_that_a_crash_has_left_serve_the_next_writer() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone(), config());
    let filled = *lengths(&disk, &mut log, 12).last().unwrap();
    drop(log);
    disk.restart_process();
    let mut log = open(disk.clone(), config());
    assert!(log.recovery().torn_tail.is_none());
    assert_eq!(lengths(&disk, &mut log, 5), [filled; 5]);
}
