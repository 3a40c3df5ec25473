//! Crashes at every operation, and every operation failing.
//!
//! `ANNALS_RUNS=N` multiplies the workloads, `ANNALS_SEED=N` runs only that one.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};

use annals::{
    Append, AppendOptions, Batch, CompactionConfig, CompactionStrategy, Coordinate, Event,
    EventKind, ExpectedVersion, Host, Log, LogConfig, Payload, ReadOnlyLog, Sequence, Storage,
    StorageErrorKind, StorageFile, StoreError, VerifyOptions, verify,
};
use annals_tests::conformance::{Faults, Faulty, TestHost};
use annals_tests::crash::{Plan, explore_crashes, explore_faults, silence_simulated_panics};
use annals_tests::model::check_log;
use annals_tests::sim_disk::{Fault, SimDisk, for_each_seed};

fn runs(default: u64) -> u64 {
    let times = std::env::var("ANNALS_RUNS").map_or(1, |runs| runs.parse().expect("a number"));
    default * times
}

fn crashes(name: &str, first_seed: u64, count: u64) {
    let mut points = 0;
    for_each_seed(name, runs(count), |seed| {
        points += explore_crashes(Plan::of(first_seed + seed, 60), 6);
    });
    println!("{name}: {points} crash points");
}

#[test]
fn a_crash_after_any_operation_loses_nothing_acknowledged() {
    crashes("crashes", 0, 50);
}

fn faults(name: &str, fault: Fault, count: u64) {
    let mut points = 0;
    for_each_seed(name, runs(count), |seed| {
        points += explore_faults(Plan::of(seed, 60), fault, 1);
    });
    println!("{name}: {points} crash points");
}

#[test]
fn an_io_error_in_any_operation_loses_nothing_acknowledged() {
    faults("I/O errors", Fault::Io, 4);
}

#[test]
fn no_space_in_any_operation_loses_nothing_acknowledged() {
    faults("no space", Fault::NoSpace, 4);
}

#[test]
fn b13_a_panic_in_any_operation_loses_nothing_acknowledged() {
    faults("panics", Fault::Panic, 4);
}

fn append(payload: &str) -> Append {
    let order = Coordinate::new("order:1", "shop").expect("valid");
    Append::new(order, EventKind::new(1, 1), Payload::raw(payload))
}

fn open<S: Storage>(storage: S) -> Log<S, TestHost> {
    let config = LogConfig::default().with_segment_max_bytes(4096);
    Log::open(storage, TestHost::new(5).with_step_us(1), config).expect("the store opens")
}

fn payloads(events: &[Event]) -> Vec<&[u8]> {
    events.iter().map(|event| event.payload.bytes().expect("whole")).collect()
}

/// The frames of a failed group have the lengths of those written in their place: were the cut
/// between them undone by the power cut, the old second would fit behind the new first.
#[test]
fn b11_no_frame_of_a_failed_write_comes_back_behind_a_new_one() {
    let disk = SimDisk::new(1);
    let faults = Faults::default();
    let mut log = open(Faulty::new(disk.clone(), &faults));
    log.append(&append("first")).unwrap();
    log.stage(&[append("old 1")], None).unwrap();
    log.stage(&[append("old 2")], None).unwrap();
    faults.fail_next_write_after(usize::MAX);
    log.commit(|_, _| {}).unwrap_err();
    disk.record_checkpoints();
    log.append(&append("new 1")).unwrap();
    for checkpoint in disk.take_checkpoints() {
        for seed in 0..500 {
            let disk = checkpoint.disk.fork();
            disk.power_cut(seed);
            let events = check_log(&open(disk).reader()).unwrap();
            let found = payloads(&events);
            let expected: [&[u8]; 2] = [b"first", b"new 1"];
            assert!(found == expected || found == expected[..1], "{found:?} with seed {seed}");
        }
    }
}

/// A reader keeps the inputs of one compaction while the next replaces its output: then the
/// power cut takes the output's name and leaves theirs.
#[test]
fn b37_what_was_replaced_twice_does_not_come_back() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone());
    let compact = |log: &mut Log<SimDisk, TestHost>, bytes| {
        let config = CompactionConfig::new(CompactionStrategy::Merge).with_output_max_bytes(bytes);
        let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
        let compacted = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
        drop(compaction);
        log.finish_compaction(&compacted).unwrap();
    };
    for number in 0..9 {
        log.append(&append(&number.to_string())).unwrap();
        if number % 3 == 2 {
            log.seal().unwrap();
        }
    }
    let whole = check_log(&log.reader()).unwrap();
    let reader = log.reader();
    compact(&mut log, 1200);
    compact(&mut log, 1 << 20);
    assert_eq!(check_log(&reader).unwrap(), whole);
    drop(reader);
    assert_eq!(disk.peek_list().len(), 1, "all inputs are gone");
    for seed in 0..200 {
        let disk = disk.fork();
        disk.power_cut(seed);
        let log = open(disk);
        assert_eq!(check_log(&log.reader()).unwrap(), whole, "seed {seed}");
    }
}

fn assert_whole<S: Storage>(log: &Log<S, TestHost>) {
    let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
}

/// The items before the one that is refused have ticked the logical clock.
#[test]
fn b39_a_batch_that_is_refused_half_way_leaves_no_trace_in_a_footer() {
    let mut log = open(SimDisk::new(1));
    log.append(&append("first")).unwrap();
    let options = AppendOptions::default().with_expected_version(ExpectedVersion::NoStream);
    let batch = Batch::new().push(append("second")).push(append("third").with_options(options));
    let error = log.append_batch(&batch).unwrap_err();
    assert!(matches!(error, StoreError::VersionConflict { .. }), "{error}");
    log.seal().unwrap();
    assert_whole(&log);
}

/// A power cut may leave a file that ends within the padding of its last frame.
#[test]
fn b39_a_file_that_ends_within_padding_is_whole() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone());
    log.append(&append("first")).unwrap();
    drop(log);
    let file = disk.open(disk.peek_list()[0]).unwrap();
    let mut last = [7];
    file.read_exact_at(&mut last, file.len().unwrap() - 1).unwrap();
    assert_eq!(last, [0], "the frame is padded");
    file.set_len(file.len().unwrap() - 1).unwrap();
    let reader = ReadOnlyLog::open(disk.clone(), LogConfig::default()).unwrap().reader();
    let report = verify(&reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
    let log = open(disk);
    assert_eq!(log.recovery().torn_tail, None);
    assert_whole(&log);
}

/// However a seal is torn: where the footer counts, the index is whole.
#[test]
fn b39_no_power_cut_in_a_seal_leaves_an_index_to_be_rebuilt() {
    let disk = SimDisk::new(1);
    let mut log = open(disk.clone());
    for number in 0..5 {
        log.append(&append(&number.to_string())).unwrap();
    }
    disk.record_checkpoints();
    log.seal().unwrap();
    let checkpoints = disk.take_checkpoints();
    assert!(checkpoints.len() > 3);
    for checkpoint in checkpoints {
        for seed in 0..200 {
            let disk = checkpoint.disk.fork();
            disk.power_cut(seed);
            let log = open(disk);
            assert_eq!(check_log(&log.reader()).unwrap().len(), 5);
            assert_whole(&log);
        }
    }
}

/// A full disk in the middle of a group, for as long as it lasts, and space again.
#[test]
fn b11_a_full_disk_refuses_and_later_goes_on() {
    for room in 0..3000_u64 {
        let disk = SimDisk::new(room);
        disk.set_space_max(Some(room));
        let mut log = open(disk.clone());
        let mut acknowledged = Vec::new();
        let mut refusals = 0;
        for number in 0..9 {
            let payload = format!("{number:0>700}");
            match log.append(&append(&payload)) {
                Ok(_) => acknowledged.push(payload.into_bytes()),
                Err(StoreError::Storage(error)) => {
                    assert_eq!(error.kind(), StorageErrorKind::NoSpace);
                    refusals += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refusals > 0, "{room} bytes do not hold nine events");
        disk.set_space_max(None);
        log.append(&append("space again")).unwrap();
        acknowledged.push(b"space again".to_vec());
        drop(log);
        disk.power_cut(room);
        let events = check_log(&open(disk).reader()).unwrap();
        assert_eq!(payloads(&events), acknowledged, "{room} bytes");
    }
}

/// A host whose clock panics after so many readings.
struct BrokenClock {
    readings_left: AtomicI64,
    host: TestHost,
}

impl Host for BrokenClock {
    fn now_us(&self) -> i64 {
        let left = self.readings_left.fetch_sub(1, Ordering::Relaxed);
        assert!(left > 0, "simulated panic of a clock");
        self.host.now_us()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.host.fill_random(buffer);
    }
}

#[test]
fn b13_a_clock_that_panics_loses_nothing_acknowledged() {
    silence_simulated_panics();
    for readings in 0..30 {
        let disk = SimDisk::new(1);
        let clock = BrokenClock { readings_left: readings.into(), host: TestHost::new(1) };
        let config = LogConfig::default().with_segment_max_bytes(4096);
        let mut log = Log::open(disk.clone(), clock, config).unwrap();
        let mut acknowledged = Vec::new();
        for number in 0..30 {
            let payload = format!("{number:0>700}");
            let appended = catch_unwind(AssertUnwindSafe(|| log.append(&append(&payload))));
            let Ok(answer) = appended else { break };
            answer.unwrap();
            acknowledged.push(payload.into_bytes());
        }
        drop(log);
        let mut log = open(disk);
        let events = check_log(&log.reader()).unwrap();
        assert_eq!(payloads(&events), acknowledged, "{readings} readings");
        log.append(&append("it goes on")).unwrap();
    }
}
