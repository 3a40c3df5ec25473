//! What each durability promises, and what receipts say about it.

use crate::probe::Probe;
use crate::{PLACED, all, assert_holds, at, event};
use annals::{
    AppendOptions, AppendReceipt, Durability, EventId, MemoryStorage, Payload, Store, StoreConfig,
};
use annals_tests::linear::check_log;
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::{OperationKind, Random, SimDisk, for_each_seed};
use std::num::NonZeroU32;
use std::time::Duration;

const MODES: [Durability; 4] = [
    Durability::Durable,
    Durability::EveryN(NonZeroU32::new(7).unwrap()),
    Durability::Interval(Duration::from_millis(1)),
    Durability::OnSync,
];

fn config(durability: Durability) -> StoreConfig {
    StoreConfig::new("").with_segment_max_bytes(4 * 1024).with_durability(durability)
}

/// Appends, now and then more than one at once, now and then with a sync; what was acknowledged.
fn work(store: &Store<SimDisk>, random: &mut Random) -> Vec<AppendReceipt> {
    let mut receipts = Vec::new();
    for _ in 0..random.below(60) {
        let append = |random: &mut Random| {
            event(&format!("order:{}", random.below(5)), &"x".repeat(random.index(200)))
        };
        if random.one_in(4) {
            let batch = (0..1 + random.below(9)).map(|_| append(random)).collect();
            receipts.extend(store.append_batch(batch).unwrap());
        } else {
            receipts.push(store.submit(append(random)).unwrap().wait().unwrap());
        }
        if random.one_in(10) {
            let durable = store.sync().unwrap();
            assert!(receipts.iter().all(|receipt| receipt.sequence < durable));
            for receipt in &mut receipts {
                receipt.durable = true;
            }
        }
    }
    receipts
}

#[test]
fn b12_what_a_receipt_calls_durable_survives_a_power_cut_in_every_mode() {
    without_hanging(|| {
        for_each_seed("a power cut", 60, |seed| {
            for durability in MODES {
                let disk = SimDisk::new(seed);
                let mut random = Random::new(seed);
                let mut acknowledged: Vec<AppendReceipt> = Vec::new();
                for _ in 0..3 {
                    let store = Store::open_in(disk.clone(), config(durability)).unwrap();
                    let receipts = work(&store, &mut random);
                    if durability == Durability::Durable {
                        assert!(receipts.iter().all(|receipt| receipt.durable));
                    }
                    acknowledged.extend(receipts);
                    let seen = all(&store);
                    assert_holds(&seen, &acknowledged);
                    let durable_end = store.stats().unwrap().durable_end;
                    // The power goes first: what the store does while it is dropped is lost.
                    disk.power_cut(random.next_u64());
                    drop(store);
                    let store = Store::open_in(disk.clone(), config(durability)).unwrap();
                    let found = all(&store);
                    assert!(seen.starts_with(&found), "a prefix of what was there");
                    let durable = acknowledged.iter().filter(|receipt| receipt.durable);
                    assert_holds(&found, &durable.copied().collect::<Vec<_>>());
                    assert!(found.len() as u64 >= durable_end.get(), "{durability:?}");
                    check_log(&found);
                    acknowledged.truncate(found.len());
                    store.close().unwrap();
                }
            }
        });
    });
}

#[test]
fn b12_what_was_acknowledged_survives_the_end_of_the_process_in_every_mode() {
    without_hanging(|| {
        for_each_seed("a killed process", 40, |seed| {
            for durability in MODES {
                let disk = SimDisk::new(seed);
                let store = Store::open_in(disk.clone(), config(durability)).unwrap();
                let receipts = work(&store, &mut Random::new(seed));
                let seen = all(&store);
                disk.restart_process();
                drop(store);
                let store = Store::open_in(disk.clone(), config(durability)).unwrap();
                assert_eq!(all(&store), seen);
                assert_holds(&seen, &receipts);
                // What opening found is durable from then on, whatever it was before.
                disk.power_cut(seed);
                drop(store);
                assert_eq!(all(&Store::open_in(disk, config(durability)).unwrap()), seen);
            }
        });
    });
}

#[test]
fn every_n_syncs_with_the_nth_event_and_its_receipts_say_so() {
    let probe = Probe::new(MemoryStorage::new());
    let n = NonZeroU32::new(5).unwrap();
    let config = StoreConfig::new("").with_durability(Durability::EveryN(n));
    let store = Store::open_in(probe.clone(), config).unwrap();
    store.append(&at("order:1"), PLACED, &0).unwrap();
    for number in 2..=50 {
        probe.take_calls();
        let receipt = store.append(&at("order:1"), PLACED, &number).unwrap();
        let synced = probe.take_count(OperationKind::SyncData) == 1;
        assert_eq!((receipt.durable, synced), (number % 5 == 0, number % 5 == 0), "at {number}");
        let durable_end = store.stats().unwrap().durable_end;
        assert_eq!(durable_end.get(), number / 5 * 5);
    }
}

#[test]
fn an_on_sync_store_syncs_when_told_and_says_up_to_where() {
    let probe = Probe::new(MemoryStorage::new());
    let config = StoreConfig::new("").with_durability(Durability::OnSync);
    let store = Store::open_in(probe.clone(), config).unwrap();
    assert_eq!(store.sync().unwrap().get(), 0, "an empty store is durable");
    let key = EventId::from_key("once");
    let options = AppendOptions::default().with_idempotency_key(key);
    let append = || store.append_with_options(&at("order:1"), PLACED, &0, options.clone()).unwrap();
    assert!(!append().durable);
    assert!(!append().durable, "a repeated answer is as honest");
    for number in 1..20_u64 {
        assert!(!store.append(&at("order:1"), PLACED, &number).unwrap().durable);
        assert_eq!(store.stats().unwrap().durable_end.get(), 0);
    }
    probe.take_calls();
    assert_eq!(store.sync().unwrap().get(), 20);
    assert_eq!(store.sync().unwrap().get(), 20);
    assert_eq!(probe.take_count(OperationKind::SyncData), 1, "nothing new, no sync");
    assert!(append().durable);
    let stats = store.stats().unwrap();
    assert_eq!((stats.end, stats.durable_end), (20.into(), 20.into()));
}

#[test]
fn a_sync_beside_appends_does_not_lose_count_of_every_n() {
    without_hanging(|| {
        let (probe, gate) = (Probe::new(MemoryStorage::new()), crate::probe::Gate::default());
        let n = NonZeroU32::new(4).unwrap();
        let config = StoreConfig::new("").with_durability(Durability::EveryN(n));
        let store = Store::open_in(probe.clone(), config).unwrap();
        let append = || store.append(&at("order:1"), PLACED, &0).unwrap().durable;
        assert_eq!([append(), append(), append()], [false, false, false]);
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| {
                let (held, syncer) = (gate.clone(), std::thread::current().id());
                gate.close();
                probe.before(move |kind| {
                    let here = std::thread::current().id();
                    if kind == OperationKind::SyncData && here == syncer {
                        held.pass();
                    }
                    Ok(())
                });
                store.sync().unwrap()
            });
            gate.wait_for_visitor();
            // The fourth syncs itself; three more are unsynced when the other sync ends.
            assert_eq!([append(), append(), append(), append()], [true, false, false, false]);
            gate.open();
            assert_eq!(syncing.join().unwrap().get(), 4, "durable by now, more than it asked for");
        });
        assert!(append(), "the fourth since the last sync");
    });
}

#[test]
fn an_interval_makes_events_durable_by_itself_and_stops_with_the_store() {
    without_hanging(|| {
        let probe = Probe::new(MemoryStorage::new());
        let interval = Durability::Interval(Duration::from_millis(1));
        let config = StoreConfig::new("").with_durability(interval);
        let store = Store::open_in(probe.clone(), config).unwrap();
        for number in 1..=20_u64 {
            assert!(!store.append(&at("order:1"), PLACED, Payload::raw("x")).unwrap().durable);
            while store.stats().unwrap().durable_end.get() < number {
                std::thread::yield_now();
            }
        }
        store.close().unwrap();
        // Closing has joined the thread: nothing holds the storage any more.
        assert_eq!(probe.handle_count(), 1);
    });
}
