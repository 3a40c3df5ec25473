//! How a consumer begins, when it commits, and why it can't be had.

use annals_core::{MetaSync, Region, Sequence, StoreError};
use std::num::NonZeroU32;

/// When a consumer writes down how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CommitMode {
    /// When [`Consumer::commit`](crate::Consumer::commit) is called, and only then.
    #[default]
    Manual,
    /// By itself: whoever asks for the next event is done with the one before. After so many that
    /// are done with, where there is nothing more to receive, and when it is dropped. The event
    /// that was received last is never counted as done, so an early return loses none.
    EveryN(NonZeroU32),
}

impl CommitMode {
    /// By itself, each time the next event is asked for.
    pub const EACH: CommitMode = CommitMode::EveryN(NonZeroU32::MIN);
}

/// Where a consumer begins that has no checkpoint yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartAt {
    /// With the first event of the log.
    #[default]
    Beginning,
    /// With the next event that is appended.
    End,
    /// Behind an event.
    After(Sequence),
}

/// What happens where a consumer had another region before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RegionChange {
    /// [`ConsumerError::RegionChanged`]: its checkpoint says nothing about events that it was not
    /// given.
    #[default]
    Refuse,
    /// It goes on from where it was, with the new region: what the old one left out stays left
    /// out.
    Continue,
    /// It starts again, as [`ConsumerConfig::start`] says.
    Restart,
}

/// How a [`Consumer`](crate::Consumer) works. The default commits by hand, begins with the log,
/// and refuses another region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// When it writes down how far it is.
    pub commit: CommitMode,
    /// Where it begins that has no checkpoint yet.
    pub start: StartAt,
    /// What happens where it had another region before.
    pub region_change: RegionChange,
    /// When a checkpoint is put on stable storage: at once, by default. One that is put there
    /// later survives the end of the process, but after a power cut some events may come again.
    pub sync: MetaSync,
}

impl ConsumerConfig {
    /// Sets `commit`.
    #[must_use]
    pub const fn with_commit(mut self, commit: CommitMode) -> Self {
        self.commit = commit;
        self
    }

    /// Sets `start`.
    #[must_use]
    pub const fn with_start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// Sets `region_change`.
    #[must_use]
    pub const fn with_region_change(mut self, region_change: RegionChange) -> Self {
        self.region_change = region_change;
        self
    }

    /// Sets `sync`.
    #[must_use]
    pub const fn with_sync(mut self, sync: MetaSync) -> Self {
        self.sync = sync;
        self
    }
}

/// Why there is no such consumer to be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Somebody in this process holds it.
    #[error("the consumer {name} is held already: drop the other one first")]
    ConsumerBusy {
        /// Its name.
        name: String,
    },
    /// Its checkpoint was made with another region.
    #[error(
        "the consumer {name} has followed another region so far: take another name, \
         or say with RegionChange what is to become of its checkpoint"
    )]
    RegionChanged {
        /// Its name.
        name: String,
        /// The region that it has followed.
        known: Box<Region>,
    },
    /// The store could not read or write its checkpoint.
    #[error(transparent)]
    Store(#[from] StoreError),
}
