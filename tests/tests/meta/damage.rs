//! Behaviour 36 for the meta log: damage is reported, never returned as data, and never keeps an
//! event from being read.

use annals_core::{
    CheckpointName, EventKind, FileId, MetaSync, Storage as _, StorageFile as _, StoreError,
};
use annals_tests::sim_disk::SimDisk;

use crate::store::{append, consumer, crc32, meta_files, open, open_read_only, try_open};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn kind(at: usize) -> EventKind {
    EventKind::new(1, u16::try_from(at + 1).unwrap())
}

fn value(at: usize) -> Vec<u8> {
    vec![u8::try_from(at + 1).unwrap(); 20 + at]
}

/// A closed store with an event, six checkpoints and six names of kinds, each in its own frame.
fn store(with_event: bool) -> SimDisk {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    if with_event {
        append(&mut log, kind(0)).unwrap();
    }
    for (at, name) in NAMES.iter().enumerate() {
        log.set_checkpoint(CheckpointName::consumer(name), &value(at), MetaSync::Now).unwrap();
        log.name_kind(kind(at), name).unwrap();
    }
    log.close().unwrap();
    disk
}

/// How many of the store's twelve values are there; none may be wrong.
fn right_values(disk: &SimDisk) -> usize {
    let log = open_read_only(disk);
    let names = log.reader().kind_names();
    for (kind, name) in &names {
        let at = NAMES.iter().position(|known| **known == **name).unwrap();
        assert_eq!(*kind, self::kind(at));
    }
    let log = open(disk);
    assert_eq!(log.reader().kind_names(), names);
    let checkpoints = NAMES.iter().enumerate().filter(|(at, name)| {
        let found = consumer(&log, name);
        assert!(found.is_none() || found == Some(value(*at)), "a wrong value of {name}");
        found.is_some()
    });
    checkpoints.count() + names.len()
}

#[test]
fn b36_a_flipped_bit_costs_one_value_at_most_and_is_reported() {
    for with_event in [true, false] {
        let disk = store(with_event);
        let file = FileId::meta(1);
        let len = disk.peek(file).unwrap().len();
        let (mut lost, mut damaged) = (0, 0);
        for bit in 0..len * 8 {
            let offset = bit / 8;
            let disk = disk.fork();
            disk.rot(file, offset as u64, 1 << (bit % 8));
            let beside = open_read_only(&disk).recovery().clone();
            let log = open(&disk);
            let report = log.recovery().clone();
            drop(log);
            assert_eq!(beside.meta_damage, report.meta_damage);
            let values = right_values(&disk);
            // Without segments nothing tells whose a file is when its store id is damaged.
            let unreadable = !with_event && (16..32).contains(&offset);
            assert!(values >= 11 || unreadable, "byte {offset}: {values} values");
            assert!(values == 12 || !report.meta_damage.is_empty(), "byte {offset}: silent loss");
            lost += usize::from(values < 12);
            for damage in &report.meta_damage {
                damaged += 1;
                assert_eq!(damage.file, file);
                assert!(damage.offset < len as u64);
            }
            // Damage starts a fresh file, and the next opening finds nothing wrong.
            if !report.meta_damage.is_empty() {
                assert_eq!(meta_files(&disk), [FileId::meta(2)]);
                assert_eq!(report.removed, [file]);
            }
            let log = open(&disk);
            assert_eq!(log.recovery().meta_damage, []);
            assert_eq!(log.recovery().meta_torn_tail, None);
            assert_eq!(log.reader().end().get(), u64::from(with_event));
            drop(log);
            disk.power_cut(1);
            assert_eq!(right_values(&disk), values, "what was kept is durable");
        }
        println!("bits of a meta log: {}, {lost} of them a value", len * 8);
        assert!(lost > 800 && damaged > lost, "{lost} losses, {damaged} reports of {len} bytes");
    }
}

#[test]
fn b36_garbage_over_many_frames_loses_those_and_no_others() {
    let disk = store(true);
    let file = disk.open(FileId::meta(1)).unwrap();
    let len = file.len().unwrap();
    file.write_all_at(&vec![0xA7; usize::try_from(len / 2).unwrap()], len / 4).unwrap();
    drop(file);
    let log = open(&disk);
    assert_eq!(log.recovery().meta_damage.len(), 1);
    let values = right_values(&disk);
    assert!((3..9).contains(&values), "{values}");
    assert_eq!(open(&disk).reader().end().get(), 1);
}

#[test]
fn b36_a_lost_file_name_and_an_unreadable_file_cost_the_values_only() {
    let disk = store(true);
    let file = disk.open(FileId::meta(1)).unwrap();
    file.write_all_at(&vec![0xFF; usize::try_from(file.len().unwrap()).unwrap()], 0).unwrap();
    drop(file);
    let mut log = open(&disk);
    assert_eq!(log.recovery().meta_damage.len(), 1);
    assert_eq!(log.reader().end().get(), 1);
    assert_eq!(log.reader().kind_names(), []);
    append(&mut log, kind(0)).unwrap();
    log.name_kind(kind(0), "anew").unwrap();
    log.close().unwrap();
    disk.remove(meta_files(&disk)[0]).unwrap();
    let log = open(&disk);
    assert_eq!(log.recovery().meta_damage, []);
    assert_eq!(log.reader().end().get(), 2);
}

#[test]
fn b36_a_damaged_newest_file_is_filled_up_from_an_older_one() {
    let disk = store(true);
    let older = disk.peek(FileId::meta(1)).unwrap();
    // A torn tail makes the next opening write a fresh file.
    let file = disk.open(FileId::meta(1)).unwrap();
    file.write_all_at(b"torn", older.len() as u64).unwrap();
    drop(file);
    let mut log = open(&disk);
    assert_eq!(log.recovery().meta_torn_tail.unwrap().offset, older.len() as u64);
    assert_eq!(log.recovery().removed, [FileId::meta(1)]);
    log.set_checkpoint(CheckpointName::consumer("f"), &value(5), MetaSync::Now).unwrap();
    log.set_checkpoint(CheckpointName::consumer("g"), b"new", MetaSync::Now).unwrap();
    log.close().unwrap();
    // The old name comes back, and the new file loses all that it began with.
    disk.create(FileId::meta(1)).unwrap().write_all_at(&older, 0).unwrap();
    for offset in 64..128 {
        disk.rot(FileId::meta(2), offset, 0xFF);
    }
    let log = open(&disk);
    assert!(!log.recovery().meta_damage.is_empty());
    assert_eq!(consumer(&log, "g").as_deref(), Some(&b"new"[..]));
    drop(log);
    assert_eq!(right_values(&disk), 12);
    assert_eq!(meta_files(&disk), [FileId::meta(3)]);
}

#[test]
fn b36_a_newer_format_is_an_error_and_a_flipped_bit_in_the_version_is_not() {
    let disk = store(true);
    let file = disk.open(FileId::meta(1)).unwrap();
    let mut header = disk.peek(FileId::meta(1)).unwrap()[..64].to_vec();
    header[8] = 9;
    file.write_all_at(&header, 0).unwrap();
    assert_eq!(right_values(&disk.fork()), 12, "its crc says that it is damage");
    let crc = crc32(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&header, 0).unwrap();
    let before = disk.peek_list();
    let refused = try_open(&disk).unwrap_err();
    assert!(matches!(refused, StoreError::NewerFormat { found: 9, supported: 1, .. }));
    assert_eq!(disk.peek_list(), before);
}

#[test]
fn b36_the_meta_log_of_another_store_is_reported_and_left_alone() {
    let stranger = store(true);
    let bytes = stranger.peek(FileId::meta(1)).unwrap();
    let disk = SimDisk::new(77);
    // The host's randomness follows from the count of operations.
    disk.list().unwrap();
    let mut log = open(&disk);
    append(&mut log, kind(0)).unwrap();
    log.close().unwrap();
    disk.create(FileId::meta(5)).unwrap().write_all_at(&bytes, 0).unwrap();
    // Under the name that it had, it would be found at the same number.
    disk.create(FileId::meta(1)).unwrap().write_all_at(&bytes, 0).unwrap();
    disk.sync_dir().unwrap();
    for round in 0..3_u8 {
        let mut log = open(&disk);
        let damage = &log.recovery().meta_damage;
        assert_eq!(damage.len(), 2);
        assert!(damage[0].expected.contains(&log.store_id().to_string()));
        assert_eq!(damage[0].offset, 16);
        assert_eq!(log.reader().kind_names().len(), usize::from(round));
        assert_eq!(consumer(&log, "a"), None);
        log.name_kind(kind(usize::from(round)), NAMES[usize::from(round)]).unwrap();
        log.close().unwrap();
        assert_eq!(meta_files(&disk), [1, 5, 6].map(FileId::meta));
        assert_eq!(disk.peek(FileId::meta(1)).unwrap(), bytes);
    }
}
