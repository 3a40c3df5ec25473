//! What can go wrong with a backup, on its way out and on its way in.

use crate::format::Fault;
use crate::format::segment::StoreId;
use crate::log::StoreError;
use crate::model::{Hash, Sequence};
use crate::storage::{FileId, StorageError, StorageErrorKind};
use alloc::borrow::Cow;

/// Why a backup could not be made or taken in. Nothing of it is in the store then.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The stream is not what was exported: it ends too early, or bytes in it were changed.
    #[error(
        "the backup is damaged at byte {offset}, in section {section}: expected {expected}, found {found}"
    )]
    Damaged {
        /// Where in the stream, in bytes.
        offset: u64,
        /// The section's place in the stream, from 0.
        section: u64,
        /// What must stand there.
        expected: Cow<'static, str>,
        /// What stands there.
        found: Cow<'static, str>,
    },
    /// A newer version of Annals made this backup: import it with that version.
    #[error("the backup has version {found}; this version of Annals reads up to {supported}")]
    NewerBackup {
        /// Its version.
        found: u16,
        /// The newest that this library reads.
        supported: u16,
    },
    /// A whole backup goes into an empty place only.
    #[error("there is {file} already, and a whole backup goes into an empty place only")]
    NotEmpty {
        /// A file that is there.
        file: FileId,
    },
    /// The backup is of another store.
    #[error("the backup is of the store {backup}, and this is {store}")]
    OtherStore {
        /// The store that was backed up.
        backup: StoreId,
        /// The store that was to take it in.
        store: StoreId,
    },
    /// The backup begins where the store does not end.
    #[error("the backup goes on from sequence {first}, but the store ends at {end}")]
    DoesNotContinue {
        /// The first sequence of the backup.
        first: Sequence,
        /// The sequence behind the last event of the store.
        end: Sequence,
    },
    /// Store and backup differ in an event that both should have: each was written to alone.
    #[error("store and backup differ in event {sequence}: expected {expected}, found {found}")]
    Diverged {
        /// The event.
        sequence: Sequence,
        /// What the backup says.
        expected: Cow<'static, str>,
        /// What the store says.
        found: Cow<'static, str>,
    },
    /// An export was asked for that begins behind the store's end.
    #[error("there is nothing from sequence {first} on: the store ends at {end}")]
    BehindEnd {
        /// Where it was to begin.
        first: Sequence,
        /// The sequence behind the last event.
        end: Sequence,
    },
    /// An export can't begin there: retention has dropped events around that place, or all before.
    #[error("retention has dropped events around sequence {first}: export the whole store")]
    PrunedBorder {
        /// Where it was to begin.
        first: Sequence,
    },
    /// It was asked for before the backup's end was taken in.
    #[error("the backup has not come to its end")]
    Incomplete,
    /// An earlier error has ended this import: begin another.
    #[error("an earlier error has ended this import: begin it anew")]
    Ended,
    /// Publishing failed at its last step: whether the import counts is seen when the store is
    /// opened. It counts whole or not at all.
    #[error("whether the import counts is not known ({cause}): open the store and look")]
    Unsure {
        /// What failed.
        cause: StorageError,
    },
    /// The store itself: corruption, or its storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(crate) fn damaged(section: u64, fault: Fault) -> Self {
        let Fault { offset, expected, found } = fault;
        BackupError::Damaged { offset, section, expected, found }
    }

    /// Whether a file has to be opened ahead, after which the same call may be made again.
    #[must_use]
    pub fn is_not_ready(&self) -> bool {
        matches!(self, BackupError::Store(StoreError::Storage(error))
            if error.kind() == StorageErrorKind::NotReady)
    }
}

impl From<StorageError> for BackupError {
    fn from(error: StorageError) -> Self {
        BackupError::Store(error.into())
    }
}

/// What differs where a stream does not go on as it should.
pub(super) fn diverged(
    sequence: Sequence,
    expected: Option<Hash>,
    found: Option<Hash>,
) -> BackupError {
    let text = |hash: Option<Hash>| match hash {
        Some(hash) => Cow::Owned(alloc::format!("the hash {hash}")),
        None => Cow::Borrowed("no event"),
    };
    BackupError::Diverged { sequence, expected: text(expected), found: text(found) }
}
