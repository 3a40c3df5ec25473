//! Behaviour 37: a compaction is safe at every crash point. Power is cut after each operation of two
//! compactions, the second of the first one's output, with several fates of what was not synced.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals_core::{
    Append, CompactionConfig, CompactionStrategy, Coordinate, EventKind, Host, Log, LogConfig,
    Payload, Region, Sequence, StoreError,
};
use annals_tests::sim_disk::SimDisk;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

const NOTED: EventKind = EventKind::new(1, 1);
const EVENTS: u64 = 200;

#[derive(Default)]
struct Counting(Cell<u64>);

impl Host for Counting {
    fn now_us(&self) -> i64 {
        self.0.set(self.0.get() + 1);
        1_700_000_000_000_000 + i64::try_from(self.0.get()).unwrap() * 1000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn open(disk: &SimDisk) -> Log<SimDisk, Counting> {
    let config = LogConfig::default().with_segment_max_bytes(8 * 1024);
    Log::open(disk.clone(), Counting::default(), config).unwrap()
}

fn compact(log: &mut Log<SimDisk, Counting>, strategy: CompactionStrategy) {
    let config = CompactionConfig::new(strategy);
    let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
    let compacted = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
    log.finish_compaction(&compacted).unwrap();
}

#[test]
fn b37_a_power_cut_at_any_point_of_a_compaction_loses_nothing() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk);
    for number in 0..EVENTS {
        let at = Coordinate::new(format!("order:{}", number % 3), "shop").unwrap();
        log.append(&Append::new(at, NOTED, Payload::raw(number.to_string()))).unwrap();
    }
    log.seal().unwrap();
    disk.record_checkpoints();
    compact(&mut log, CompactionStrategy::Merge);
    compact(&mut log, CompactionStrategy::Erase(Arc::new(|event| event.sequence().get() % 7 == 0)));
    drop(log);
    for checkpoint in disk.take_checkpoints() {
        for seed in 0..32 {
            let cut = checkpoint.disk.fork();
            cut.power_cut(seed);
            let config = LogConfig::default();
            let log = Log::open(cut, Counting::default(), config).unwrap_or_else(|error| {
                panic!("after {} with seed {seed}: {error}", checkpoint.operation)
            });
            let events = log.reader().query(&Region::all()).map(|event| {
                let event = event.unwrap_or_else(|error| {
                    panic!("after {} with seed {seed}: {error}", checkpoint.operation)
                });
                event.sequence().get()
            });
            assert!(events.eq(0..EVENTS), "after {} with seed {seed}", checkpoint.operation);
        }
    }
}

#[test]
fn b36_an_output_that_lost_its_footer_and_its_inputs_is_corruption() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk);
    let at = Coordinate::new("order:5", "shop").unwrap();
    for _ in 0..100 {
        log.append(&Append::new(at.clone(), NOTED, Payload::raw(*b"tea"))).unwrap();
    }
    log.seal().unwrap();
    compact(&mut log, CompactionStrategy::Merge);
    drop(log);
    let [output] = disk.peek_list()[..] else { panic!("one file is left") };
    let len = disk.peek(output).unwrap().len() as u64;
    disk.rot(output, len - 100, 1);
    let error = Log::open(disk.clone(), Counting::default(), LogConfig::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corruption(_)), "{error}");
    assert_eq!(disk.peek_list(), [output], "nothing was removed");
}

#[test]
fn b37_files_that_a_reader_kept_from_two_compactions_ago_do_no_harm() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk);
    let at = Coordinate::new("order:5", "shop").unwrap();
    for _ in 0..EVENTS {
        log.append(&Append::new(at.clone(), NOTED, Payload::raw(*b"tea"))).unwrap();
    }
    log.seal().unwrap();
    let reader = log.reader();
    compact(&mut log, CompactionStrategy::Merge);
    compact(
        &mut log,
        CompactionStrategy::Erase(Arc::new(|event| event.sequence() == Sequence::ZERO)),
    );
    let crashed = disk.fork();
    crashed.restart_process();
    assert_eq!(reader.query(&Region::all()).count() as u64, EVENTS);
    let log = Log::open(crashed.clone(), Counting::default(), LogConfig::default()).unwrap();
    assert_eq!(log.reader().query(&Region::all()).count() as u64, EVENTS);
    assert_eq!(crashed.peek_list().len(), 1, "{:?}", log.recovery().removed);
}
