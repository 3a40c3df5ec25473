//! Behaviour 38: a store travels whole, between any two backends.

use annals_core::{
    BackupError, CheckpointName, ExportOptions, Import, MemoryStorage, MetaSync, Storage,
};

use super::Backend;
use super::store::{PLACED, all, event, host, open_on, open_small, put, small_segments};
use crate::backup::{
    NOTED, append_some, assert_same, assert_same_from, backup, bytes_of, feed,
    fill_with_everything, restore,
};

/// Out of memory into the backend, and from there into memory.
pub fn b38_a_backup_gives_the_same_store(backend: impl Backend) {
    let mut log = open_on(MemoryStorage::new(), small_segments());
    fill_with_everything(&mut log);
    let whole = backup(&log, &ExportOptions::default());
    restore(backend.storage(), host(), &whole, 1_000).expect("an empty place");
    let mut copy = open_small(&backend);
    assert_same(&log.reader(), &copy.reader());
    assert_eq!(copy.reader().kind_name(NOTED).as_deref(), Some("backup.noted"));
    let mailer = CheckpointName::consumer("mailer");
    assert_eq!(copy.checkpoint(mailer).as_deref(), Some(&b"far"[..]));
    assert_eq!(copy.checkpoint(CheckpointName::projection(b"balance")), None);
    assert!(backup(&copy, &ExportOptions::default()) == whole, "a copy's copy is the same");
    copy.set_checkpoint(CheckpointName::projection(b"balance"), b"new", MetaSync::Now)
        .expect("the meta log goes on");
    put(&mut copy, &event("order:1", PLACED, "only in the copy"));
    let options = ExportOptions::default().with_consumers(false);
    let memory = MemoryStorage::new();
    restore(memory.clone(), host(), &backup(&copy, &options), 77).expect("an empty place");
    let back = open_on(memory, small_segments());
    assert_same(&copy.reader(), &back.reader());
    assert_eq!(back.checkpoint(mailer), None);
    drop(copy);
    append_some(&mut open_small(&backend), 1);
}

/// One backup behind the other, whatever the copy and the original did meanwhile.
pub fn b38_a_backup_continues_an_earlier_one(backend: impl Backend) {
    let mut log = open_on(MemoryStorage::new(), small_segments());
    append_some(&mut log, 9);
    let whole = backup(&log, &ExportOptions::default());
    restore(backend.storage(), host(), &whole, 1_000).expect("an empty place");
    for step in 0..4 {
        let from = log.reader().end();
        append_some(&mut log, if step == 0 { 1 } else { 12 });
        if step == 2 {
            log.seal().expect("the segment is sealed");
        }
        if step == 3 {
            fill_with_everything(&mut log);
        }
        // What retention has dropped around the border stands in the way, and is told.
        let options = ExportOptions::default().with_from(from);
        let Ok(mut export) = log.export(&options) else {
            assert_eq!(step, 3);
            break;
        };
        let more = bytes_of(&mut export, 500).expect("an export is made");
        restore(backend.storage(), host(), &more, 300).expect("it continues the store");
        let copy = open_small(&backend);
        // Erasures and retention among the events before do not travel with it.
        assert_same_from(&log.reader(), &copy.reader(), from);
        match step {
            // Leaves a frame of its own at the end, or an index.
            0 => copy.close().expect("the store closes"),
            1 => drop(copy),
            _ => {}
        }
    }
    let again = backup(&log, &ExportOptions::default().with_from(log.reader().end()));
    assert!(matches!(
        restore(backend.storage(), host(), &again, 300),
        Err(BackupError::DoesNotContinue { .. }) | Ok(_)
    ));
    append_some(&mut open_small(&backend), 1);
}

/// Nothing is overwritten, and what is refused or given up leaves no trace.
pub fn b38_a_whole_backup_goes_into_an_empty_place_only(backend: impl Backend) {
    let mut log = open_on(MemoryStorage::new(), small_segments());
    append_some(&mut log, 30);
    let whole = backup(&log, &ExportOptions::default());
    let mut import = Import::new(backend.storage(), host());
    feed(&mut import, &whole[..whole.len() - 1], 1_000).expect("the bytes are right");
    assert!(matches!(import.publish(), Err(BackupError::Damaged { .. })));
    assert!(matches!(import.feed(&whole), Err(BackupError::Ended)));
    drop(import);
    let mut import = Import::new(backend.storage(), host());
    feed(&mut import, &whole[..whole.len() / 2], 1_000).expect("the bytes are right");
    drop(import);
    assert_eq!(backend.storage().list().expect("the files can be listed"), []);
    let mut copy = open_small(&backend);
    put(&mut copy, &event("order:1", PLACED, "mine"));
    let before = all(&copy.reader());
    drop(copy);
    let refused = restore(backend.storage(), host(), &whole, 1_000);
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. })), "{refused:?}");
    let more = backup(&log, &ExportOptions::default().with_from(annals_core::Sequence::new(1)));
    let refused = restore(backend.storage(), host(), &more, 1_000);
    assert!(matches!(refused, Err(BackupError::OtherStore { .. })), "{refused:?}");
    assert_eq!(all(&open_small(&backend).reader()), before);
}
