//! Golden backups: streams whose bytes are checked in, one pair for each format version, and what
//! every later version must read from them. They are never made anew.
//!
//! `tests/golden/vN/backup/whole.annals` is a backup of the golden store of that version,
//! `more.annals` one that continues it, `listing.json` what must be read once both were taken in.

use annals_core::{BackupCheck, BackupHeader, MemoryStorage, Storage as _};
use std::collections::BTreeMap;

use super::{GOLDEN, Golden, Listing, entries, open};
use crate::backup::{feed, restore};
use crate::conformance::TestHost;

/// The backups of a format version.
#[derive(Clone, Copy, Debug)]
pub struct GoldenBackup {
    /// The format version.
    pub version: u16,
    /// Of the golden store.
    pub whole: &'static [u8],
    /// Of what came later.
    pub more: &'static [u8],
    /// What must be read once both were taken in, as JSON.
    pub listing: &'static str,
}

/// All there are.
pub const GOLDEN_BACKUPS: &[GoldenBackup] = &[GoldenBackup {
    version: 1,
    whole: include_bytes!("../../golden/v1/backup/whole.annals"),
    more: include_bytes!("../../golden/v1/backup/more.annals"),
    listing: include_str!("../../golden/v1/backup/listing.json"),
}];

impl GoldenBackup {
    /// What must be read once both were taken in.
    ///
    /// # Panics
    ///
    /// If the listing is none.
    #[must_use]
    pub fn listing(&self) -> Listing {
        serde_json::from_str(self.listing).expect("a listing")
    }

    /// The store that it is of.
    ///
    /// # Panics
    ///
    /// If there is none of its version.
    #[must_use]
    pub fn store(&self) -> &'static Golden {
        GOLDEN.iter().find(|golden| golden.version == self.version).expect("each has its store")
    }
}

fn host() -> TestHost {
    TestHost::new(7).with_step_us(1_000)
}

/// Both are proven whole without a place to put them.
///
/// # Panics
///
/// Where they are not.
pub fn golden_backups_are_whole(backup: &GoldenBackup) {
    let header = |bytes: &[u8]| -> BackupHeader {
        let mut check = BackupCheck::new();
        bytes.chunks(700).for_each(|chunk| check.feed(chunk).expect("whole"));
        check.finish().expect("whole")
    };
    let (whole, more) = (header(backup.whole), header(backup.more));
    let (before, after) = (backup.store().listing(), backup.listing());
    assert_eq!(whole.store_id.to_string(), before.store_id);
    assert_eq!((whole.first_sequence.get(), whole.end_sequence.get()), (0, before.end));
    assert_eq!(more.store_id, whole.store_id);
    assert_eq!((more.first_sequence.get(), more.end_sequence.get()), (before.end, after.end));
    assert!(before.end < after.end, "something came later");
}

/// They are taken in by an empty storage, one behind the other, and all of it is there.
///
/// # Panics
///
/// Where something differs.
pub fn golden_backups_are_taken_in(backup: &GoldenBackup) {
    let storage = MemoryStorage::new();
    restore(storage.clone(), host(), backup.whole, 999).expect("it is taken in");
    let golden = backup.store().listing();
    // What projections have computed does not travel.
    let expected = Listing { projections: BTreeMap::new(), ..golden };
    let log = open(&storage);
    assert_eq!(Listing::of(&log, expected.torn_end).expect("it can be read"), expected);
    drop(log);
    restore(storage.clone(), host(), backup.more, 5_000).expect("it is taken in");
    let log = open(&storage);
    let expected = backup.listing();
    assert_eq!(Listing::of(&log, expected.torn_end).expect("it can be read"), expected);
}

/// The later one is taken in by the golden store itself, and not twice.
///
/// # Panics
///
/// Where something differs.
pub fn golden_backup_continues_the_golden_store(backup: &GoldenBackup) {
    let storage = backup.store().storage();
    restore(storage.clone(), host(), backup.more, 333).expect("it is taken in");
    let again = restore(storage.clone(), host(), backup.more, 333);
    assert!(again.is_err(), "it continues what is there no more: {again:?}");
    let log = open(&storage);
    let expected = backup.listing();
    assert_eq!(entries(&log.reader()).expect("it can be read"), expected.events);
    let found = Listing::of(&log, expected.torn_end).expect("it can be read");
    assert_eq!((found.kind_names, found.consumers), (expected.kind_names, expected.consumers));
}

/// A byte less, a byte more or a flipped one, and nothing of it is taken in.
///
/// # Panics
///
/// Where something was.
pub fn golden_backups_that_are_damaged_are_refused(backup: &GoldenBackup) {
    let refused = |bytes: &[u8], what: &str| {
        let storage = MemoryStorage::new();
        let mut import = annals_core::Import::new(storage.clone(), host());
        let done = feed(&mut import, bytes, 4_096).and_then(|()| import.publish().map(drop));
        assert!(done.is_err(), "{what}");
        drop(import);
        assert_eq!(storage.list().expect("in memory"), [], "{what}");
    };
    refused(&backup.whole[..backup.whole.len() - 1], "a byte less");
    refused(&[backup.whole, b"\0"].concat(), "a byte more");
    for at in (0..backup.whole.len()).step_by(331) {
        let mut bytes = backup.whole.to_vec();
        bytes[at] ^= 0x20;
        refused(&bytes, &format!("byte {at}"));
    }
}

/// See [`make_backups`].
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub struct MadeBackups {
    /// Of the golden store.
    pub whole: Vec<u8>,
    /// Of what came later.
    pub more: Vec<u8>,
    /// What must be read once both were taken in.
    pub listing: Listing,
}

/// Makes the backups of the newest golden store. It has run, once for each format version: what is
/// checked in must not be replaced.
///
/// # Panics
///
/// If the store refuses anything.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn make_backups() -> MadeBackups {
    use crate::backup::backup;
    use annals_core::{ExportOptions, Log};
    let golden = GOLDEN.last().expect("there is one");
    let mut log = super::make::open(&golden.storage(), 4, 1_700_000_200_000_000);
    let end = log.reader().end();
    let whole = backup(&log, &ExportOptions::default());
    super::make::later(&mut log);
    let more = backup(&log, &ExportOptions::default().with_from(end));
    let storage = MemoryStorage::new();
    restore(storage.clone(), host(), &whole, 999).expect("it is taken in");
    restore(storage.clone(), host(), &more, 999).expect("it is taken in");
    let copy: Log<MemoryStorage, TestHost> = open(&storage);
    let listing = Listing::of(&copy, golden.listing().torn_end).expect("it can be read");
    MadeBackups { whole, more, listing }
}
