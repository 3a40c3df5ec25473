//! What is staged while the sync of the group before it is under way.

use crate::probe::{Gate, Probe, io_error};
use crate::{PLACED, all, assert_holds, at, batch, event};
use annals::{
    AppendCondition, AppendOptions, AppendReceipt, Batch, EventId, ExpectedVersion, MemoryStorage,
    Region, Storage, Store, StoreConfig, StoreError, Version,
};
use annals_tests::linear::check_log;
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::{OperationKind, SimDisk};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

type Answer = Result<Vec<AppendReceipt>, StoreError>;

/// A clock that is asked once for each batch that is staged, and tells how often it was.
#[derive(Clone, Default)]
struct Clock {
    asked: Arc<(Mutex<u64>, Condvar)>,
    panics: Arc<AtomicBool>,
}

impl Clock {
    fn ask(&self) -> i64 {
        // Before it is counted: what a test sets once it has seen the count is for the next.
        let panics = self.panics.swap(false, Ordering::SeqCst);
        *self.asked.0.lock() += 1;
        self.asked.1.notify_all();
        assert!(!panics, "simulated: the clock panics");
        1
    }

    fn asked(&self) -> u64 {
        *self.asked.0.lock()
    }

    fn wait_until_asked(&self, times: u64) {
        let mut asked = self.asked.0.lock();
        while *asked < times {
            self.asked.1.wait(&mut asked);
        }
    }
}

/// A store whose syncs are held up, and may be made to fail.
struct Held<S: Storage> {
    store: Arc<Store<Probe<S>>>,
    probe: Probe<S>,
    clock: Clock,
    gate: Gate,
    /// What a sync does when it is let through.
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl<S> Held<S>
where
    S: Storage + Clone + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// With one event of `order:0`, in a segment that has begun.
    fn new(storage: S, config: StoreConfig) -> Self {
        let (probe, gate, clock) = (Probe::new(storage), Gate::default(), Clock::default());
        let asked = clock.clone();
        let config = config.with_clock(move || asked.ask());
        let store = Arc::new(Store::open_in(probe.clone(), config).unwrap());
        store.append(&at("order:0"), PLACED, "the first begins a segment").unwrap();
        let (fails, panics) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (held, fail, panic) = (gate.clone(), Arc::clone(&fails), Arc::clone(&panics));
        probe.before(move |kind| {
            if kind == OperationKind::SyncData {
                held.pass();
                assert!(!panic.swap(false, Ordering::SeqCst), "simulated: the sync panics");
                if fail.load(Ordering::SeqCst) {
                    return Err(io_error());
                }
            }
            Ok(())
        });
        Held { store, probe, clock, gate, fails, panics }
    }

    fn append(&self, batch: Batch) -> JoinHandle<Answer> {
        let store = Arc::clone(&self.store);
        std::thread::spawn(move || store.append_batch(batch))
    }

    /// Begins to append this batch, and holds its sync up.
    fn hold(&self, batch: Batch) -> JoinHandle<Answer> {
        self.gate.close();
        let leading = self.append(batch);
        self.gate.wait_for_visitor();
        self.probe.take_calls();
        leading
    }

    /// Appends these, each on a thread of its own that comes when those before it are staged.
    fn stage_behind<const N: usize>(&self, batches: [Batch; N]) -> [JoinHandle<Answer>; N] {
        batches.map(|batch| {
            let asked = self.clock.asked();
            let thread = self.append(batch);
            self.clock.wait_until_asked(asked + 1);
            thread
        })
    }
}

fn one(entity: &str, text: &str) -> Batch {
    batch([event(entity, text)])
}

fn answers<const N: usize>(threads: [JoinHandle<Answer>; N]) -> [Answer; N] {
    threads.map(|thread| thread.join().unwrap())
}

/// An event of `order:1` under a key that all of these share.
fn keyed(text: &str) -> Batch {
    let options = AppendOptions::default().with_idempotency_key(EventId::from_key("once"));
    batch([event("order:1", text).with_options(options)])
}

/// What is refused, or was there already, once the first event of `order:1` is [`keyed`].
fn judged_by_the_first() -> [Batch; 4] {
    let new = AppendOptions::default().with_expected_version(ExpectedVersion::NoStream);
    let empty = AppendCondition { region: Region::stream("order:1"), after: None };
    [
        batch([event("order:1", "new").with_options(new)]),
        keyed("keyed"),
        keyed("another"),
        one("order:3", "alone").with_condition(empty),
    ]
}

#[test]
fn what_comes_during_a_sync_is_staged_by_then_and_shares_the_next_one() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(one("order:1", "leads"));
        let behind = held.stage_behind([
            one("order:1", "follows"),
            one("order:2", "follows"),
            one("order:1", "follows that"),
        ]);
        let asked = held.clock.asked();
        assert_eq!(all(&held.store).len(), 1, "nothing is visible before its sync");
        assert_eq!(held.store.head("order:1").unwrap(), None);
        held.gate.open();
        let first = leading.join().unwrap().unwrap();
        let [follows, other, last] = answers(behind).map(Result::unwrap);
        assert_eq!(held.clock.asked(), asked, "nothing had to be staged again");
        let calls: Vec<_> = held.probe.take_calls().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(calls, [OperationKind::WriteAllAt, OperationKind::SyncData]);
        let versions = [&first, &follows, &last].map(|receipts| receipts[0].version.get());
        assert_eq!(versions, [0, 1, 2]);
        let receipts = [first, follows, other, last].concat();
        assert!(receipts.iter().all(|receipt| receipt.durable));
        let events = all(&held.store);
        assert_eq!(events.len(), 5);
        assert_holds(&events, &receipts);
        check_log(&events);
    });
}

#[test]
fn b11_a_sync_that_fails_takes_along_what_was_staged_behind_it() {
    without_hanging(|| {
        let disk = SimDisk::new(1);
        let held = Held::new(disk.clone(), StoreConfig::new(""));
        let before = all(&held.store);
        let leading = held.hold(keyed("keyed"));
        let [behind] = held.stage_behind([one("order:1", "follows")]);
        // These are judged by what is not on stable storage yet: their answers would be lies.
        let judged = judged_by_the_first().map(|batch| held.append(batch));
        let [last] = held.stage_behind([one("order:4", "last")]);
        held.fails.store(true, Ordering::SeqCst);
        held.gate.open();
        let mut failed = vec![leading.join().unwrap()];
        failed.extend(answers([behind, last]));
        failed.extend(answers(judged));
        for answer in failed {
            let error = answer.unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        }
        assert_eq!(all(&held.store), before, "readers go on, with what was acknowledged");
        assert!(matches!(held.store.get(EventId::from_key("once")), Err(StoreError::NotFound(_))));
        let stats = held.store.stats().unwrap();
        assert_eq!((stats.events, stats.end.get(), stats.durable_end.get()), (1, 1, 1));
        let error = held.store.append(&at("order:0"), PLACED, "refused").unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        drop(held);
        assert_eq!(disk.retried_sync_count(), 0, "a failed sync is never tried again");
        disk.power_cut(3);
        let store = Store::open_in(disk, StoreConfig::new("")).unwrap();
        let events = all(&store);
        assert!(events.starts_with(&before));
        assert!(events.len() <= 2, "what was staged was never written");
        store.append(&at("order:1"), PLACED, "goes on").unwrap();
        check_log(&all(&store));
    });
}

#[test]
fn what_is_judged_by_a_group_that_waits_for_its_sync_is_answered_behind_it() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(keyed("keyed"));
        let judged = judged_by_the_first().map(|batch| held.append(batch));
        let [last] = held.stage_behind([one("order:4", "last")]);
        assert!(judged.iter().all(|thread| !thread.is_finished()), "none can be answered yet");
        held.gate.open();
        let first = leading.join().unwrap().unwrap();
        let [new, known, another, alone] = answers(judged);
        let conflict = new.unwrap_err();
        assert!(
            matches!(conflict, StoreError::VersionConflict { actual: Some(Version::ZERO), .. }),
            "{conflict}"
        );
        assert_eq!(known.unwrap(), first, "the original receipt");
        assert!(first[0].durable);
        let conflict = another.unwrap_err();
        assert!(matches!(conflict, StoreError::IdempotencyConflict { .. }), "{conflict}");
        let failed = alone.unwrap_err();
        assert!(matches!(failed, StoreError::ConditionFailed { .. }), "{failed}");
        last.join().unwrap().unwrap();
        assert_eq!(all(&held.store).len(), 3);
    });
}

#[test]
fn b13_a_sync_that_panics_costs_nobody_who_was_staged_behind_it() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(one("order:1", "leads"));
        let behind = held.stage_behind([one("order:1", "follows"), one("order:2", "follows")]);
        held.panics.store(true, Ordering::SeqCst);
        held.gate.open();
        let error = leading.join().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Interrupted { .. }), "{error}");
        let receipts = answers(behind).map(Result::unwrap).concat();
        let events = all(&held.store);
        assert_holds(&events, &receipts);
        let follows = events.iter().filter(|event| event.payload.bytes() == Some(b"follows"));
        assert_eq!(follows.count(), 2, "each of them once");
        check_log(&events);
    });
}

#[test]
fn b13_a_clock_that_panics_during_a_sync_costs_nobody_an_event() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(one("order:1", "leads"));
        let [first] = held.stage_behind([one("order:1", "follows")]);
        held.clock.panics.store(true, Ordering::SeqCst);
        let [second] = held.stage_behind([one("order:1", "the clock panics")]);
        // Nobody stages any more until the writer has started over.
        let third = held.append(one("order:2", "waits"));
        held.gate.open();
        let mut receipts = leading.join().unwrap().unwrap();
        receipts.extend(answers([first, second, third]).map(Result::unwrap).concat());
        let events = all(&held.store);
        assert_eq!(events.len(), 5);
        assert_holds(&events, &receipts);
        check_log(&events);
    });
}

#[test]
fn what_is_submitted_during_a_sync_goes_with_the_next_one() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(one("order:1", "leads"));
        let asked = held.clock.asked();
        let ticket = held.store.submit_batch(one("order:1", "submitted")).unwrap();
        held.clock.wait_until_asked(asked + 1);
        let [behind] = held.stage_behind([one("order:1", "follows")]);
        held.gate.open();
        let mut receipts = leading.join().unwrap().unwrap();
        receipts.extend(ticket.wait().unwrap());
        receipts.extend(behind.join().unwrap().unwrap());
        assert!(receipts.is_sorted_by_key(|receipt| receipt.version));
        assert_eq!(held.probe.take_count(OperationKind::SyncData), 1);
        assert_holds(&all(&held.store), &receipts);
    });
}

#[test]
fn what_needs_the_whole_log_waits_for_the_sync_and_leaves_what_was_staged() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let leading = held.hold(one("order:1", "leads"));
        let behind = held.stage_behind([one("order:1", "follows"), one("order:2", "follows")]);
        let naming = {
            let store = Arc::clone(&held.store);
            std::thread::spawn(move || store.name_kind(PLACED, "order.placed"))
        };
        held.gate.open();
        naming.join().unwrap().unwrap();
        let mut receipts = leading.join().unwrap().unwrap();
        receipts.extend(answers(behind).map(Result::unwrap).concat());
        let events = all(&held.store);
        assert_eq!(events.len(), 4);
        assert_holds(&events, &receipts);
        check_log(&events);
    });
}

#[test]
fn a_batch_that_needs_the_next_segment_waits_for_the_sync_of_this_one() {
    without_hanging(|| {
        let config = StoreConfig::new("").with_segment_max_bytes(4 * 1024);
        let held = Held::new(MemoryStorage::new(), config);
        let leading = held.hold(one("order:1", "leads"));
        let [small] = held.stage_behind([one("order:1", "follows")]);
        let large = held.append(one("order:2", &"x".repeat(3_800)));
        held.gate.open();
        let mut receipts = leading.join().unwrap().unwrap();
        receipts.extend(answers([small, large]).map(Result::unwrap).concat());
        let events = all(&held.store);
        assert_eq!(events.len(), 4);
        assert_holds(&events, &receipts);
        check_log(&events);
        assert_eq!(held.store.stats().unwrap().segments.len(), 2);
    });
}

#[test]
fn zeros_for_the_next_group_are_written_beside_the_sync_of_this_one() {
    without_hanging(|| {
        let held = Held::new(MemoryStorage::new(), StoreConfig::new(""));
        let large = |kib: usize| one("order:1", &"x".repeat(kib * 1024));
        // The first has 128 KiB of zeros written behind it, which do for three of the others.
        for kib in [40, 28, 28] {
            held.store.append_batch(large(kib)).unwrap();
        }
        let leading = held.hold(large(28));
        let [behind] = held.stage_behind([large(28)]);
        let kinds =
            || held.probe.take_calls().into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        // The clock is asked after they are written.
        assert_eq!(kinds(), [OperationKind::WriteAllAt]);
        held.gate.open();
        leading.join().unwrap().unwrap();
        behind.join().unwrap().unwrap();
        assert_eq!(
            kinds(),
            [OperationKind::WriteAllAt, OperationKind::SyncData],
            "none of its own"
        );
        check_log(&all(&held.store));
    });
}
