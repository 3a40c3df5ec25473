//! Long work step by step, as a host with one thread does it: verification, compaction, erasure.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals_core::{
    Append, CompactionConfig, CompactionStep, CompactionStrategy, Coordinate, ErasureStep, Event,
    EventKind, FileId, LogConfig, MemoryStorage, Payload, Region, Sequence, Storage, StorageFile,
    Verification, VerifyOptions, verify,
};
use annals_tests::fixture::{MemoryLog, open_small, open_with};
use std::ops::ControlFlow;

const PLACED: EventKind = EventKind::new(1, 1);

fn append(log: &mut MemoryLog, count: u64, len: usize) {
    for number in 0..count {
        let at = Coordinate::new(format!("order:{}", number % 7), "shop").unwrap();
        log.append(&Append::new(at, PLACED, Payload::raw(vec![7; len]))).unwrap();
    }
}

fn all(log: &MemoryLog) -> Vec<Event> {
    log.reader().query(&Region::all()).collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_compaction_in_steps_reads_no_more_than_asked_and_loses_nothing() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    append(&mut log, 400, 2_000);
    let before = all(&log);
    let config = CompactionConfig::new(CompactionStrategy::Merge);
    let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
    let mut run = compaction.in_steps();
    let (mut read, mut steps) = (0, 0);
    let compacted = loop {
        match run.step(10_000).unwrap() {
            CompactionStep::More => {
                let now = run.progress().read_bytes;
                assert!(now - read < 20_000, "{} bytes in one step", now - read);
                (read, steps) = (now, steps + 1);
                // Appends go on in between.
                append(&mut log, 1, 10);
            }
            CompactionStep::Done(compacted) => break compacted,
            other => panic!("{other:?}"),
        }
    };
    drop(run);
    assert!(steps > 20, "{steps}");
    let done = log.finish_compaction(&compacted).unwrap();
    assert_eq!(done.read_bytes, done.total_bytes);
    let after = all(&log);
    assert_eq!(after[..before.len()], before[..]);
    let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
}

#[test]
fn b37_a_compaction_that_is_dropped_between_steps_leaves_no_file() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    append(&mut log, 400, 2_000);
    let files = storage.list().unwrap();
    let config = CompactionConfig::new(CompactionStrategy::Merge);
    let mut run = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap().in_steps();
    for _ in 0..5 {
        assert!(matches!(run.step(10_000).unwrap(), CompactionStep::More));
    }
    assert!(storage.list().unwrap().len() > files.len(), "it had begun to write");
    drop(run);
    assert_eq!(storage.list().unwrap(), files);
}

#[test]
fn b39_a_verification_in_steps_finds_what_one_in_one_go_finds() {
    let storage = MemoryStorage::new();
    let config = LogConfig::default().with_segment_max_bytes(4 << 20);
    let mut log = open_with(&storage, 1, config);
    append(&mut log, 400, 20_000);
    let damaged = FileId::segment(2);
    let at_once = |log: &MemoryLog| {
        verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()))
    };
    for damages in [false, true] {
        if damages {
            storage.open(damaged).unwrap().write_all_at(b"!", 3_000).unwrap();
        }
        let expected = at_once(&log);
        let mut verification = Verification::new(log.reader(), VerifyOptions::default());
        let (mut steps, mut done) = (0, 0);
        while verification.step() {
            let now = verification.progress();
            assert!(done <= now.bytes_done && now.bytes_done <= now.bytes, "{now:?}");
            (steps, done) = (steps + 1, now.bytes_done);
            // What comes meanwhile is not looked at.
            append(&mut log, 1, 10);
        }
        assert!(steps > 8, "{steps}");
        assert_eq!(done, verification.progress().bytes);
        let report = verification.finish();
        assert_eq!(report.is_whole(), !damages);
        assert_eq!((&report.faults, report.events), (&expected.faults, expected.events));
    }
}

#[test]
fn a_verification_that_is_given_up_is_not_complete() {
    let storage = MemoryStorage::new();
    let config = LogConfig::default().with_segment_max_bytes(4 << 20);
    let mut log = open_with(&storage, 1, config);
    append(&mut log, 40, 20_000);
    let mut verification = Verification::new(log.reader(), VerifyOptions::default());
    assert!(verification.step());
    let report = verification.finish();
    assert!(!report.complete && !report.is_whole() && report.faults.is_empty());
}

#[test]
fn b37_an_erasure_that_is_stopped_at_every_look_comes_to_its_end() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    append(&mut log, 7_000, 10);
    let erase = |log: &mut MemoryLog, region: Region| {
        let mut erasure = log.begin_erasure(&region.into()).unwrap();
        for stops in 0..1_000 {
            match erasure.step(&log.reader(), || ControlFlow::Break(())).unwrap() {
                ErasureStep::Stopped => {}
                ErasureStep::Erase(found) => {
                    let Some(compaction) = log.begin_erasing(&mut erasure, found).unwrap() else {
                        continue;
                    };
                    let done = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
                    drop(compaction);
                    log.finish_erasing(&mut erasure, found, &done).unwrap();
                }
                ErasureStep::Done => return (log.finish_erasure(&mut erasure).unwrap(), stops),
                other => panic!("{other:?}"),
            }
        }
        panic!("it goes on for ever");
    };
    let last = Sequence::new(6_998);
    let (first, _) = erase(&mut log, Region::all().sequences(Sequence::ZERO..=last));
    assert_eq!((first.erased, first.erased_before), (6_999, 0));
    let (second, stops) = erase(&mut log, Region::all());
    assert_eq!((second.erased, second.erased_before), (1, 6_999));
    assert!(stops > 5, "{stops}");
    assert!(all(&log)[..7_000].iter().all(|event| event.payload.is_erased()));
}
