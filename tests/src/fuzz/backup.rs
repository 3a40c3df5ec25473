//! A backup of any bytes: into an empty storage, and behind a golden store.

use annals_core::{
    BackupCheck, BackupError, Import, Log, LogConfig, MemoryStorage, Storage, StoreError,
};

use super::repair_backup;
use super::target::{Seen, typed};
use crate::backup::feed;
use crate::conformance::TestHost;
use crate::golden::{GOLDEN, GOLDEN_BACKUPS, entries};

/// The golden backups: each whole one for an empty storage and each later one for its store, as it
/// is and with its checksums made right again.
pub(super) fn backups() -> Vec<Vec<u8>> {
    let all = GOLDEN_BACKUPS.iter().flat_map(|backup| [(0, backup.whole), (2, backup.more)]);
    let both = all.flat_map(|(to, bytes)| {
        [0, 1].map(|repair| std::iter::once(to | repair).chain(bytes.iter().copied()).collect())
    });
    both.collect()
}

fn host() -> TestHost {
    TestHost::new(3).with_step_us(1_000)
}

/// It is taken in whole, or refused and nothing of it is left.
pub(super) fn backup(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 1 {
        repair_backup(&mut bytes);
    }
    let golden = &GOLDEN[0];
    let storage = if how & 2 == 2 { golden.storage() } else { MemoryStorage::new() };
    let before = golden.listing();
    let mut import = Import::new(storage.clone(), host());
    let fed = feed(&mut import, &bytes, 1 + usize::from(*how) * 97);
    let done = fed.and_then(|()| import.publish().map(drop));
    drop(import);
    let log = Log::open(storage.clone(), host(), LogConfig::default());
    let reader = log.map(|log| log.reader());
    match done {
        Err(error) => {
            refused(&error);
            let reader = reader.expect("it is as it was before");
            let end = if how & 2 == 2 { before.end } else { 0 };
            assert_eq!(reader.end().get(), end, "nothing of it is left: {error}");
        }
        Ok(()) => {
            let reader = reader.expect("what was taken in opens");
            let mut check = BackupCheck::new();
            let checked = check.feed(&bytes).and_then(|()| check.finish());
            assert!(checked.is_ok(), "what is taken in is whole: {checked:?}");
            // Which records are in the frames is the backup's affair, with right checksums.
            Seen::by(&reader).check_verified(&reader);
        }
    }
    if how & 2 == 2 {
        let log = Log::open(storage.clone(), host(), LogConfig::default()).expect("as before");
        let found = entries(&log.reader()).expect("what was there is whole");
        assert!(found.starts_with(&before.events), "what was there is there");
    }
    let marks = storage.list().expect("in memory").into_iter();
    assert_eq!(marks.filter(|id| id.kind == annals_core::FileKind::Import).count(), 0);
}

fn refused(error: &BackupError) {
    match error {
        BackupError::Damaged { .. }
        | BackupError::NewerBackup { .. }
        | BackupError::OtherStore { .. }
        | BackupError::DoesNotContinue { .. }
        | BackupError::Diverged { .. }
        | BackupError::NotEmpty { .. } => {}
        BackupError::Store(StoreError::Limit(_)) => {}
        BackupError::Store(error) => typed(error),
        other => panic!("damage is answered with {other:?}"),
    }
}
