//! The simulated disk itself: each fault does what it says, and nothing synced is ever lost.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use annals::{FileId, Storage as _, StorageErrorKind, StorageFile as _};
use annals_tests::sim_disk::{
    Fault, FaultRates, Operation, OperationKind, Outcome, Random, SimDisk, SimFile, for_each_seed,
};
use proptest::prelude::*;

const FILE: FileId = FileId::segment(1);

#[test]
fn unsynced_bytes_survive_in_every_way() {
    let old: Vec<u8> = (0..2_000_u32).map(|index| index.to_le_bytes()[0] & 0x7F).collect();
    let written: Vec<u8> = old[500..1_500].iter().map(|byte| byte | 0x80).collect();
    let disk = disk_with_synced(&old);
    let file = disk.open(FILE).unwrap();
    file.write_all_at(&written, 500).unwrap();
    let mut outcomes = BTreeSet::new();
    for_each_seed("unsynced bytes", 400, |seed| {
        let cut = disk.fork();
        cut.power_cut(seed);
        let bytes = cut.peek(FILE).unwrap();
        assert_eq!(bytes.len(), old.len());
        assert!(bytes.iter().zip(&old).all(|(byte, old)| byte & 0x7F == *old), "no other byte");
        let new: Vec<_> = (0..2_000).filter(|index| bytes[*index] >= 0x80).collect();
        assert!(new.iter().all(|index| (500..1_500).contains(index)), "only the written range");
        outcomes.insert(match (new.first(), new.last()) {
            (Some(500), Some(1_499)) if new.len() == 1_000 => "whole",
            (Some(500), Some(last)) if new.len() == last - 499 => "prefix",
            (Some(first), Some(1_499)) if new.len() == 1_500 - first => "suffix",
            (Some(_), Some(_)) => "mix",
            _ => "lost",
        });
    });
    if std::env::var_os("ANNALS_SEED").is_none() {
        let all = ["lost", "mix", "prefix", "suffix", "whole"];
        assert_eq!(outcomes, BTreeSet::from(all));
    }
}

#[test]
fn an_unsynced_set_len_and_growth_survive_or_not() {
    let mut lens = BTreeSet::new();
    let disk = disk_with_synced(&[1; 100]);
    let file = disk.open(FILE).unwrap();
    file.set_len(40).unwrap();
    file.write_all_at(&[2; 10], 200).unwrap();
    for_each_seed("unsynced lengths", 400, |seed| {
        let cut = disk.fork();
        cut.power_cut(seed);
        let bytes = cut.peek(FILE).unwrap();
        assert!(bytes[..40].iter().all(|byte| *byte == 1));
        assert!(bytes.iter().skip(100).take(100).all(|byte| *byte == 0), "growth reads as zero");
        lens.insert(bytes.len());
    });
    if std::env::var_os("ANNALS_SEED").is_none() {
        assert!(lens.is_superset(&BTreeSet::from([40, 100, 205, 210])), "{lens:?}");
    }
}

#[test]
fn names_are_durable_only_after_a_sync_of_the_directory() {
    let disk = SimDisk::new(0);
    disk.create(FileId::meta(1)).unwrap();
    disk.sync_dir().unwrap();
    let file = disk.create(FILE).unwrap();
    file.write_all_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    disk.remove(FileId::meta(1)).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let cut = disk.fork();
        cut.power_cut(seed);
        seen.insert(cut.peek_list());
    }
    assert_eq!(seen.len(), 4, "each name independently: {seen:?}");

    disk.sync_dir().unwrap();
    for seed in 0..100 {
        let cut = disk.fork();
        cut.power_cut(seed);
        assert_eq!(cut.peek_list(), [FILE]);
        assert_eq!(cut.peek(FILE).unwrap(), b"synced");
    }
}

#[test]
fn handles_are_dead_after_a_power_cut_and_the_disk_is_not() {
    let disk = disk_with_synced(b"bytes");
    let file = disk.open(FILE).unwrap();
    disk.power_cut(0);
    assert_eq!(file.len().unwrap_err().kind(), StorageErrorKind::Other);
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.sync_data().is_err());
    assert_eq!(read(&disk.open(FILE).unwrap()), b"bytes");
}

#[test]
fn a_planned_power_loss_stops_everything_until_the_cut() {
    let disk = disk_with_synced(b"bytes");
    let file = disk.open(FILE).unwrap();
    disk.fail_at(disk.operation_count() + 1, Fault::PowerLoss);
    file.write_all_at(b"before", 0).unwrap();
    assert!(file.write_all_at(b"after!", 0).is_err());
    assert!(disk.list().unwrap_err().to_string().contains("no power"));
    disk.power_cut(3);
    let bytes = disk.peek(FILE).unwrap();
    assert!(!bytes.windows(3).any(|bytes| bytes == b"aft"), "the write came too late");
    disk.list().unwrap();
}

#[test]
fn an_io_error_strikes_the_planned_operation_only() {
    let disk = disk_with_synced(&[1; 64]);
    let file = disk.open(FILE).unwrap();
    disk.fail_at(disk.operation_count() + 1, Fault::Io);
    file.write_all_at(&[2; 8], 0).unwrap();
    let error = file.write_all_at(&[3; 8], 16).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Other);
    assert!(error.to_string().contains("simulated fault"), "{error}");
    file.write_all_at(&[4; 8], 32).unwrap();
    let bytes = disk.peek(FILE).unwrap();
    assert_eq!(bytes[..16], [[2; 8], [1; 8]].concat());
    assert!(bytes[16..24].iter().all(|byte| [1, 3].contains(byte)), "only its own range");
    assert_eq!(bytes[24..40], [[1; 8], [4; 8]].concat());
}

#[test]
fn a_failed_read_is_never_the_end_of_the_file() {
    let disk = disk_with_synced(&[1; 64]);
    let file = disk.open(FILE).unwrap();
    disk.fail_at(disk.operation_count(), Fault::Io);
    let error = file.read_exact_at(&mut [0; 64], 0).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Other);
    assert_eq!(read(&file), [1; 64], "the bytes are still there");
}

#[test]
fn growth_beyond_the_space_fails_and_overwriting_goes_on() {
    let disk = disk_with_synced(&[1; 100]);
    let file = disk.open(FILE).unwrap();
    disk.set_space_max(Some(110));
    let error = file.write_all_at(&[2; 50], 90).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NoSpace);
    let len = file.len().unwrap();
    assert!((100..=110).contains(&len), "{len}");
    file.write_all_at(&[3; 100], 0).unwrap();
    assert_eq!(file.set_len(111).unwrap_err().kind(), StorageErrorKind::NoSpace);
    file.set_len(110).unwrap();
    assert_eq!(disk.create(FileId::meta(1)).unwrap_err().kind(), StorageErrorKind::NoSpace);
    file.set_len(50).unwrap();
    disk.create(FileId::meta(1)).unwrap();
    file.write_all_at(&[4; 60], 50).unwrap();
}

#[test]
fn a_failed_sync_drops_what_can_still_be_read() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = disk.create(FILE).unwrap();
        disk.sync_dir().unwrap();
        file.write_all_at(b"old", 0).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(b"new", 0).unwrap();
        disk.fail_at(disk.operation_count(), Fault::Io);
        file.sync_data().unwrap_err();
        assert_eq!(disk.retried_sync_count(), 0);
        file.sync_data().unwrap_err();
        disk.open(FILE).unwrap().sync_data().unwrap_err();
        assert_eq!(disk.retried_sync_count(), 2, "retrying is counted and never succeeds");
        assert_eq!(read(&file), b"new", "the page cache has it");

        // A new process may sync again, and is told that all is well.
        disk.restart_process();
        let file = disk.open(FILE).unwrap();
        assert_eq!(read(&file), b"new");
        file.sync_data().unwrap();
        let evicted = disk.fork();
        evicted.drop_caches();
        disk.power_cut(seed);
        assert_eq!(disk.peek(FILE), evicted.peek(FILE), "both show what is stable");
        lost += u32::from(disk.peek(FILE).unwrap() != b"new");
    }
    assert!((10..50).contains(&lost), "lost {lost} of 50");
}

#[test]
fn a_failed_sync_of_the_directory_is_never_retried() {
    let disk = SimDisk::new(0);
    disk.create(FILE).unwrap();
    disk.fail_at(disk.operation_count(), Fault::Io);
    disk.sync_dir().unwrap_err();
    disk.sync_dir().unwrap_err();
    assert_eq!(disk.retried_sync_count(), 1);
    disk.restart_process();
    disk.sync_dir().unwrap();
}

#[test]
fn a_killed_process_loses_nothing_it_wrote() {
    let disk = SimDisk::new(0);
    let file = disk.create(FILE).unwrap();
    file.write_all_at(b"unsynced", 0).unwrap();
    disk.restart_process();
    assert!(file.len().is_err());
    assert_eq!(read(&disk.open(FILE).unwrap()), b"unsynced");
}

#[test]
fn rot_flips_stable_bits_for_good() {
    let disk = disk_with_synced(&[0b1010; 10]);
    let file = disk.open(FILE).unwrap();
    disk.rot(FILE, 3, 0b0110);
    assert_eq!(read(&file)[2..5], [0b1010, 0b1100, 0b1010]);
    disk.power_cut(0);
    assert_eq!(disk.peek(FILE).unwrap()[3], 0b1100);

    let before = disk.peek(FILE).unwrap();
    let (offset, mask) = disk.rot_anywhere(FILE, 5).unwrap();
    let mut expected = before;
    expected[usize::try_from(offset).unwrap()] ^= mask;
    assert_eq!(disk.peek(FILE).unwrap(), expected);
    assert_eq!(disk.rot_anywhere(FileId::meta(9), 5), None);
}

#[test]
fn a_panic_leaves_a_usable_disk() {
    let disk = disk_with_synced(b"bytes");
    let file = disk.open(FILE).unwrap();
    disk.fail_at(disk.operation_count(), Fault::Panic);
    let panicked = catch_unwind(AssertUnwindSafe(|| file.write_all_at(b"x", 0)));
    assert!(panicked.is_err());
    assert_eq!(read(&file), b"bytes", "the write did nothing");
    let trace = disk.trace();
    assert!(trace.iter().any(|operation| operation.outcome == Outcome::Panicked));
}

#[test]
fn a_slow_operation_is_overtaken_and_done_then() {
    let disk = disk_with_synced(b"bytes");
    let first = disk.operation_count();
    disk.set_fault_rates(FaultRates { slow_ppm: 300_000, ..FaultRates::default() });
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let file = disk.open(FILE).unwrap();
            scope.spawn(move || {
                for number in 0..2_000 {
                    file.write_all_at(&[7], 5 + 2 * number + thread).unwrap();
                }
            });
        }
    });
    assert_eq!(disk.peek(FILE).unwrap(), [b"bytes", &[7; 4_000][..]].concat());
    let slow = disk.trace().into_iter().filter(|operation| operation.number >= first);
    let slow: Vec<u64> = slow.map(|operation| operation.number).collect();
    assert_eq!(slow.len(), 4_002);
    assert!(!slow.is_sorted(), "some that began later were done earlier");
}

#[test]
fn random_faults_come_from_the_seed() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        disk.set_fault_rates(FaultRates::all(200_000));
        exercise(&disk, seed, 200);
        disk.trace()
    };
    let trace = run(7);
    assert_eq!(trace, run(7), "the same seed does the same");
    assert_ne!(trace, run(8));
    let faulty = |operation: &&Operation| matches!(operation.outcome, Outcome::Faulty(_));
    assert!(trace.iter().filter(faulty).count() > 10);
}

#[test]
fn the_trace_tells_every_operation() {
    let disk = disk_with_synced(b"bytes");
    disk.open(FileId::meta(9)).unwrap_err();
    let trace: Vec<_> = disk.trace().iter().map(ToString::to_string).collect();
    assert_eq!(
        trace,
        [
            "create 0000000001.seg",
            "sync_dir",
            "write_all_at 0000000001.seg 5 bytes at 0",
            "sync_data 0000000001.seg",
            "open 0000000009.meta: no such file",
        ]
    );
    assert_eq!(disk.operation_count(), 5);
}

#[test]
fn checkpoints_hold_the_disk_after_each_change() {
    let disk = SimDisk::new(0);
    disk.record_checkpoints();
    let file = disk.create(FILE).unwrap();
    disk.sync_dir().unwrap();
    for number in 0..10 {
        file.write_all_at(&[number], u64::from(number)).unwrap();
        read(&file);
    }
    let checkpoints = disk.take_checkpoints();
    assert_eq!(checkpoints.len(), 12);
    for (number, checkpoint) in (1..).zip(&checkpoints[2..]) {
        assert_eq!(checkpoint.operation.kind, OperationKind::WriteAllAt);
        assert_eq!(checkpoint.disk.peek(FILE).unwrap().len(), number);
        assert_eq!(checkpoint.disk.operation_count(), checkpoint.operation.number + 1);
        checkpoint.disk.create(FileId::meta(1)).unwrap();
    }
    assert_eq!(disk.peek_list(), [FILE], "a checkpoint shares nothing with the disk");
    assert!(disk.take_checkpoints().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Write { offset: u64, byte: u8, len: usize },
    SetLen(u64),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_000_u64, any::<u8>(), 1..2_000_usize)
            .prop_map(|(offset, byte, len)| Step::Write { offset, byte, len }),
        1 => (0..5_000_u64).prop_map(Step::SetLen),
        2 => Just(Step::Sync),
    ]
}

proptest! {
    #[test]
    fn synced_bytes_survive_every_power_cut(
        steps in prop::collection::vec(step(), 1..25),
        seeds in prop::collection::vec(any::<u64>(), 1..8),
    ) {
        let disk = SimDisk::new(0);
        let file = disk.create(FILE).unwrap();
        disk.sync_dir().unwrap();
        // What each byte may be after a cut: what it was when synced, or anything since.
        // Beyond the file's end a byte is `None`.
        let mut possible: Vec<BTreeSet<Option<u8>>> = vec![BTreeSet::from([None]); 5_000];
        for step in steps {
            match step {
                Step::Write { offset, byte, len } => {
                    file.write_all_at(&vec![byte; len], offset).unwrap();
                    let start = usize::try_from(offset).unwrap();
                    for (index, values) in possible.iter_mut().enumerate().take(start + len) {
                        if values.contains(&None) {
                            values.insert(Some(0));
                        }
                        if index >= start {
                            values.insert(Some(byte));
                        }
                    }
                }
                Step::SetLen(len) => {
                    file.set_len(len).unwrap();
                    for (index, values) in (0..).zip(&mut possible) {
                        values.insert(if index < len { Some(0) } else { None });
                    }
                }
                Step::Sync => {
                    file.sync_data().unwrap();
                    let bytes = disk.peek(FILE).unwrap();
                    for (index, values) in possible.iter_mut().enumerate() {
                        *values = BTreeSet::from([bytes.get(index).copied()]);
                    }
                }
            }
        }
        for seed in seeds {
            let cut = disk.fork();
            cut.power_cut(seed);
            let bytes = cut.peek(FILE).unwrap();
            for (index, values) in possible.iter().enumerate() {
                let byte = bytes.get(index).copied();
                prop_assert!(values.contains(&byte), "byte {index} is {byte:?} of {values:?}");
            }
        }
    }
}

/// Does random things and ignores what fails.
fn exercise(disk: &SimDisk, seed: u64, step_count: u64) {
    let mut random = Random::new(seed);
    for _ in 0..step_count {
        let id = FileId::segment(random.below(4));
        let file = match random.below(8) {
            0 => disk.create(id),
            1 => {
                let _ = disk.remove(id);
                let _ = disk.sync_dir();
                continue;
            }
            _ => disk.open(id),
        };
        if let Ok(file) = file {
            let _ = file.write_all_at(&[7; 100], random.below(1_000));
            let _ = file.read_exact_at(&mut [0; 50], random.below(1_000));
            let _ = file.sync_data();
        }
    }
}

fn disk_with_synced(bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new(0);
    let file = disk.create(FILE).unwrap();
    disk.sync_dir().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk
}

fn read(file: &SimFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
