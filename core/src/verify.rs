//! Proving a store whole: every byte that is written is read and held against every other.
//!
//! Damage is reported, never stopped at: the first fault of each kind, with its place. A segment is
//! proven by a pure function of its own, so that many may run at once; what joins segments is
//! proven by a merge, in order. Memory is bounded by the largest segment and by the number of
//! streams (about 80 bytes each), not by the number of events.

mod events;
mod faults;
mod index_block;
mod merge;
mod segment;
#[cfg(test)]
mod tests;

pub use faults::{FaultKind, VerifyFault};
pub use merge::VerifyMerge;
pub use segment::{SegmentFindings, verify_segment};

use crate::log::Reader;
use crate::model::Sequence;
use crate::storage::{Storage, StorageFile};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use segment::SegmentVerification;
use serde::Serialize;

/// What is proven. By default, everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Hold the index blocks of sealed segments against their frames.
    pub index_blocks: bool,
    /// Look for ids that two events have. Where ids are not made by time, so that those of one
    /// segment lie among those of others, this asks the filter of each such segment for each id.
    pub unique_ids: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        VerifyOptions { index_blocks: true, unique_ids: true }
    }
}

impl VerifyOptions {
    /// Sets `index_blocks`.
    #[must_use]
    pub const fn with_index_blocks(mut self, index_blocks: bool) -> Self {
        self.index_blocks = index_blocks;
        self
    }

    /// Sets `unique_ids`.
    #[must_use]
    pub const fn with_unique_ids(mut self, unique_ids: bool) -> Self {
        self.unique_ids = unique_ids;
        self
    }
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Segments that are done.
    pub segments_done: u64,
    /// All segments.
    pub segments: u64,
    /// Bytes that are done.
    pub bytes_done: u64,
    /// Bytes of all segments.
    pub bytes: u64,
}

impl VerifyProgress {
    /// Nothing is done yet of so many segments and bytes.
    #[must_use]
    pub const fn new(segments: u64, bytes: u64) -> Self {
        VerifyProgress { segments_done: 0, segments, bytes_done: 0, bytes }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Whether everything was looked at: not stopped, and no file unreadable.
    pub complete: bool,
    /// Segments that were looked at.
    pub segments: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Events that were read, erased ones included.
    pub events: u64,
    /// Events whose content was erased.
    pub erased_events: u64,
    /// Marks of events that retention has dropped.
    pub pruned_runs: u64,
    /// Distinct streams.
    pub streams: u64,
    /// The first fault of each kind.
    pub faults: Vec<VerifyFault>,
}

impl VerifyReport {
    /// Whether everything was looked at and is as it must be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.complete && self.faults.is_empty()
    }

    /// The first fault of a kind.
    #[must_use]
    pub fn fault(&self, kind: FaultKind) -> Option<&VerifyFault> {
        self.faults.iter().find(|fault| fault.kind == kind)
    }
}

/// Proves all that a reader sees, one segment after the other.
///
/// `progress` is told of each megabyte or so, and stops the verification by answering `Break`.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// # let order = Coordinate::new("order:5", "shop")?;
/// # log.append(&Append::new(order, EventKind::new(1, 1), Payload::raw("apples")))?;
/// use annals_core::{VerifyOptions, verify};
/// use std::ops::ControlFlow;
///
/// let report = verify(&log.reader(), &VerifyOptions::default(), |progress| {
///     println!("{} of {} bytes", progress.bytes_done, progress.bytes);
///     ControlFlow::Continue(())
/// });
/// assert!(report.is_whole(), "{:?}", report.faults);
/// assert_eq!(report.events, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify<S: Storage>(
    reader: &Reader<S>,
    options: &VerifyOptions,
    mut progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
) -> VerifyReport {
    let mut verification = Verification::new(reader.clone(), *options);
    while verification.step() {
        if progress(verification.progress()).is_break() {
            break;
        }
    }
    verification.finish()
}

/// A verification step by step, for hosts that have other things to do in between. What is appended
/// after it began is not looked at.
///
/// # Examples
///
/// ```
/// # use annals_core::{Host, Log, LogConfig, MemoryStorage};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # let log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// use annals_core::{Verification, VerifyOptions};
///
/// let mut verification = Verification::new(log.reader(), VerifyOptions::default());
/// while verification.step() {
///     println!("{} bytes", verification.progress().bytes_done);
/// }
/// assert!(verification.finish().is_whole());
/// # Ok::<(), annals_core::StoreError>(())
/// ```
pub struct Verification<S: Storage> {
    reader: Reader<S>,
    options: VerifyOptions,
    merge: VerifyMerge,
    segment: Option<SegmentVerification<S>>,
    progress: VerifyProgress,
    /// Bytes of each segment when it began: the last one may grow.
    lens: Vec<u64>,
    /// Bytes of the segments that are done.
    bytes_before: u64,
}

impl<S: Storage> core::fmt::Debug for Verification<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Verification").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<S: Storage> Verification<S> {
    /// Of all that a reader sees. It keeps the reader until it is finished or dropped.
    #[must_use]
    pub fn new(reader: Reader<S>, options: VerifyOptions) -> Self {
        let lens: Vec<u64> = (0..reader.segment_count()).map(|at| file_len(&reader, at)).collect();
        let progress = VerifyProgress::new(lens.len() as u64, lens.iter().sum());
        let merge = VerifyMerge::new(&reader);
        Verification { reader, options, merge, segment: None, progress, lens, bytes_before: 0 }
    }

    /// Proves the next megabyte or so; `false` where nothing is left.
    pub fn step(&mut self) -> bool {
        let at = self.merge.joined_count();
        if at == self.reader.segment_count() {
            return false;
        }
        let segment = self
            .segment
            .get_or_insert_with(|| SegmentVerification::new(self.reader.clone(), at, self.options));
        let len = self.lens[at];
        match segment.step() {
            Some(read) => {
                let done = self.progress.bytes_done.saturating_add(read);
                self.progress.bytes_done = done.min(self.bytes_before + len);
            }
            None => {
                if let Some(segment) = self.segment.take() {
                    self.merge.add(segment.finish());
                }
                self.bytes_before += len;
                self.progress.bytes_done = self.bytes_before;
                self.progress.segments_done += 1;
            }
        }
        true
    }

    /// The reader whose segments are proven.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        self.reader.clone()
    }

    /// How far it is.
    #[must_use]
    pub const fn progress(&self) -> VerifyProgress {
        self.progress
    }

    /// What was found; not [`complete`](VerifyReport::complete) where steps were left.
    #[must_use]
    pub fn finish(mut self) -> VerifyReport {
        match self.segment {
            Some(segment) => self.merge.add(segment.stop()),
            None if self.merge.joined_count() < self.reader.segment_count() => self.merge.stop(),
            None => {}
        }
        self.merge.finish()
    }
}

/// How much of a segment is read, as progress counts it; 0 where the file does not say.
fn file_len<S: Storage>(reader: &Reader<S>, at: usize) -> u64 {
    reader.view.at(at).and_then(|segment| segment.file().len().ok()).unwrap_or(0)
}

impl<S: Storage> Reader<S> {
    /// How many segments it sees: those that [`verify_segment`] takes, from 0.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.view.len()
    }

    /// The first sequence and the bytes of each segment, in their order: what progress of long work
    /// is counted in.
    pub fn segment_bytes(&self) -> impl Iterator<Item = (Sequence, u64)> {
        (0..self.segment_count()).filter_map(|at| {
            let segment = self.view.at(at)?;
            Some((segment.header().base_sequence, file_len(self, at)))
        })
    }

    /// Bytes of all segments, as the progress of a verification counts them.
    #[must_use]
    pub fn verify_bytes(&self) -> u64 {
        (0..self.segment_count()).map(|at| file_len(self, at)).sum()
    }
}
