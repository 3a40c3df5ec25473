//! Disks that fail under a store.

use crate::probe::{Gate, Probe, io_error};
use crate::{PLACED, all, assert_holds, at, batch, event};
use annals::{
    AppendCondition, AppendOptions, Coordinate, EventId, ExpectedVersion, Payload, Region, Store,
    StoreConfig, StoreError,
};
use annals_tests::linear::check_log;
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::{Fault, FaultRates, OperationKind, Random, SimDisk, for_each_seed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn small() -> StoreConfig {
    StoreConfig::new("").with_segment_max_bytes(4 * 1024)
}

fn is_no_space(error: &StoreError) -> bool {
    matches!(error, StoreError::Storage(error) if error.kind() == annals::StorageErrorKind::NoSpace)
}

#[test]
fn b11_a_full_disk_shows_nothing_half_and_takes_appends_again_once_there_is_space() {
    for_each_seed("a full disk", 40, |seed| {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let store = Store::open_in(disk.clone(), small()).unwrap();
        let mut receipts = Vec::new();
        for round in 0..6 {
            let used: usize =
                disk.peek_list().iter().filter_map(|id| disk.peek(*id)).map(|b| b.len()).sum();
            disk.set_space_max(Some(used as u64 + random.below(3_000)));
            let mut refused = 0;
            while refused < 3 {
                let len = 1 + random.index(8);
                let text = "x".repeat(random.index(200));
                let before = all(&store);
                let items = (0..len).map(|item| event(&format!("order:{item}"), &text));
                match store.append_batch(batch(items)) {
                    Ok(written) => receipts.extend(written),
                    Err(error) => {
                        assert!(is_no_space(&error), "{error}");
                        refused += 1;
                        assert_eq!(all(&store), before, "nothing of it is visible");
                    }
                }
            }
            disk.set_space_max(None);
            receipts.push(store.append(&at("order:1"), PLACED, &round).unwrap());
        }
        let events = all(&store);
        assert_eq!(events.len(), receipts.len());
        assert_holds(&events, &receipts);
        drop(store);
        disk.power_cut(seed);
        let store = Store::open_in(disk, small()).unwrap();
        assert_eq!(all(&store), events, "all of it was acknowledged as durable");
        check_log(&events);
    });
}

#[test]
fn b11_a_group_whose_write_failed_was_never_there_for_anyone() {
    without_hanging(|| {
        let disk = SimDisk::new(1);
        let (probe, gate) = (Probe::new(disk.clone()), Gate::default());
        let store = Arc::new(Store::open_in(probe.clone(), StoreConfig::new("")).unwrap());
        store.append(&at("order:0"), PLACED, "the first begins a segment").unwrap();
        let failing = Arc::new(AtomicBool::new(false));
        let (held, fails) = (gate.clone(), Arc::clone(&failing));
        probe.before(move |kind| {
            if kind == OperationKind::WriteAllAt {
                held.pass();
                if fails.load(Ordering::SeqCst) {
                    return Err(io_error());
                }
            }
            Ok(())
        });
        gate.close();
        let leading = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || store.append(&at("order:0"), PLACED, "leads"))
        };
        gate.wait_for_visitor();
        failing.store(true, Ordering::SeqCst);
        let new = AppendOptions::default().with_expected_version(ExpectedVersion::NoStream);
        let key = EventId::from_key("once");
        let keyed = AppendOptions::default().with_idempotency_key(key);
        let empty = AppendCondition { region: Region::stream("order:2"), after: None };
        // The second of each pair is judged by the first, which is staged but never written.
        let group = [
            batch([event("order:1", "new").with_options(new.clone())]),
            batch([event("order:1", "new too").with_options(new)]),
            batch([event("order:2", "keyed").with_options(keyed.clone())]),
            batch([event("order:2", "another").with_options(keyed.clone())]),
            batch([event("order:2", "keyed").with_options(keyed)]),
            batch([event("order:3", "alone")]).with_condition(empty),
        ];
        let tickets = group.map(|batch| store.submit_batch(batch).unwrap());
        gate.open();
        leading.join().unwrap().unwrap_err();
        for ticket in tickets {
            let error = ticket.wait().unwrap_err();
            assert!(matches!(error, StoreError::Storage(_)), "{error}");
        }
        failing.store(false, Ordering::SeqCst);
        assert_eq!(all(&store).len(), 1);
        assert_eq!(store.head("order:1").unwrap(), None);
        assert!(matches!(store.get(key), Err(StoreError::NotFound(_))));
        let receipt = store.append(&at("order:1"), PLACED, "right after").unwrap();
        assert_eq!(receipt.sequence.get(), 1);
        store.sync().unwrap();
        let events = all(&store);
        drop(store);
        disk.power_cut(7);
        assert_eq!(all(&Store::open_in(disk, StoreConfig::new("")).unwrap()), events);
    });
}

#[test]
fn b11_a_failed_sync_poisons_the_writer_and_opening_again_recovers() {
    for_each_seed("a failed sync", 30, |seed| {
        let disk = SimDisk::new(seed);
        let store = Store::open_in(disk.clone(), small()).unwrap();
        let mut receipts = Vec::new();
        for number in 0..5 + seed {
            receipts.push(store.append(&at("order:1"), PLACED, &number).unwrap());
        }
        let before = all(&store);
        // The write of the next append, then its sync.
        disk.fail_at(disk.operation_count() + 1, Fault::Io);
        let mut error = store.append(&at("order:1"), PLACED, "unsynced").unwrap_err();
        if !matches!(error, StoreError::Poisoned { .. }) {
            // It was a segment's turn to be sealed or begun; a write failed there.
            receipts.push(store.append(&at("order:1"), PLACED, "again").unwrap());
            disk.set_fault_rates(FaultRates { sync_ppm: 1_000_000, ..FaultRates::default() });
            error = store.append(&at("order:1"), PLACED, "unsynced").unwrap_err();
            disk.clear_faults();
        }
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        for _ in 0..3 {
            let error = store.append(&at("order:2"), PLACED, "refused").unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
            let error = store.sync().unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        }
        let error = store.submit(event("order:2", "refused")).unwrap().wait().unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        assert_holds(&all(&store), &receipts);
        assert!(all(&store).starts_with(&before), "readers go on");
        assert!(store.close().is_err(), "closing can't make it durable");
        assert_eq!(disk.retried_sync_count(), 0, "a failed sync is never tried again");
        if seed % 2 == 0 {
            disk.power_cut(seed);
        } else {
            disk.restart_process();
        }
        let store = Store::open_in(disk.clone(), small()).unwrap();
        assert_holds(&all(&store), &receipts);
        store.append(&at("order:1"), PLACED, "goes on").unwrap();
        check_log(&all(&store));
    });
}

#[test]
fn b11_a_sync_that_fails_beside_appends_poisons_the_writer_too() {
    let disk = SimDisk::new(3);
    let config = small().with_durability(annals::Durability::OnSync);
    let store = Store::open_in(disk.clone(), config.clone()).unwrap();
    store.append(&at("order:1"), PLACED, &1).unwrap();
    assert_eq!(store.sync().unwrap().get(), 1);
    store.append(&at("order:1"), PLACED, &2).unwrap();
    disk.fail_at(disk.operation_count(), Fault::Io);
    for _ in 0..3 {
        let error = store.sync().unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
    }
    assert_eq!(store.stats().unwrap().durable_end.get(), 1, "nobody claims that it is durable");
    assert!(store.append(&at("order:1"), PLACED, &3).is_err());
    assert_eq!(all(&store).len(), 2);
    drop(store);
    assert_eq!(disk.retried_sync_count(), 0);
    disk.power_cut(1);
    let store = Store::open_in(disk, config).unwrap();
    assert!(!all(&store).is_empty());
    store.append(&at("order:1"), PLACED, &3).unwrap();
}

#[test]
fn what_was_acknowledged_survives_any_run_of_failures() {
    for_each_seed("random failures", 60, |seed| {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let mut receipts = Vec::new();
        for life in 0..4 {
            let store = Store::open_in(disk.clone(), small()).unwrap();
            let events = all(&store);
            assert_holds(&events, &receipts);
            check_log(&events);
            disk.set_fault_rates(FaultRates {
                write_ppm: 60_000,
                sync_ppm: if life % 2 == 0 { 10_000 } else { 0 },
                directory_ppm: 30_000,
                ..FaultRates::default()
            });
            let mut poisoned = false;
            for _ in 0..40 {
                let len = 1 + random.index(4);
                let items = (0..len)
                    .map(|item| event(&format!("order:{item}"), &"x".repeat(random.index(300))));
                match store.append_batch(batch(items.collect::<Vec<_>>())) {
                    Ok(written) => {
                        assert!(!poisoned);
                        receipts.extend(written);
                    }
                    Err(StoreError::Poisoned { .. }) => poisoned = true,
                    Err(error) => assert!(matches!(error, StoreError::Storage(_)), "{error}"),
                }
            }
            disk.set_fault_rates(FaultRates::default());
            let seen = all(&store);
            assert_holds(&seen, &receipts);
            assert_eq!(disk.retried_sync_count(), 0);
            if random.one_in(2) {
                let closed = store.close();
                assert!(closed.is_ok() || poisoned, "{closed:?}");
            }
            if random.one_in(2) { disk.power_cut(seed) } else { disk.restart_process() }
        }
    });
}

#[test]
fn a_directory_that_vanishes_makes_errors_and_no_panic() {
    without_hanging(|| {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        let config = StoreConfig::new(&dir).with_segment_max_bytes(64 * 1024);
        let store = Store::open(config.clone()).unwrap();
        let text = || Payload::raw("x".repeat(1_000));
        let receipts: Vec<_> =
            (0..200).map(|_| store.append(&at("order:1"), PLACED, text()).unwrap()).collect();
        std::fs::remove_dir_all(&dir).unwrap();
        let mut refused = 0;
        for _ in 0..200 {
            match store.append(&at("order:1"), PLACED, text()) {
                Ok(_) => assert_eq!(refused, 0, "there is no next segment"),
                Err(StoreError::Storage(_) | StoreError::Poisoned { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(refused > 0, "a new segment has nowhere to go");
        // The files that are open can still be read.
        assert_holds(&all(&store), &receipts);
        let _ = store.close();
        let store = Store::open(config).unwrap();
        assert_eq!(all(&store), []);
        store.append(&Coordinate::new("order:1", "shop").unwrap(), PLACED, "anew").unwrap();
    });
}
