//! The stream: any prefix of a store, in pieces of any length, on either side.

use annals_core::{
    BackupError, ExportOptions, Log, LogConfig, MemoryStorage, ReadOnlyLog, Sequence, Storage,
};
use annals_tests::backup::{
    append_some, assert_same, assert_same_from, backup, bytes_of, events, fill_with_everything,
    restore,
};
use annals_tests::conformance::TestHost;
use proptest::prelude::*;

type TestLog = Log<MemoryStorage, TestHost>;

pub(crate) fn host(seed: u64) -> TestHost {
    TestHost::new(seed).with_step_us(700)
}

pub(crate) fn open<S: Storage>(storage: S, seed: u64) -> Log<S, TestHost> {
    let config = LogConfig::default().with_segment_max_bytes(4096);
    Log::open(storage, host(seed), config).unwrap()
}

fn store_of(batches: u64, seed: u64) -> TestLog {
    let mut log = open(MemoryStorage::new(), seed);
    append_some(&mut log, batches);
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn b38_any_prefix_in_any_pieces_gives_the_same(
        batches in 0_u64..25,
        more in 0_u64..25,
        out in 1_usize..3_000,
        into in 1_usize..3_000,
        seed in any::<u64>(),
    ) {
        let mut log = store_of(batches, seed);
        let mut export = log.export(&ExportOptions::default()).unwrap();
        let prefix = log.reader();
        // What is appended meanwhile is not in it.
        append_some(&mut log, more);
        let whole = bytes_of(&mut export, out).unwrap();
        prop_assert_eq!(whole.len() as u64, export.len());
        let storage = MemoryStorage::new();
        restore(storage.clone(), host(1), &whole, into).unwrap();
        let copy = open(storage.clone(), 2);
        if batches > 0 {
            assert_same(&prefix, &copy.reader());
        }
        drop(copy);
        if batches > 0 {
            let options = ExportOptions::default().with_from(prefix.end());
            let rest = bytes_of(&mut log.export(&options).unwrap(), into).unwrap();
            restore(storage.clone(), host(1), &rest, out).unwrap();
            assert_same(&log.reader(), &open(storage, 2).reader());
        }
    }

    #[test]
    fn b38_a_backup_may_continue_at_any_event(at in 1_u64..60, merged in any::<bool>()) {
        let mut log = store_of(30, 3);
        if merged {
            let config = annals_core::CompactionConfig::new(annals_core::CompactionStrategy::Merge)
                .with_seal_active(true);
            let next = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
            let done = next.run(|_| std::ops::ControlFlow::Continue(())).unwrap().unwrap();
            log.finish_compaction(&done).unwrap();
        }
        let at = at.min(log.reader().end().get());
        // A store that ends there can be had by events alone.
        let mut first = store_of(0, 3);
        let mut batches = 0;
        while first.reader().end().get() < at {
            first = store_of(batches, 3);
            batches += 1;
        }
        prop_assume!(first.reader().end().get() == at && first.store_id() == log.store_id());
        let storage = MemoryStorage::new();
        restore(storage.clone(), host(1), &backup(&first, &ExportOptions::default()), 999).unwrap();
        let options = ExportOptions::default().with_from(Sequence::new(at));
        restore(storage.clone(), host(1), &backup(&log, &options), 999).unwrap();
        assert_same(&log.reader(), &open(storage, 2).reader());
    }
}

#[test]
fn b38_what_does_not_continue_the_store_is_refused_by_name() {
    let mut log = store_of(10, 1);
    let storage = MemoryStorage::new();
    restore(storage.clone(), host(1), &backup(&log, &ExportOptions::default()), 999).unwrap();
    let end = log.reader().end();
    append_some(&mut log, 3);
    let middle = log.reader().end();
    append_some(&mut log, 3);
    let from = |from| ExportOptions::default().with_from(from);
    let before = events(&open(storage.clone(), 9).reader());
    let refused = |bytes: &[u8]| restore(storage.clone(), host(1), bytes, 999).unwrap_err();

    let gap = refused(&backup(&log, &from(middle)));
    assert!(
        matches!(gap, BackupError::DoesNotContinue { first, end: found } if first == middle && found == end),
        "{gap}"
    );
    let overlap = refused(&backup(&log, &from(Sequence::new(3))));
    assert!(matches!(overlap, BackupError::DoesNotContinue { .. }), "{overlap}");
    let mut other = store_of(10, 2);
    append_some(&mut other, 1);
    let stranger = refused(&backup(&other, &from(end)));
    assert!(matches!(stranger, BackupError::OtherStore { .. }), "{stranger}");
    assert!(events(&open(storage.clone(), 9).reader()) == before);

    // Written to on its own, the copy is no copy any more.
    let mut copy = open(storage.clone(), 77);
    append_some(&mut copy, 3);
    assert_eq!(copy.reader().end(), middle);
    drop(copy);
    let diverged = refused(&backup(&log, &from(middle)));
    assert!(matches!(diverged, BackupError::Diverged { .. }), "{diverged}");

    let behind = log.export(&from(Sequence::new(10_000))).unwrap_err();
    assert!(matches!(behind, BackupError::BehindEnd { .. }), "{behind}");
}

#[test]
fn b38_an_export_never_begins_where_retention_hides_the_border() {
    let mut log = open(MemoryStorage::new(), 1);
    fill_with_everything(&mut log);
    let end = log.reader().end().get();
    let mut refused = 0;
    for from in 1..=end {
        match log.export(&ExportOptions::default().with_from(Sequence::new(from))) {
            Ok(mut export) => {
                bytes_of(&mut export, 5_000).unwrap();
            }
            Err(BackupError::PrunedBorder { first }) if first.get() == from => refused += 1,
            Err(error) => panic!("from {from}: {error}"),
        }
    }
    assert!(refused > 0 && refused < end, "{refused} of {end}");
}

#[test]
fn b38_a_read_only_store_is_exported_as_its_files_are_now() {
    let storage = MemoryStorage::new();
    let mut log = open(storage.clone(), 1);
    fill_with_everything(&mut log);
    let beside = ReadOnlyLog::open(storage, LogConfig::default()).unwrap();
    append_some(&mut log, 2);
    let whole = bytes_of(&mut beside.export(&ExportOptions::default()).unwrap(), 999).unwrap();
    assert!(whole == backup(&log, &ExportOptions::default()));
    let from = log.reader().end();
    append_some(&mut log, 1);
    let options = ExportOptions::default().with_from(from);
    let more = bytes_of(&mut beside.export(&options).unwrap(), 999).unwrap();
    let copy = MemoryStorage::new();
    restore(copy.clone(), host(1), &whole, 999).unwrap();
    restore(copy.clone(), host(1), &more, 999).unwrap();
    assert_same_from(&log.reader(), &open(copy, 2).reader(), Sequence::ZERO);
}

#[test]
fn b38_an_event_behind_the_reader_is_not_in_the_backup() {
    let mut log = store_of(3, 1);
    let end = log.reader().end();
    let export = log.export(&ExportOptions::default()).unwrap();
    let reader = export.reader();
    drop(export);
    append_some(&mut log, 5);
    assert_eq!(reader.end(), end);
    let mut late = log.export(&ExportOptions::default()).unwrap();
    let mut early = log.export(&ExportOptions::default().with_from(end)).unwrap();
    assert!(bytes_of(&mut late, 100).unwrap().len() > bytes_of(&mut early, 100).unwrap().len());
}
