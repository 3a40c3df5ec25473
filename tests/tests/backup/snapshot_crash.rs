//! A snapshot is safe at every storage operation too: whole or absent, also where recovery is
//! interrupted. The files are placed as the native one places them, on a disk whose power fails.

use crate::stream::{host, open};
use annals_core::{
    BackupError, Export, ExportOptions, ExportedSegment, Log, LogConfig, MemoryStorage,
    ReadOnlyLog, Sequence, Storage, StorageFile, Unpublished,
};
use annals_tests::backup::{NOTED, append_some, assert_same, fill_with_everything};
use annals_tests::crash::{Mercy, crash_while_opening, silence_simulated_panics};
use annals_tests::sim_disk::{Fault, Random, SimDisk};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A store, and what a snapshot of it is of.
struct Case {
    source: MemoryStorage,
    export: Export<MemoryStorage>,
}

impl Case {
    fn new() -> Self {
        let source = MemoryStorage::new();
        let mut log = open(source.clone(), 1);
        fill_with_everything(&mut log);
        let export = log.export(&ExportOptions::default()).unwrap();
        // The store goes on meanwhile.
        append_some(&mut log, 3);
        Case { source, export }
    }

    fn snapshot(&self, disk: &SimDisk) -> Result<(), BackupError> {
        let to = Unpublished::begin(Arc::new(disk.clone()), self.export.store_id())?;
        self.export.place(to, &host(3), |segment, _| self.copy(segment, disk))
    }

    fn copy(&self, segment: &ExportedSegment, disk: &SimDisk) -> Result<(), BackupError> {
        let (from, to) = (self.source.open(segment.file)?, disk.create(segment.file)?);
        let mut at = 0;
        while at < segment.len {
            let mut chunk = vec![0; usize::try_from((segment.len - at).min(3_000)).unwrap()];
            from.read_exact_at(&mut chunk, at)?;
            to.write_all_at(&chunk, at)?;
            at += chunk.len() as u64;
        }
        Ok(to.sync_data()?)
    }

    /// Whether the disk holds all of the snapshot; the other way is nothing.
    fn is_there(&self, disk: &SimDisk, when: &str) -> bool {
        let config = LogConfig::default();
        let beside = ReadOnlyLog::open(disk.clone(), config.clone())
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        let seen = beside.reader().end();
        let log = Log::open(disk.clone(), host(5), config)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        let end = log.reader().end();
        assert_eq!(seen, end, "{when}: readers see what the writer sees");
        if end == Sequence::ZERO {
            assert_eq!(disk.peek_list(), [], "{when}: nothing is left");
            return false;
        }
        assert_same(&self.export.reader(), &log.reader());
        assert!(log.reader().kind_name(NOTED).is_some(), "{when}: names come with the events");
        assert_eq!(log.consumer_names().count(), 1, "{when}: consumers too");
        true
    }

    /// Lets it crash, at times again while the disk is opened; whether the snapshot is there then.
    fn struck(&self, disk: &SimDisk, mercy: Mercy, seed: u64, when: &str) -> bool {
        let mut random = Random::new(seed);
        mercy.strike(disk, random.next_u64());
        if random.one_in(3) {
            let second = if random.one_in(3) { Mercy::Kill } else { Mercy::PowerCut };
            let opened = crash_while_opening(disk, second, &mut random, &LogConfig::default());
            opened.unwrap_or_else(|why| panic!("{when}: {why}"));
        }
        self.is_there(disk, when)
    }
}

#[test]
fn b38_a_crash_at_any_point_of_a_snapshot_leaves_all_or_nothing() {
    silence_simulated_panics();
    let case = Case::new();
    let disk = SimDisk::new(1);
    disk.record_checkpoints();
    case.snapshot(&disk).unwrap();
    let (mut points, mut there) = (0, 0);
    for checkpoint in disk.take_checkpoints() {
        for seed in 0..24 {
            let when = format!("after {} with seed {seed}", checkpoint.operation);
            let mercy = if seed % 8 == 7 { Mercy::Kill } else { Mercy::PowerCut };
            let cut = checkpoint.disk.fork();
            points += 1;
            if case.struck(&cut, mercy, seed, &when) {
                there += 1;
            } else if seed % 6 == 0 {
                case.snapshot(&cut).unwrap_or_else(|error| panic!("{when}, again: {error}"));
                assert!(case.is_there(&cut, &when));
            }
        }
    }
    println!("snapshots: {points} crash points");
    assert!(points > 1_000 && there > 24 && there < points / 2, "{there} of {points}");
    assert!(case.is_there(&disk, "at the end"));
}

#[test]
fn b38_a_fault_at_any_point_of_a_snapshot_leaves_all_or_nothing() {
    silence_simulated_panics();
    let case = Case::new();
    let rehearsal = SimDisk::new(1);
    case.snapshot(&rehearsal).unwrap();
    let mut points = 0;
    for fault in [Fault::Io, Fault::NoSpace, Fault::Panic] {
        for operation in 0..rehearsal.operation_count() {
            let disk = SimDisk::new(operation);
            disk.fail_at(operation, fault);
            let done = catch_unwind(AssertUnwindSafe(|| case.snapshot(&disk)));
            disk.clear_faults();
            let when = format!("{fault:?} in operation {operation}: {done:?}");
            let sure = match &done {
                Ok(Ok(())) => Some(true),
                Ok(Err(BackupError::Unsure { .. })) | Err(_) => None,
                Ok(Err(_)) => Some(false),
            };
            for (mercy, seed) in [(Mercy::Kill, 0), (Mercy::PowerCut, 1), (Mercy::PowerCut, 2)] {
                let there = case.struck(&disk.fork(), mercy, operation << 8 ^ seed, &when);
                assert!(sure.is_none_or(|sure| sure == there), "{when}, {mercy:?}");
                points += 1;
            }
        }
    }
    println!("faults in snapshots: {points} crash points");
    assert!(points > 500);
}
