//! Consumers: checkpoints that last, one holder, nothing missed.

use crate::{MemoryStore, PAID, PLACED, SENT, at, numbers, put, small_segments};
use annals::{
    CommitMode, CompactionConfig, CompactionStrategy, Consumer, ConsumerConfig, ConsumerError,
    Durability, FollowError, MemoryStorage, Payload, Region, RegionChange, Sequence, StartAt,
    Store, StoreConfig, StoreError,
};
use annals_tests::process::without_hanging;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;

const NAME: &str = "worker";

fn reopened(storage: &MemoryStorage) -> MemoryStore {
    Store::open_in(storage.clone(), StoreConfig::new("").with_segment_max_bytes(4096)).unwrap()
}

fn every(events: u32) -> ConsumerConfig {
    let events = NonZeroU32::new(events).unwrap();
    ConsumerConfig::default().with_commit(CommitMode::EveryN(events))
}

fn take(consumer: &mut Consumer<MemoryStorage>, events: usize) -> Vec<u64> {
    (0..events).map(|_| consumer.recv().unwrap().sequence().get()).collect()
}

#[test]
fn b29_a_consumer_goes_on_behind_its_last_commit() {
    let storage = MemoryStorage::new();
    let store = reopened(&storage);
    for _ in 0..300 {
        put(&store, "order:1", PLACED);
    }
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    assert_eq!(worker.committed(), None);
    assert_eq!(take(&mut worker, 10), (0..10).collect::<Vec<_>>());
    worker.commit().unwrap();
    assert_eq!(worker.committed(), Some(Sequence::new(9)));
    assert_eq!(take(&mut worker, 5), [10, 11, 12, 13, 14]);
    drop(worker);
    // Within the process, too: what was not committed comes again.
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    assert_eq!(take(&mut worker, 1), [10]);
    drop((worker, store));

    let store = reopened(&storage);
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    assert_eq!(take(&mut worker, 290), (10..300).collect::<Vec<_>>());
    assert!(worker.try_recv().unwrap().is_none());
}

#[test]
fn b29_one_at_a_time_holds_a_consumer() {
    let store = small_segments(|config| config);
    let worker = store.consumer(NAME, &Region::all()).unwrap();
    let busy = store.consumer(NAME, &Region::all()).unwrap_err();
    assert!(matches!(&busy, ConsumerError::ConsumerBusy { name } if name == NAME), "{busy}");
    let busy = store.delete_consumer(NAME).unwrap_err();
    assert!(matches!(busy, ConsumerError::ConsumerBusy { .. }), "{busy}");
    let _other = store.consumer("another", &Region::all()).unwrap();
    drop(worker);
    let _again = store.consumer(NAME, &Region::all()).unwrap();
}

#[test]
fn b29_of_many_threads_one_gets_the_consumer_and_its_work_is_done_once() {
    without_hanging(|| {
        let store = Arc::new(small_segments(|config| config));
        for _ in 0..200 {
            put(&store, "order:1", PLACED);
        }
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    let mut done = Vec::new();
                    loop {
                        match store.consumer(NAME, &Region::all()) {
                            Err(ConsumerError::ConsumerBusy { .. }) => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                            Ok(mut worker) => {
                                let Some(event) = worker.try_recv().unwrap() else { return done };
                                done.push(event.sequence().get());
                                worker.commit().unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        let mut done: Vec<u64> = Vec::new();
        for thread in threads {
            done.extend(thread.join().unwrap());
        }
        done.sort_unstable();
        assert_eq!(done, (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn b29_another_region_is_refused_unless_it_is_said_what_becomes_of_the_checkpoint() {
    let store = small_segments(|config| config);
    for kind in [PLACED, PAID, PLACED, PAID, PLACED, PAID] {
        put(&store, "order:1", kind);
    }
    let (old, new) = (Region::all().kind(PLACED), Region::all().kind(PAID));
    let mut worker = store.consumer(NAME, &old).unwrap();
    assert_eq!(take(&mut worker, 2), [0, 2]);
    worker.commit().unwrap();
    drop(worker);

    let error = store.consumer(NAME, &new).unwrap_err();
    let ConsumerError::RegionChanged { name, known } = error else { panic!("{error}") };
    assert_eq!((name.as_str(), *known), (NAME, old.clone()));
    // What was refused has changed nothing, and holds nothing.
    assert_eq!(store.consumer(NAME, &old).unwrap().committed(), Some(Sequence::new(2)));

    let change = |change| ConsumerConfig::default().with_region_change(change);
    let mut worker = store.consumer_with(NAME, &new, change(RegionChange::Continue)).unwrap();
    assert_eq!(take(&mut worker, 2), [3, 5]);
    drop(worker);
    // It has the new region now.
    assert_eq!(take(&mut store.consumer(NAME, &new).unwrap(), 1), [3]);
    let mut worker = store.consumer_with(NAME, &old, change(RegionChange::Restart)).unwrap();
    assert_eq!(take(&mut worker, 3), [0, 2, 4]);
}

#[test]
fn b29_an_automatic_commit_never_counts_the_event_in_hand() {
    let storage = MemoryStorage::new();
    let store = reopened(&storage);
    for _ in 0..20 {
        put(&store, "order:1", PLACED);
    }
    let each = ConsumerConfig::default().with_commit(CommitMode::EACH);
    let mut worker = store.consumer_with(NAME, &Region::all(), each).unwrap();
    assert_eq!(take(&mut worker, 4), [0, 1, 2, 3]);
    assert_eq!(worker.committed(), Some(Sequence::new(2)));
    drop(worker);

    let mut worker = store.consumer_with(NAME, &Region::all(), every(5)).unwrap();
    assert_eq!(take(&mut worker, 5), [3, 4, 5, 6, 7]);
    assert_eq!(worker.committed(), Some(Sequence::new(2)), "four are done");
    assert_eq!(take(&mut worker, 1), [8]);
    assert_eq!(worker.committed(), Some(Sequence::new(7)));
    assert_eq!(take(&mut worker, 3), [9, 10, 11]);
    // Dropping commits those that are done.
    drop(worker);
    let mut worker = store.consumer_with(NAME, &Region::all(), every(100)).unwrap();
    assert_eq!(worker.committed(), Some(Sequence::new(10)));
    assert_eq!(take(&mut worker, 9), (11..20).collect::<Vec<_>>());
    assert!(worker.try_recv().unwrap().is_none());
    assert_eq!(worker.committed(), Some(Sequence::new(19)), "there is nothing more to receive");
    assert_eq!(store.consumers().unwrap()[0].after, Some(Sequence::new(19)));
}

#[test]
fn b29_events_that_are_no_business_of_a_consumer_write_no_checkpoint() {
    let store = small_segments(|config| config);
    let each = ConsumerConfig::default().with_commit(CommitMode::EACH);
    let mut worker = store.consumer_with(NAME, &Region::all().kind(PAID), each).unwrap();
    let paid = put(&store, "order:1", PAID);
    assert_eq!(take(&mut worker, 1), [paid.get()]);
    for _ in 0..10 {
        put(&store, "order:1", PLACED);
        assert!(worker.try_recv().unwrap().is_none());
        assert_eq!(worker.committed(), Some(paid));
    }
}

#[test]
fn b29_a_consumer_that_starts_at_the_end_misses_nothing_from_then_on() {
    let storage = MemoryStorage::new();
    let store = reopened(&storage);
    put(&store, "order:1", PLACED);
    let at_end = ConsumerConfig::default().with_start(StartAt::End);
    drop(store.consumer_with(NAME, &Region::all(), at_end).unwrap());
    // It was never committed, but it was there.
    let next = put(&store, "order:1", PLACED);
    drop(store);
    let store = reopened(&storage);
    let mut worker = store.consumer_with(NAME, &Region::all(), at_end).unwrap();
    assert_eq!(take(&mut worker, 1), [next.get()]);
    let behind = ConsumerConfig::default().with_start(StartAt::After(next));
    let mut other = store.consumer_with("other", &Region::all(), behind).unwrap();
    assert!(other.try_recv().unwrap().is_none());
}

#[test]
fn b29_consumers_are_listed_with_their_lag_and_can_be_deleted() {
    let store = small_segments(|config| config);
    for number in 0..300 {
        put(&store, "order:1", [PLACED, PAID, SENT][number % 3]);
    }
    assert!(store.consumers().unwrap().is_empty());
    let paid = Region::all().kind(PAID);
    let mut worker = store.consumer(NAME, &paid).unwrap();
    take(&mut worker, 40);
    worker.commit().unwrap();
    drop(store.consumer("archive", &Region::all()).unwrap());
    let consumers = store.consumers().unwrap();
    let rows: Vec<_> =
        consumers.iter().map(|it| (it.name.as_str(), it.lag, it.held, &it.region)).collect();
    assert_eq!(rows, [("archive", 300, false, &Region::all()), (NAME, 60, true, &paid)]);
    drop(worker);
    assert!(store.delete_consumer(NAME).unwrap());
    assert!(!store.delete_consumer(NAME).unwrap());
    assert_eq!(store.consumers().unwrap().len(), 1);
    // A new one of that name has another life.
    assert_eq!(take(&mut store.consumer(NAME, &Region::all()).unwrap(), 1), [0]);
}

#[test]
fn b29_a_closed_store_gives_a_consumer_nothing_that_it_could_not_commit() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = reopened(&storage);
        put(&store, "order:1", PLACED);
        put(&store, "order:1", PLACED);
        let mut worker = store.consumer(NAME, &Region::all()).unwrap();
        take(&mut worker, 1);
        store.close().unwrap();
        assert!(matches!(worker.recv(), Err(FollowError::Closed)));
        assert!(matches!(worker.commit(), Err(StoreError::Closed)));

        let store = reopened(&storage);
        let mut worker = store.consumer(NAME, &Region::all()).unwrap();
        let waiting = std::thread::spawn(move || {
            let taken: Vec<_> = worker.by_ref().map(|event| event.unwrap()).collect();
            numbers(&taken)
        });
        while store.consumers().unwrap().is_empty() {}
        let third = put(&store, "order:1", PLACED);
        assert_eq!(third.get(), 2);
        store.close().unwrap();
        assert!(waiting.join().unwrap().len() <= 3);
    });
}

#[test]
fn b29_compaction_takes_no_event_from_a_consumer_but_those_it_drops() {
    let store = small_segments(|config| config);
    for number in 0..300 {
        put(&store, "order:1", [PLACED, PAID][number % 2]);
    }
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    assert_eq!(take(&mut worker, 100), (0..100).collect::<Vec<_>>());
    worker.commit().unwrap();
    drop(worker);
    let keep = Arc::new(|event: &annals::EventRef<'_>| event.header().kind() == PAID);
    let config = CompactionConfig::new(CompactionStrategy::Retention(keep)).with_seal_active(true);
    let done = store.compact(&config, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(done.dropped_events, 150);
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    assert_eq!(store.consumers().unwrap()[0].lag, 100);
    assert_eq!(take(&mut worker, 100), (101..300).step_by(2).collect::<Vec<_>>());
}

#[test]
fn b29_a_checkpoint_never_speaks_of_an_event_that_a_power_cut_may_take() {
    let config = StoreConfig::new("").with_durability(Durability::OnSync);
    let store = Store::open_in(MemoryStorage::new(), config).unwrap();
    let receipt = store.append(&at("order:1"), PLACED, Payload::raw("x")).unwrap();
    assert!(!receipt.durable);
    let mut worker = store.consumer(NAME, &Region::all()).unwrap();
    worker.recv().unwrap();
    assert_eq!(store.stats().unwrap().durable_end, Sequence::ZERO);
    worker.commit().unwrap();
    assert_eq!(store.stats().unwrap().durable_end, Sequence::new(1));
}

#[test]
fn a_consumer_needs_a_name() {
    let store = small_segments(|config| config);
    let error = store.consumer("", &Region::all()).unwrap_err();
    assert!(matches!(error, ConsumerError::Store(StoreError::Limit(_))), "{error}");
    assert!(store.consumers().unwrap().is_empty());
}
