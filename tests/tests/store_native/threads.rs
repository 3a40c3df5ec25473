//! What many threads at once get from one store.

use crate::probe::{Gate, Probe};
use crate::{PLACED, all, at, batch, event};
use annals::{
    AppendCondition, AppendOptions, EventId, ExpectedVersion, MemoryStorage, Region, Sequence,
    Store, StoreConfig, StoreError, Version,
};
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::OperationKind;
use std::sync::{Arc, Barrier};

/// Runs `act` on `count` threads that begin together; the results in their order.
fn together<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let start = |number| {
            let (barrier, act) = (&barrier, &act);
            scope.spawn(move || {
                barrier.wait();
                act(number)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn b05_of_concurrent_compare_and_appends_exactly_one_wins() {
    without_hanging(|| {
        let store = Store::in_memory().unwrap();
        for round in 0..100_u64 {
            let expected = match round.checked_sub(1) {
                None => ExpectedVersion::NoStream,
                Some(last) => ExpectedVersion::Exact(Version::new(last)),
            };
            let options = AppendOptions::default().with_expected_version(expected);
            let answers = together(8, |number| {
                let payload = format!("{round} by {number}");
                store.append_with_options(&at("account"), PLACED, &payload, options.clone())
            });
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            for error in answers.into_iter().filter_map(Result::err) {
                let StoreError::VersionConflict { actual, .. } = error else { panic!("{error}") };
                assert_eq!(actual, Some(Version::new(round)), "the winner's version");
            }
        }
        assert_eq!(store.stream("account").count(), 100);
    });
}

#[test]
fn b06_one_key_from_many_threads_gives_one_event_and_equal_receipts() {
    without_hanging(|| {
        let store = Store::in_memory().unwrap();
        for round in 0..100_u64 {
            let key = EventId::from_key(&format!("payment {round}"));
            let options = AppendOptions::default()
                .with_idempotency_key(key)
                .with_expected_version(ExpectedVersion::NoStream);
            let entity = at(&format!("payment:{round}"));
            let answers = together(8, |_| {
                store.append_with_options(&entity, PLACED, &round, options.clone()).unwrap()
            });
            assert!(answers.iter().all(|receipt| *receipt == answers[0]), "{answers:?}");
            assert_eq!(answers[0].id, key);
            assert_eq!(store.stats().unwrap().events, round + 1);
        }
    });
}

#[test]
fn b08_of_concurrent_appends_under_one_condition_exactly_one_wins() {
    without_hanging(|| {
        let store = Store::in_memory().unwrap();
        let mut after = None;
        for round in 0..100_u64 {
            let region = Region::all().scope("shop");
            let condition = AppendCondition { region, after };
            let answers = together(2, |number| {
                // Different entities: only the condition stands between them.
                let seat = event(&format!("seat:{round}:{number}"), "taken");
                store.append_batch(batch([seat]).with_condition(condition.clone()))
            });
            let winners: Vec<_> =
                answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
            assert_eq!(winners.len(), 1);
            let refused = answers.iter().find_map(|answer| answer.as_ref().err());
            let Some(StoreError::ConditionFailed { sequence }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(*sequence, Sequence::new(round), "the winner's event stands in the way");
            after = Some(*sequence);
        }
    });
}

#[test]
fn a_single_producer_pays_one_write_and_one_sync_an_append_on_its_own_thread() {
    let probe = Probe::new(MemoryStorage::new());
    let store = Store::open_in(probe.clone(), StoreConfig::new("")).unwrap();
    store.append(&at("order:1"), PLACED, "the first begins a segment").unwrap();
    let here = std::thread::current().id();
    for number in 0..100 {
        probe.take_calls();
        assert!(store.append(&at("order:1"), PLACED, &number).unwrap().durable);
        let calls = probe.take_calls();
        assert_eq!(calls, [(OperationKind::WriteAllAt, here), (OperationKind::SyncData, here)]);
    }
}

#[test]
fn what_waits_for_a_commit_shares_the_next_write_and_sync() {
    without_hanging(|| {
        let (probe, gate) = (Probe::new(MemoryStorage::new()), Gate::default());
        let store = Arc::new(Store::open_in(probe.clone(), StoreConfig::new("")).unwrap());
        store.append(&at("order:1"), PLACED, "the first begins a segment").unwrap();
        let held = gate.clone();
        probe.before(move |kind| {
            if kind == OperationKind::WriteAllAt {
                held.pass();
            }
            Ok(())
        });
        gate.close();
        let first = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || store.append(&at("order:1"), PLACED, "leads").unwrap())
        };
        gate.wait_for_visitor();
        let appends = (0..200).map(|number| event(&format!("order:{number}"), "follows"));
        let tickets: Vec<_> = appends.map(|append| store.submit(append).unwrap()).collect();
        probe.take_calls();
        gate.open();
        first.join().unwrap();
        let receipts: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect();
        assert!(receipts.iter().all(|receipt| receipt.durable));
        assert!(receipts.is_sorted_by_key(|receipt| receipt.sequence), "in their order");
        // The sync of the first, and one for all the others.
        let calls = probe.take_calls();
        let count = |kind| calls.iter().filter(|(called, _)| *called == kind).count();
        assert_eq!(count(OperationKind::SyncData), 2);
        assert_eq!(count(OperationKind::WriteAllAt), 1);
    });
}

#[test]
fn sixty_four_durable_producers_need_far_fewer_syncs_than_appends() {
    without_hanging(|| {
        let probe = Probe::new(MemoryStorage::new());
        // While one syncs, others come: that takes a sync which lets them run.
        probe.before(|kind| {
            if kind == OperationKind::SyncData {
                (0..8).for_each(|_| std::thread::yield_now());
            }
            Ok(())
        });
        let store = Store::open_in(probe.clone(), StoreConfig::new("")).unwrap();
        together(64, |number| {
            let entity = at(&format!("order:{number}"));
            for round in 0..50 {
                assert!(store.append(&entity, PLACED, &round).unwrap().durable);
            }
        });
        let syncs = probe.take_count(OperationKind::SyncData);
        assert!(syncs < 64 * 50 / 4, "{syncs} syncs for {} appends", 64 * 50);
        assert_eq!(store.stats().unwrap().events, 64 * 50);
        annals_tests::linear::check_log(&all(&store));
    });
}

#[test]
fn b14_append_waits_where_try_submit_says_that_the_queue_is_full() {
    without_hanging(|| {
        let (probe, gate) = (Probe::new(MemoryStorage::new()), Gate::default());
        let config = StoreConfig::new("").with_write_queue_capacity(2);
        let store = Arc::new(Store::open_in(probe.clone(), config).unwrap());
        let held = gate.clone();
        probe.before(move |kind| {
            if kind == OperationKind::WriteAllAt {
                held.pass();
            }
            Ok(())
        });
        gate.close();
        let append = |text: &'static str| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || store.append(&at("order:1"), PLACED, text))
        };
        let leading = append("leads");
        gate.wait_for_visitor();
        let tickets = [(); 2].map(|()| store.try_submit(event("order:2", "waits")).unwrap());
        let full = store.try_submit(event("order:3", "refused")).unwrap_err();
        assert!(matches!(full, StoreError::QueueFull { capacity: 2 }), "{full}");
        // These have no room either, and wait for it instead.
        let waiting = [append("waits"), append("waits"), append("waits")];
        let submitting = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || store.submit(event("order:4", "waits")).unwrap().wait())
        };
        gate.open();
        leading.join().unwrap().unwrap();
        for thread in waiting {
            thread.join().unwrap().unwrap();
        }
        submitting.join().unwrap().unwrap();
        for ticket in tickets {
            ticket.wait().unwrap();
        }
        assert_eq!(store.stream("order:3").count(), 0);
        assert_eq!(store.stats().unwrap().events, 7);
    });
}

#[test]
fn no_wake_up_is_lost_among_many_producers_of_every_sort() {
    // `commit.rs` argues that none can be; here a queue of three slots, commits that yield in
    // the middle, tickets that are waited for, dropped and never led by their own threads, and
    // syncs that take the writer without leading do their best against it.
    without_hanging(|| {
        let probe = Probe::new(MemoryStorage::new());
        probe.before(|_| {
            std::thread::yield_now();
            Ok(())
        });
        let config =
            StoreConfig::new("").with_write_queue_capacity(3).with_segment_max_bytes(8_192);
        let store = Store::open_in(probe, config).unwrap();
        together(64, |number| {
            let mut random = annals_tests::sim_disk::Random::new(number as u64);
            let entity = format!("order:{number}");
            for _ in 0..60 {
                if random.one_in(3) {
                    std::thread::yield_now();
                }
                match random.below(8) {
                    0 => drop(store.submit(event(&entity, "dropped")).unwrap()),
                    1 => drop(store.submit(event(&entity, "waited for")).unwrap().wait().unwrap()),
                    2 => drop(store.try_submit(event(&entity, "perhaps"))),
                    3 => drop(store.sync().unwrap()),
                    _ => drop(store.append(&at(&entity), PLACED, "waits").unwrap()),
                }
            }
        });
        let events = store.stats().unwrap().accepted_end;
        store.sync().unwrap();
        assert!(events.get() > 64 * 20);
        store.close().unwrap();
    });
}
