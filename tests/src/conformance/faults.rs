//! Behaviour 11: calls that fail, on any backend. A failed call leaves nothing half-visible.

use annals_core::{
    AppendOptions, Event, LogConfig, Sequence, Storage, StorageErrorKind, StoreError,
};

use super::store::{
    PAID, PLACED, TestLog, all, event, fill, goes_on, open, open_on, open_small, put,
    small_segments, with,
};
use super::{Backend, Call, Faults, Faulty};

fn faulty<B: Backend>(
    backend: &B,
    faults: &Faults,
    config: LogConfig,
) -> TestLog<Faulty<B::Storage>> {
    open_on(Faulty::new(backend.storage(), faults), config)
}

/// What a reader and whoever opens again must see after a failure.
fn unchanged<S: Storage>(log: &TestLog<S>, whole: &[Event]) {
    assert_eq!(all(&log.reader()), whole);
    assert_eq!(log.reader().end().get(), whole.len() as u64);
}

/// A write without space leaves the store as it was, however much of it was written, and the
/// next append stands at the right place.
pub fn b11_a_failed_write_leaves_the_store_as_it_was(backend: impl Backend) {
    let faults = Faults::default();
    let mut log = faulty(&backend, &faults, LogConfig::default());
    put(&mut log, &event("order:1", PLACED, "before"));
    for kept_len in [0, 1, 12, 40, 130, usize::MAX] {
        let whole = all(&log.reader());
        faults.fail_next_write_after(kept_len);
        let batch = [event("order:1", PAID, "never"), event("order:2", PLACED, "never")];
        let error = log.append_batch(&batch.into_iter().collect()).expect_err("no space");
        assert!(matches!(&error, StoreError::Storage(e) if e.kind() == StorageErrorKind::NoSpace));
        unchanged(&log, &whole);
        assert_eq!(log.reader().head("order:2").expect("an index"), None);
        let receipt = put(&mut log, &event("order:1", PAID, "after"));
        assert_eq!(receipt.sequence.get(), whole.len() as u64);
        assert_eq!(receipt.version.get(), whole.len() as u64);
    }
    let whole = all(&log.reader());
    drop(log);
    let log = open(&backend);
    assert_eq!(log.recovery().torn_tail, None, "nothing of the failed writes is left");
    unchanged(&log, &whole);
}

/// The failed write and the cut after it both fail: the next append cuts before it writes.
pub fn b11_a_failed_cut_is_made_up_for(backend: impl Backend) {
    let faults = Faults::default();
    let mut log = faulty(&backend, &faults, LogConfig::default());
    put(&mut log, &event("order:1", PLACED, "before"));
    faults.fail_next_write_after(usize::MAX);
    faults.fail_all(Call::SetLen);
    let long = event("order:1", PAID, &"never".repeat(50));
    let group = [long.clone(), long];
    assert!(log.append_batch(&group.into_iter().collect()).is_err());
    assert!(log.append(&event("order:1", PAID, "not while it can't be cut")).is_err());
    unchanged(&log, &all(&log.reader()));
    faults.clear();
    put(&mut log, &event("order:1", PAID, "short"));
    let whole = all(&log.reader());
    assert_eq!(whole.len(), 2);
    drop(log);
    let mut log = open(&backend);
    unchanged(&log, &whole);
    goes_on(&mut log);
}

/// After a failed sync nobody knows what is stable: no append is taken, readers go on, opening
/// again recovers, and the sync is not tried again.
pub fn b11_a_failed_sync_poisons_the_writer(backend: impl Backend) {
    let faults = Faults::default();
    let mut log = faulty(&backend, &faults, LogConfig::default());
    put(&mut log, &event("order:1", PLACED, "before"));
    let whole = all(&log.reader());
    faults.fail_next(Call::Sync);
    let unsure = event("order:1", PAID, "perhaps");
    assert!(matches!(log.append(&unsure), Err(StoreError::Poisoned { .. })));
    let syncs = faults.count(Call::Sync);
    for _ in 0..3 {
        assert!(matches!(log.append(&unsure), Err(StoreError::Poisoned { .. })));
        assert!(matches!(log.sync(), Err(StoreError::Poisoned { .. })));
        assert!(matches!(log.seal(), Err(StoreError::Poisoned { .. })));
        assert!(matches!(log.close_in_place(), Err(StoreError::Poisoned { .. })));
        unchanged(&log, &whole);
    }
    assert_eq!(faults.count(Call::Sync), syncs, "a failed sync is never retried");
    drop(log);
    let mut log = open(&backend);
    let read = all(&log.reader());
    assert!(read.len() == 1 || read.len() == 2, "whole or absent");
    assert_eq!(read[..1], whole);
    goes_on(&mut log);
}

/// Each call that begins a segment fails once: the append fails or succeeds whole, and goes on.
pub fn b11_a_failed_rotation_leaves_the_store_as_it_was(backend: impl Backend) {
    let faults = Faults::default();
    let calls = [Call::Create, Call::Write, Call::SetLen, Call::Read, Call::Sync, Call::SyncDir];
    for call in calls {
        for passing in 0..4 {
            let mut log = faulty(&backend, &faults, small_segments());
            let mut ids: Vec<_> = all(&log.reader()).iter().map(Event::id).collect();
            faults.fail_after(call, passing);
            let mut failures = 0;
            for number in 0..16 {
                match log.append(&event("order:1", PLACED, &format!("{number:0>600}"))) {
                    Ok(receipt) => {
                        assert_eq!(receipt.sequence.get(), ids.len() as u64);
                        ids.push(receipt.id);
                    }
                    Err(StoreError::Poisoned { .. }) => break,
                    Err(_) => failures += 1,
                }
                assert_eq!(log.reader().end().get(), ids.len() as u64);
            }
            assert!(failures <= 1, "{call:?} failed once");
            faults.clear();
            let whole = all(&log.reader());
            assert!(whole.iter().map(Event::id).eq(ids));
            drop(log);
            let log = open_small(&backend);
            let read = all(&log.reader());
            assert_eq!(read[..whole.len()], whole, "{call:?} after {passing}");
            assert!(read.len() <= whole.len() + 1);
        }
    }
}

/// Sealing fails after its bytes were written, and they can't be cut: what is appended behind
/// is not lost.
pub fn b11_a_failed_seal_does_not_hide_later_events(backend: impl Backend) {
    let faults = Faults::default();
    let config = || LogConfig::default().with_seal_on_close_bytes(1);
    let mut log = faulty(&backend, &faults, config());
    put(&mut log, &event("order:1", PLACED, "before"));
    faults.fail_next_write_after(usize::MAX);
    faults.fail_all(Call::SetLen);
    assert!(log.close_in_place().is_err());
    faults.clear();
    put(&mut log, &event("order:1", PAID, "after"));
    let whole = all(&log.reader());
    assert_eq!(whole.len(), 2);
    drop(log);
    let log = open(&backend);
    unchanged(&log, &whole);
}

/// A read error is reported as such: it is neither the end of a file nor damage.
pub fn b11_a_read_error_is_no_end_of_file(backend: impl Backend) {
    let mut log = open_small(&backend);
    let receipts = fill(&mut log, 2);
    let whole = all(&log.reader());
    drop(log);
    let faults = Faults::default();
    for passing in 0..20 {
        faults.clear();
        faults.fail_after(Call::Read, passing);
        let storage = Faulty::new(backend.storage(), &faults);
        let opened = annals_core::Log::open(storage, super::store::host(), small_segments());
        let failed = match opened {
            Err(StoreError::Storage(error)) => {
                assert_eq!(error.kind(), StorageErrorKind::Other);
                true
            }
            Err(other) => panic!("{other}"),
            Ok(log) => {
                let read: Result<Vec<_>, _> =
                    receipts.iter().map(|receipt| log.reader().get(receipt.id)).collect();
                match read {
                    Ok(read) => read.len() != receipts.len(),
                    Err(StoreError::Storage(_)) => true,
                    Err(other) => panic!("{other}"),
                }
            }
        };
        assert!(failed, "the read that failed was needed");
    }
    faults.clear();
    unchanged(&open(&backend), &whole);
}

/// An event that can't be written may be tried again with its key, and stands once.
pub fn b11_a_failed_append_may_be_tried_again(backend: impl Backend) {
    let faults = Faults::default();
    let mut log = faulty(&backend, &faults, LogConfig::default());
    let append = with(event("order:1", PLACED, "once"), |options: AppendOptions| {
        options.with_idempotency_key(annals_core::EventId::from_key("k"))
    });
    faults.fail_all(Call::Create);
    assert!(log.append(&append).is_err());
    faults.clear();
    faults.fail_next(Call::Write);
    assert!(log.append(&append).is_err());
    faults.fail_after(Call::Write, 1);
    assert!(log.append(&append).is_err());
    faults.clear();
    let receipt = put(&mut log, &append);
    assert_eq!(receipt.sequence, Sequence::ZERO);
    assert_eq!(put(&mut log, &append).sequence, receipt.sequence);
    drop(log);
    assert_eq!(all(&open(&backend).reader()).len(), 1);
}
