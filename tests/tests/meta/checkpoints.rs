//! The checkpoint part of behaviour 29, and what a failing disk does to it.

use annals_core::{
    CheckpointName, ConsumerCheckpoint, EventKind, MetaSync, Region, Sequence, StoreError,
};
use annals_tests::sim_disk::{Fault, OperationKind, SimDisk};

use crate::store::{append, consumer, meta_files, open};

const MAILER: CheckpointName<'_> = CheckpointName::consumer("mailer");
const KIND: EventKind = EventKind::new(1, 1);

#[test]
fn b29_the_last_checkpoint_counts_after_a_power_cut() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    for value in 0..100_u64 {
        log.set_checkpoint(MAILER, &value.to_le_bytes(), MetaSync::Now).unwrap();
    }
    disk.power_cut(1);
    let mut log = open(&disk);
    assert_eq!(log.checkpoint(MAILER), Some(99_u64.to_le_bytes().to_vec()));
    log.remove_checkpoint(MAILER, MetaSync::Now).unwrap();
    disk.power_cut(2);
    assert_eq!(open(&disk).checkpoint(MAILER), None);
}

#[test]
fn b29_a_lazy_checkpoint_survives_the_process_and_a_later_sync_keeps_it() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    log.set_checkpoint(MAILER, b"1", MetaSync::Now).unwrap();
    let before = disk.operation_count();
    log.set_checkpoint(MAILER, b"2", MetaSync::Later).unwrap();
    let synced = disk
        .trace()
        .iter()
        .any(|operation| operation.number >= before && operation.kind == OperationKind::SyncData);
    assert!(!synced, "a lazy write does not sync");
    drop(log);
    disk.restart_process();
    let mut log = open(&disk);
    assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"2"[..]));

    log.set_checkpoint(MAILER, b"3", MetaSync::Later).unwrap();
    log.sync_meta().unwrap();
    disk.power_cut(1);
    let mut log = open(&disk);
    assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"3"[..]));

    log.set_checkpoint(MAILER, b"4", MetaSync::Later).unwrap();
    log.set_checkpoint(MAILER, b"4", MetaSync::Now).unwrap();
    disk.power_cut(1);
    let mut log = open(&disk);
    assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"4"[..]), "the same value, now synced");

    log.set_checkpoint(MAILER, b"5", MetaSync::Later).unwrap();
    log.close().unwrap();
    disk.power_cut(1);
    assert_eq!(open(&disk).checkpoint(MAILER).as_deref(), Some(&b"5"[..]));
}

#[test]
fn b29_consumers_projections_and_kinds_of_one_name_are_kept_apart() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let projection = CheckpointName::projection(b"mailer");
    log.name_kind(KIND, "mailer").unwrap();
    log.set_checkpoint(MAILER, b"consumer", MetaSync::Now).unwrap();
    assert_eq!(log.checkpoint(projection), None);
    log.set_checkpoint(projection, b"projection", MetaSync::Now).unwrap();
    log.set_checkpoint(CheckpointName::consumer("archive"), b"", MetaSync::Now).unwrap();
    log.remove_checkpoint(CheckpointName::projection(b"archive"), MetaSync::Now).unwrap();

    let log = open(&disk);
    assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"consumer"[..]));
    assert_eq!(log.checkpoint(projection).as_deref(), Some(&b"projection"[..]));
    assert_eq!(consumer(&log, "archive").as_deref(), Some(&b""[..]), "empty is not absent");
    assert_eq!(log.consumer_names().collect::<Vec<_>>(), ["archive", "mailer"]);
    assert_eq!(log.reader().kind_names().len(), 1);
}

#[test]
fn b29_limits_are_typed_and_checked_before_anything_is_written() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let long = "n".repeat(CheckpointName::LEN_MAX + 1);
    let value = vec![1; 65_537];
    for (name, value, limit_max) in
        [("", &value[..1], 1_022), (&long, &value[..1], 1_022), ("mailer", &value[..], 65_536)]
    {
        let name = CheckpointName::consumer(name);
        let refused = log.set_checkpoint(name, value, MetaSync::Now).unwrap_err();
        let StoreError::Limit(limit) = refused else { panic!("{refused}") };
        assert_eq!(limit.limit_max, limit_max);
    }
    assert_eq!(meta_files(&disk), []);
    let name = CheckpointName::consumer(&long[1..]);
    log.set_checkpoint(name, &value[1..], MetaSync::Now).unwrap();
    assert_eq!(open(&disk).checkpoint(name).unwrap(), value[1..]);
}

#[test]
fn b29_all_values_together_are_limited_since_they_are_in_memory() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let value = vec![1; 65_536];
    let refused = (0..2_000_u32).find_map(|number| {
        let name = number.to_le_bytes();
        log.set_checkpoint(CheckpointName::projection(&name), &value, MetaSync::Later).err()
    });
    assert!(matches!(refused, Some(StoreError::Limit(_))));
    assert!(log.meta_stats().live_bytes <= 64 * 1024 * 1024);
    log.set_checkpoint(CheckpointName::projection(&[0; 4]), b"smaller", MetaSync::Now).unwrap();
    log.remove_checkpoint(CheckpointName::projection(&1_u32.to_le_bytes()), MetaSync::Now).unwrap();
}

#[test]
fn b29_a_failed_write_changes_nothing_and_the_next_one_succeeds() {
    let disk = SimDisk::new(5);
    let mut log = open(&disk);
    log.set_checkpoint(MAILER, b"1", MetaSync::Now).unwrap();
    for fault in [Fault::Io, Fault::NoSpace] {
        // The write, and then also the cut that takes it back.
        for faults in 1..=2 {
            let next = disk.operation_count();
            (next..next + faults).for_each(|operation| disk.fail_at(operation, fault));
            let failed = log.set_checkpoint(MAILER, &[9; 3_000], MetaSync::Now);
            assert!(matches!(failed, Err(StoreError::Storage(_))));
            assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"1"[..]));
            log.set_checkpoint(MAILER, b"2", MetaSync::Now).unwrap();
            let cut = disk.fork();
            cut.power_cut(1);
            let reopened = open(&cut);
            assert_eq!(reopened.checkpoint(MAILER).as_deref(), Some(&b"2"[..]));
            assert_eq!(reopened.recovery().meta_damage, []);
            log.set_checkpoint(MAILER, b"1", MetaSync::Now).unwrap();
        }
    }
}

#[test]
fn b29_a_failed_sync_poisons_the_meta_log_and_appends_go_on() {
    let disk = SimDisk::new(6);
    let mut log = open(&disk);
    append(&mut log, KIND).unwrap();
    log.set_checkpoint(MAILER, b"1", MetaSync::Now).unwrap();
    let next = disk.operation_count();
    disk.fail_at(next + 1, Fault::Io);
    let failed = log.set_checkpoint(MAILER, b"2", MetaSync::Now);
    assert!(matches!(failed, Err(StoreError::Poisoned { .. })));
    let later = log.set_checkpoint(MAILER, b"3", MetaSync::Later);
    assert!(matches!(later, Err(StoreError::Poisoned { .. })));
    assert!(matches!(log.name_kind(KIND, "kind"), Err(StoreError::Poisoned { .. })));
    assert_eq!(log.checkpoint(MAILER).as_deref(), Some(&b"1"[..]));
    append(&mut log, KIND).unwrap();
    log.seal().unwrap();
    append(&mut log, KIND).unwrap();
    assert_eq!(disk.retried_sync_count(), 0);
    drop(log);

    disk.restart_process();
    let mut log = open(&disk);
    assert_eq!(log.reader().end().get(), 3);
    let value = log.checkpoint(MAILER).unwrap();
    assert!(value == b"1" || value == b"2");
    log.set_checkpoint(MAILER, b"4", MetaSync::Now).unwrap();
    disk.power_cut(0);
    assert_eq!(open(&disk).checkpoint(MAILER).as_deref(), Some(&b"4"[..]));
}

#[test]
fn b29_a_close_whose_sync_failed_is_no_ground_to_build_on() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut log = open(&disk);
        log.set_checkpoint(MAILER, b"1", MetaSync::Now).unwrap();
        let next = disk.operation_count();
        disk.fail_at(next + 1, Fault::Io);
        assert!(matches!(log.close(), Err(StoreError::Poisoned { .. })));
        disk.restart_process();
        let mut log = open(&disk);
        log.set_checkpoint(MAILER, b"2", MetaSync::Now).unwrap();
        disk.power_cut(seed);
        assert_eq!(open(&disk).checkpoint(MAILER).as_deref(), Some(&b"2"[..]), "seed {seed}");
    }
}

#[test]
fn a_failed_sync_of_the_directory_poisons_both_logs_since_they_share_it() {
    let disk = SimDisk::new(7);
    let mut log = open(&disk);
    append(&mut log, KIND).unwrap();
    let next = disk.operation_count();
    // create, write, sync_data, sync_dir.
    disk.fail_at(next + 3, Fault::Io);
    let failed = log.set_checkpoint(MAILER, b"1", MetaSync::Now);
    assert!(matches!(failed, Err(StoreError::Poisoned { .. })));
    assert!(matches!(append(&mut log, KIND), Err(StoreError::Poisoned { .. })));
    assert!(log.close().is_err());
    assert_eq!(disk.retried_sync_count(), 0);
}

#[test]
fn b29_a_consumers_checkpoint_is_its_place_and_its_region() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let region = Region::entity("order:5").scope("shop").kind(KIND).sequences(Sequence::new(3)..);
    for after in [None, Some(Sequence::new(41)), Some(Sequence::MAX)] {
        let mailer = ConsumerCheckpoint { after, region: region.clone() };
        log.set_consumer_checkpoint("mailer", &mailer, MetaSync::Now).unwrap();
        assert_eq!(log.consumer_checkpoint("mailer").unwrap(), Some(mailer));
    }
    assert_eq!(log.consumer_checkpoint("other").unwrap(), None);
    log.set_checkpoint(MAILER, b"somebody's own", MetaSync::Now).unwrap();
    let error = log.consumer_checkpoint("mailer").unwrap_err();
    assert!(matches!(error, StoreError::Codec(_)), "{error}");
}

#[test]
fn b29_a_checkpoint_of_a_region_with_fewer_filters_is_still_read() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    // As the format's description has it; a filter that is not there is none.
    let value = br#"{"after":41,"region":{"scope":"shop"}}"#;
    log.set_checkpoint(MAILER, value, MetaSync::Now).unwrap();
    let region = Region::all().scope("shop");
    let expected = ConsumerCheckpoint { after: Some(Sequence::new(41)), region };
    assert_eq!(log.consumer_checkpoint("mailer").unwrap(), Some(expected));
}
