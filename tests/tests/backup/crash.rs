//! An import is safe at every storage operation: before or after, never between.

use crate::stream::{host, open};
use annals_core::{
    BackupError, ExportOptions, FileKind, Log, LogConfig, MemoryStorage, ReadOnlyLog, Sequence,
};
use annals_tests::backup::{append_some, backup, events, fill_with_everything, restore};
use annals_tests::crash::{Mercy, crash_while_opening, silence_simulated_panics};
use annals_tests::sim_disk::{Fault, Random, SimDisk};

struct Case {
    /// What is on the disk before.
    before: SimDisk,
    before_end: Sequence,
    stream: Vec<u8>,
    after_end: Sequence,
}

fn whole() -> Case {
    let mut log = open(MemoryStorage::new(), 1);
    fill_with_everything(&mut log);
    Case {
        before: SimDisk::new(1),
        before_end: Sequence::ZERO,
        stream: backup(&log, &ExportOptions::default()),
        after_end: log.reader().end(),
    }
}

fn continuing() -> Case {
    let mut log = open(MemoryStorage::new(), 1);
    append_some(&mut log, 12);
    let before = SimDisk::new(1);
    restore(before.clone(), host(1), &backup(&log, &ExportOptions::default()), 999).unwrap();
    let before_end = log.reader().end();
    append_some(&mut log, 12);
    log.name_kind(annals_tests::backup::NOTED, "backup.noted").unwrap();
    let stream = backup(&log, &ExportOptions::default().with_from(before_end));
    Case { before, before_end, stream, after_end: log.reader().end() }
}

/// Whether the disk holds all of the import; the other way is nothing of it.
fn is_after(case: &Case, disk: &SimDisk, when: &str) -> bool {
    let beside = ReadOnlyLog::open(disk.clone(), LogConfig::default())
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let seen = beside.reader().end();
    let log = Log::open(disk.clone(), host(5), LogConfig::default())
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let end = log.reader().end();
    assert_eq!(seen, end, "{when}: readers see what the writer sees");
    assert!(end == case.before_end || end == case.after_end, "{when}: {end}");
    assert_eq!(events(&log.reader()).last().map(|event| event.sequence().next()), last(end));
    let named = log.reader().kind_name(annals_tests::backup::NOTED).is_some();
    assert_eq!(named, end == case.after_end, "{when}: names come with the events");
    let marks = disk.peek_list().into_iter().filter(|id| id.kind == FileKind::Import);
    assert_eq!(marks.count(), 0, "{when}");
    end == case.after_end
}

fn last(end: Sequence) -> Option<Sequence> {
    (end > Sequence::ZERO).then_some(end)
}

fn cut_everywhere(case: &Case) {
    let disk = case.before.fork();
    disk.record_checkpoints();
    restore(disk.clone(), host(1), &case.stream, 5_000).unwrap();
    let checkpoints = disk.take_checkpoints();
    assert!(checkpoints.len() > 10);
    let (mut befores, mut afters) = (0, 0);
    silence_simulated_panics();
    for checkpoint in &checkpoints {
        for seed in 0..12 {
            let when = format!("after {} with seed {seed}", checkpoint.operation);
            let cut = checkpoint.disk.fork();
            match seed {
                0 => cut.restart_process(),
                seed => cut.power_cut(seed),
            }
            if seed % 3 == 1 {
                let second = if seed == 7 { Mercy::Kill } else { Mercy::PowerCut };
                let mut random = Random::new(seed);
                let opened = crash_while_opening(&cut, second, &mut random, &LogConfig::default());
                opened.unwrap_or_else(|why| panic!("{when}: {why}"));
            }
            if is_after(case, &cut, &when) {
                afters += 1;
                continue;
            }
            befores += 1;
            restore(cut.clone(), host(2), &case.stream, 5_000)
                .unwrap_or_else(|error| panic!("{when}, again: {error}"));
            assert!(is_after(case, &cut, &when));
        }
    }
    println!("imports: {} crash points", befores + afters);
    assert!(befores > 0 && afters > 0);
    assert!(is_after(case, &disk, "at the end"));
}

#[test]
fn b38_a_power_cut_at_any_point_of_an_import_leaves_all_or_nothing() {
    cut_everywhere(&whole());
}

#[test]
fn b38_a_power_cut_at_any_point_of_a_continuing_import_leaves_all_or_nothing() {
    cut_everywhere(&continuing());
}

fn fail_everywhere(case: &Case, fault: Fault) {
    let rehearsal = case.before.fork();
    let first = rehearsal.operation_count();
    restore(rehearsal.clone(), host(1), &case.stream, 5_000).unwrap();
    for operation in first..rehearsal.operation_count() {
        let disk = case.before.fork();
        disk.fail_at(operation, fault);
        let restored = restore(disk.clone(), host(1), &case.stream, 5_000);
        let when = format!("{fault:?} in operation {operation}");
        disk.clear_faults();
        let answered_after = restored.is_ok();
        let unsure = matches!(restored, Err(BackupError::Unsure { .. }));
        let kept = disk.fork();
        kept.restart_process();
        let after = is_after(case, &kept, &when);
        assert!(unsure || after == answered_after, "{when}: {restored:?}");
        for seed in 0..3 {
            let cut = disk.fork();
            cut.power_cut(seed);
            let after = is_after(case, &cut, &when);
            assert!(unsure || after == answered_after, "{when}, seed {seed}: {restored:?}");
        }
    }
}

#[test]
fn b38_a_fault_at_any_point_of_an_import_leaves_all_or_nothing() {
    fail_everywhere(&whole(), Fault::NoSpace);
    fail_everywhere(&whole(), Fault::Io);
}

#[test]
fn b38_a_fault_at_any_point_of_a_continuing_import_leaves_all_or_nothing() {
    fail_everywhere(&continuing(), Fault::NoSpace);
    fail_everywhere(&continuing(), Fault::Io);
}

#[test]
fn b38_a_crash_while_an_import_is_taken_back_leaves_nothing() {
    let case = whole();
    let disk = case.before.fork();
    disk.record_checkpoints();
    restore(disk.clone(), host(1), &case.stream, 5_000).unwrap();
    let checkpoints = disk.take_checkpoints();
    let middle = checkpoints[checkpoints.len() / 2].disk.fork();
    middle.power_cut(3);
    middle.record_checkpoints();
    drop(Log::open(middle.clone(), host(1), LogConfig::default()).unwrap());
    for checkpoint in middle.take_checkpoints() {
        for seed in 0..32 {
            let cut = checkpoint.disk.fork();
            cut.power_cut(seed);
            let when = format!("after {} with seed {seed}", checkpoint.operation);
            assert!(!is_after(&case, &cut, &when), "{when}");
        }
    }
}

#[test]
fn b38_a_reader_beside_an_import_sees_nothing_of_it() {
    let case = continuing();
    let disk = case.before.fork();
    disk.record_checkpoints();
    restore(disk.clone(), host(1), &case.stream, 5_000).unwrap();
    for checkpoint in disk.take_checkpoints() {
        let beside = ReadOnlyLog::open(checkpoint.disk, LogConfig::default()).unwrap();
        let end = beside.reader().end();
        assert!(end == case.before_end || end == case.after_end, "{}", checkpoint.operation);
    }
}
