//! Panics in the middle of a commit: of the clock, and of the storage at each of its calls.

use crate::probe::Probe;
use crate::{PLACED, all, assert_holds, at, batch, event};
use annals::{
    AppendReceipt, CompactionConfig, CompactionStrategy, Log, LogConfig, MemoryStorage, Region,
    RestartPolicy, Sequence, Storage, Store, StoreConfig, StoreError,
};
use annals_tests::conformance::TestHost;
use annals_tests::linear::check_log;
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::{Fault, SimDisk};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn small() -> StoreConfig {
    StoreConfig::new("").with_segment_max_bytes(4 * 1024)
}

/// Runs `act` without the words of the panics that it is about.
fn quietly<T>(act: impl FnOnce() -> T) -> T {
    std::panic::set_hook(Box::new(|info| {
        let words = info.payload_as_str().unwrap_or_default();
        if !words.starts_with("simulated") {
            eprintln!("{info}");
        }
    }));
    act()
}

#[test]
fn b13_a_clock_that_panics_costs_no_event_and_the_policy_counts() {
    quietly(|| {
        for (policy, restarts) in [
            (RestartPolicy::Once, 1),
            (RestartPolicy::Bounded { max_restarts: 3, within_ms: 3_600_000 }, 3),
        ] {
            let panics = Arc::new(AtomicBool::new(false));
            let clock = Arc::clone(&panics);
            let config = StoreConfig::new("").with_restart_policy(policy).with_clock(move || {
                assert!(!clock.load(Ordering::SeqCst), "simulated: the clock panics");
                1
            });
            let storage = MemoryStorage::new();
            let store = Store::open_in(storage.clone(), config.clone()).unwrap();
            let mut reader = store.reader();
            let mut receipts = Vec::new();
            for restart in 0..=restarts {
                receipts.push(store.append(&at("order:1"), PLACED, "before").unwrap());
                panics.store(true, Ordering::SeqCst);
                let error = store.append(&at("order:1"), PLACED, "never written").unwrap_err();
                panics.store(false, Ordering::SeqCst);
                if restart < restarts {
                    assert!(matches!(error, StoreError::Interrupted { .. }), "{error}");
                    receipts.push(store.append(&at("order:1"), PLACED, "after").unwrap());
                    reader.refresh();
                    assert_eq!(reader.end(), store.reader().end(), "a reader goes on");
                } else {
                    assert!(matches!(error, StoreError::WriterCrashed { .. }), "{error}");
                }
            }
            for error in [
                store.append(&at("order:1"), PLACED, "refused").unwrap_err(),
                store.submit(event("order:1", "refused")).unwrap().wait().unwrap_err(),
                store.sync().unwrap_err(),
            ] {
                let StoreError::WriterCrashed { message } = error else { panic!("{error}") };
                assert!(message.contains("the clock panics"), "{message}");
            }
            assert_eq!(all(&store).len(), receipts.len(), "readers go on");
            assert_holds(&all(&store), &receipts);
            store.close().unwrap();
            let store = Store::open_in(storage, config).unwrap();
            assert_holds(&all(&store), &receipts);
            store.append(&at("order:1"), PLACED, "goes on").unwrap();
        }
    });
}

#[test]
fn b13_a_store_keeps_its_identity_when_the_first_commit_panics() {
    quietly(|| {
        let disk = SimDisk::new(1);
        let store = Store::open_in(disk.clone(), small()).unwrap();
        let id = store.store_id();
        disk.fail_at(disk.operation_count(), Fault::Panic);
        store.append(&at("order:1"), PLACED, &1).unwrap_err();
        store.append(&at("order:1"), PLACED, &2).unwrap();
        store.close().unwrap();
        assert_eq!(Store::open_in(disk, small()).unwrap().store_id(), id);
    });
}

/// Appends of every sort; what was acknowledged, and what was not.
fn work<S>(store: &Store<S>) -> (Vec<AppendReceipt>, Vec<StoreError>)
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    let (mut receipts, mut errors) = (Vec::new(), Vec::new());
    let mut note = |answer: Result<Vec<AppendReceipt>, StoreError>| match answer {
        Ok(written) => receipts.extend(written),
        Err(error) => errors.push(error),
    };
    for round in 0..6 {
        let long = |item: usize| event(&format!("order:{item}"), &"x".repeat(150 * round));
        note(store.append_batch(batch([long(1)])));
        note(store.append_batch(batch((0..5).map(long))));
        let tickets: Vec<_> = (0..3).map(|item| store.submit_batch(batch([long(item)]))).collect();
        for ticket in tickets {
            note(ticket.and_then(annals::BatchTicket::wait));
        }
        if let Err(error) = store.sync() {
            note(Err(error));
        }
    }
    (receipts, errors)
}

fn panics_at_every_operation(policy: RestartPolicy, durability: annals::Durability) {
    let config = small().with_restart_policy(policy).with_durability(durability);
    let mut points = 0;
    // How calls fall together into groups varies, so the last operation is not known ahead.
    for point in 0.. {
        let disk = SimDisk::new(point);
        let store = Store::open_in(disk.clone(), config.clone()).unwrap();
        let first = disk.operation_count();
        disk.fail_at(first + point, Fault::Panic);
        let (receipts, errors) = work(&store);
        if disk.operation_count() <= first + point {
            assert_eq!(errors.len(), 0);
            break;
        }
        points += 1;
        for error in &errors {
            assert!(matches!(error, StoreError::Interrupted { .. }), "at {point}: {error}");
        }
        let events = all(&store);
        assert_holds(&events, &receipts);
        check_log(&events);
        store.append(&at("order:1"), PLACED, "goes on").unwrap();
        store.close().unwrap();
        disk.power_cut(point);
        let store = Store::open_in(disk, config.clone()).unwrap();
        assert!(all(&store).starts_with(&events), "at {point}");
        check_log(&all(&store));
    }
    assert!(points > 50, "only {points} points");
}

#[test]
fn b13_a_storage_that_panics_at_any_call_loses_nothing_acknowledged() {
    without_hanging(|| {
        quietly(|| panics_at_every_operation(RestartPolicy::Once, annals::Durability::Durable));
    });
}

#[test]
fn b13_a_storage_that_panics_at_any_call_loses_nothing_written_without_a_sync() {
    without_hanging(|| {
        let policy = RestartPolicy::Bounded { max_restarts: 1, within_ms: 1 };
        quietly(|| panics_at_every_operation(policy, annals::Durability::OnSync));
    });
}

#[test]
fn b13_every_thread_gets_its_answer_when_the_storage_panics_again_and_again() {
    without_hanging(|| {
        quietly(|| {
            for policy in
                [RestartPolicy::Once, RestartPolicy::Bounded { max_restarts: 4, within_ms: 60_000 }]
            {
                let probe = Probe::new(MemoryStorage::new());
                let config = small().with_restart_policy(policy).with_write_queue_capacity(4);
                let store = Store::open_in(probe.clone(), config).unwrap();
                let calls = AtomicU32::new(0);
                probe.before(move |_| {
                    let call = calls.fetch_add(1, Ordering::SeqCst);
                    assert!(call % 23 != 22, "simulated: call {call} panics");
                    std::thread::yield_now();
                    Ok(())
                });
                let mut receipts = Vec::new();
                let mut crashed = 0;
                std::thread::scope(|scope| {
                    let append = |number: usize| {
                        let store = &store;
                        move || {
                            let entity = format!("order:{number}");
                            let answers = (0..20).map(|round| match round % 3 {
                                0 => store.submit(event(&entity, "x")).and_then(|t| t.wait()),
                                _ => store.append(&at(&entity), PLACED, &round),
                            });
                            answers.collect::<Vec<_>>()
                        }
                    };
                    let threads: Vec<_> =
                        (0..16).map(|number| scope.spawn(append(number))).collect();
                    for answer in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
                        match answer {
                            Ok(receipt) => receipts.push(receipt),
                            Err(StoreError::Interrupted { .. }) => {}
                            Err(StoreError::WriterCrashed { .. }) => crashed += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
                assert!(crashed > 0, "the policy is used up");
                let events = all(&store);
                assert_holds(&events, &receipts);
                check_log(&events);
            }
        });
    });
}

#[test]
fn a_close_that_panics_is_an_error() {
    quietly(|| {
        let disk = SimDisk::new(1);
        let store = Store::open_in(disk.clone(), small()).unwrap();
        let receipt = store.append(&at("order:1"), PLACED, &1).unwrap();
        disk.fail_at(disk.operation_count(), Fault::Panic);
        let error = store.close().unwrap_err();
        assert!(matches!(error, StoreError::WriterCrashed { .. }), "{error}");
        let store = Store::open_in(disk, small()).unwrap();
        assert_holds(&all(&store), &[receipt]);
    });
}

#[test]
fn b37_the_inputs_of_a_compaction_stay_until_its_output_is_on_stable_storage() {
    quietly(|| {
        let open = |disk: &SimDisk| {
            let config = LogConfig::default().with_segment_max_bytes(4 * 1024);
            Log::open(disk.clone(), TestHost::new(1).with_step_us(1_000), config).unwrap()
        };
        let begun = SimDisk::new(1);
        let mut log = open(&begun);
        for number in 0..60 {
            let text = "x".repeat(number * 5);
            log.append(&event(&format!("order:{}", number % 4), &text)).unwrap();
        }
        log.close().unwrap();
        let read = |disk: &SimDisk| -> Vec<_> {
            let events = open(disk).reader().query(&Region::all());
            events.collect::<Result<_, _>>().unwrap()
        };
        let events = read(&begun);
        for point in 0.. {
            let disk = begun.fork();
            let mut log = open(&disk);
            let first = disk.operation_count();
            disk.fail_at(first + point, Fault::Panic);
            // The process ends in the middle, is started again, and then the power fails.
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let config = CompactionConfig::new(CompactionStrategy::Merge);
                let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
                let done = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
                log.finish_compaction(&done).unwrap();
            }));
            drop(log);
            disk.clear_faults();
            disk.restart_process();
            assert_eq!(read(&disk), events, "at {point}");
            disk.power_cut(point);
            assert_eq!(read(&disk), events, "at {point}, after a power cut");
            if ended.is_ok() {
                break;
            }
        }
    });
}
