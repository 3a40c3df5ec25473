//! Random appends of many threads, against the one order of the log.

use crate::{all, batch, event};
use annals::{
    Append, AppendCondition, AppendOptions, Batch, EventId, ExpectedVersion, MemoryStorage, Region,
    Sequence, Storage, Store, StoreConfig, Version,
};
use annals_tests::linear::{History, Seen};
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::{FaultRates, Random, SimDisk, for_each_seed};
use std::sync::Arc;

const THREADS: u64 = 64;
const CALLS: u64 = 40;

fn random_batch(random: &mut Random, end: Sequence) -> Batch {
    if random.one_in(5) {
        return batch([keyed(random)]);
    }
    let len = if random.one_in(3) { 1 + random.below(5) } else { 1 };
    let appends = (0..len).map(|_| {
        let append = event(&entity(random), &random.next_u64().to_string());
        let mut options = AppendOptions::default().with_expected_version(expected(random));
        if random.one_in(8) {
            options = options.with_condition(condition(random, end));
        }
        append.with_options(options)
    });
    let batch: Batch = appends.collect();
    if random.one_in(4) { batch.with_condition(condition(random, end)) } else { batch }
}

/// One of few keys, so that many calls share it; now and then with another text.
fn keyed(random: &mut Random) -> Append {
    let number = random.below(40);
    let text = if random.one_in(10) { "another" } else { "the same" };
    let key = EventId::from_key(&format!("key {number}"));
    let options = AppendOptions::default().with_idempotency_key(key);
    let options = match random.below(3) {
        0 => options.with_expected_version(ExpectedVersion::NoStream),
        _ => options,
    };
    event(&format!("keyed:{number}"), text).with_options(options)
}

fn entity(random: &mut Random) -> String {
    format!("order:{}", random.below(12))
}

fn expected(random: &mut Random) -> ExpectedVersion {
    match random.below(10) {
        0 => ExpectedVersion::NoStream,
        1 => ExpectedVersion::StreamExists,
        2..5 => ExpectedVersion::Exact(Version::new(random.below(40))),
        _ => ExpectedVersion::Any,
    }
}

fn condition(random: &mut Random, end: Sequence) -> AppendCondition {
    let region = match random.below(3) {
        0 => Region::stream(entity(random)),
        1 => Region::entity("keyed"),
        _ => Region::entity_prefix("order:1"),
    };
    let back = random.below(20);
    let after = end.get().checked_sub(1 + back).map(Sequence::new);
    AppendCondition { region, after }
}

fn run<S>(store: &Store<S>, seed: u64, threads: u64, calls: u64) -> History
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    let history = History::default();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let history = &history;
            scope.spawn(move || {
                let mut random = Random::new(seed * threads + thread);
                for _ in 0..calls {
                    let end = store.reader().end();
                    let batch = random_batch(&mut random, end);
                    let submits = random.one_in(4);
                    let _ = history.append(batch, |batch| {
                        if submits {
                            store.submit_batch(batch)?.wait()
                        } else {
                            store.append_batch(batch)
                        }
                    });
                    if random.one_in(4) {
                        history.read(|| store.reader().end());
                    }
                }
            });
        }
    });
    history
}

#[test]
fn random_appends_of_64_threads_are_linearizable() {
    without_hanging(|| {
        for_each_seed("linearizability", 3, |seed| {
            let storage = MemoryStorage::new();
            let config = StoreConfig::new("").with_segment_max_bytes(16 * 1024);
            let store = Store::open_in(storage.clone(), config.clone()).unwrap();
            let history = run(&store, seed, THREADS, CALLS);
            let events = all(&store);
            let Seen { written, replayed, refused, failed, reads } = history.check(&events);
            assert!(written > 200 && refused > 200, "{written} written, {refused} refused");
            assert!(replayed > 20 && reads > 200, "{replayed} replayed, {reads} reads");
            assert_eq!(failed, 0);
            println!("{written} written, {refused} refused, {replayed} replayed, {reads} reads");
            store.close().unwrap();
            let store = Store::open_in(storage, config).unwrap();
            assert_eq!(all(&store), events, "opening again shows the same log");
        });
    });
}

#[test]
fn random_appends_stay_linearizable_while_writes_fail() {
    without_hanging(|| {
        for_each_seed("linearizability with failing writes", 3, |seed| {
            let disk = SimDisk::new(seed);
            let config = StoreConfig::new("").with_segment_max_bytes(16 * 1024);
            let store = Store::open_in(disk.clone(), config).unwrap();
            disk.set_fault_rates(FaultRates { write_ppm: 100_000, ..FaultRates::default() });
            let history = run(&store, seed, THREADS, CALLS);
            disk.clear_faults();
            let seen = history.check(&all(&store));
            assert!(seen.written > 100 && seen.failed > 0, "{seen:?}");
        });
    });
}

/// Few threads and few calls leave many ways in which they can fall, and each history is another.
#[test]
fn many_small_histories_are_linearizable() {
    without_hanging(|| {
        let mut all_seen = Seen::default();
        let mut histories = 0;
        for_each_seed("small histories", 200, |seed| {
            let disk = SimDisk::new(seed);
            let config = StoreConfig::new("").with_segment_max_bytes(4 * 1024);
            let store = Store::open_in(disk.clone(), config).unwrap();
            let slow_ppm = 50_000;
            disk.set_fault_rates(FaultRates { slow_ppm, ..FaultRates::default() });
            let history = run(&store, seed, 2 + seed % 5, 12);
            disk.clear_faults();
            let seen = history.check(&all(&store));
            assert_eq!(seen.failed, 0);
            all_seen.written += seen.written;
            all_seen.refused += seen.refused;
            all_seen.replayed += seen.replayed;
            all_seen.reads += seen.reads;
            histories += 1;
        });
        println!("{histories} histories: {all_seen:?}");
        assert!(histories < 200 || all_seen.refused > 1_000, "{all_seen:?}");
        assert!(histories < 200 || all_seen.replayed > 50, "{all_seen:?}");
    });
}

#[test]
fn the_check_sees_an_order_that_cannot_be() {
    let store = Arc::new(Store::in_memory().unwrap());
    let history = History::default();
    let append = |text: &str| {
        history.append(batch([event("order:1", text)]), |batch| store.append_batch(batch))
    };
    append("first").unwrap();
    append("second").unwrap();
    // A read that comes later but sees less.
    history.read(|| Sequence::new(1));
    let events = all(&store);
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history.check(&events)));
    assert!(checked.is_err());
}
