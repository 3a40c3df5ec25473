//! Compaction: sealed segments written anew as one, beside appends and readers.
//!
//! The output goes to a new file whose header names what it replaces. It counts from the moment
//! its footer is valid and synced: before, opening removes it; after, opening removes what it
//! replaces. Sequences, versions, ids and hashes never change. Whoever reads the old segments
//! goes on reading them; their files go when the last reader lets go.

mod output;
mod run;

pub use run::{CompactionRun, CompactionStep};

pub(super) use output::{Output, OutputEnd};

use crate::format::segment::{REPLACES_MAX, SegmentHeader};
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::decode::EventRef;
use crate::log::reader::Reader;
use crate::log::segments::{SealedSegment, View};
use crate::log::shared::Shared;
use crate::log::writer::Log;
use crate::model::Sequence;
use crate::storage::{FileId, Storage};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU64;

/// Says something of an event: whether to keep it, whether to erase it.
pub type EventPredicate = Arc<dyn Fn(&EventRef<'_>) -> bool + Send + Sync>;

/// What a compaction does with the events.
#[derive(Clone)]
#[non_exhaustive]
pub enum CompactionStrategy {
    /// Keeps them all, in fewer and larger segments.
    Merge,
    /// Keeps those that the predicate is true for. The others are gone, but for a mark that
    /// carries their stream's hash chain over the gap.
    Retention(EventPredicate),
    /// Keeps them all, but of those that the predicate is true for only the header and the hash
    /// of the content: metadata and payload are gone, the chain still verifies.
    Erase(EventPredicate),
}

impl fmt::Debug for CompactionStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CompactionStrategy::Merge => "Merge",
            CompactionStrategy::Retention(_) => "Retention(..)",
            CompactionStrategy::Erase(_) => "Erase(..)",
        })
    }
}

/// Which segments a compaction takes, and what it does with them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompactionConfig {
    /// What is done with the events.
    pub strategy: CompactionStrategy,
    /// A merge takes at least so many neighbouring segments: 2 by default, and never fewer.
    pub min_segments: usize,
    /// Bytes that an output has at most: 1 GiB by default. A larger segment stays alone.
    pub output_max_bytes: u64,
    /// Whether the active segment is sealed first, so that its events are taken too: not by
    /// default.
    pub seal_active: bool,
    /// Bytes that are read in a second at most, so that appends and readers are not slowed down;
    /// about as many are written. No limit by default.
    ///
    /// A [`Compaction`] has no clock and does not heed it: its host waits in the progress callback,
    /// as `Store::compact` of the `annals` crate does.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl CompactionConfig {
    /// A compaction with this strategy, all else as by default.
    pub fn new(strategy: CompactionStrategy) -> Self {
        let output_max_bytes = 1024 * 1024 * 1024;
        CompactionConfig {
            strategy,
            min_segments: 2,
            output_max_bytes,
            seal_active: false,
            bytes_per_second: None,
        }
    }

    /// Sets `min_segments`.
    #[must_use]
    pub fn with_min_segments(mut self, segments: usize) -> Self {
        self.min_segments = segments;
        self
    }

    /// Sets `output_max_bytes`.
    #[must_use]
    pub fn with_output_max_bytes(mut self, bytes: u64) -> Self {
        self.output_max_bytes = bytes;
        self
    }

    /// Sets `seal_active`.
    #[must_use]
    pub fn with_seal_active(mut self, seal: bool) -> Self {
        self.seal_active = seal;
        self
    }

    /// How many segments there must be at least.
    fn least(&self) -> usize {
        match self.strategy {
            CompactionStrategy::Merge => self.min_segments.max(2),
            _ => 1,
        }
    }

    /// Sets `bytes_per_second`.
    #[must_use]
    pub fn with_bytes_per_second(mut self, bytes: NonZeroU64) -> Self {
        self.bytes_per_second = Some(bytes);
        self
    }
}

/// What a compaction would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompactionPlan {
    /// Sealed segments that would be written anew.
    pub segments: u64,
    /// Bytes of their frames.
    pub segment_bytes: u64,
    /// Segments that they would become, at most.
    pub outputs: u64,
}

/// How far a compaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// Bytes of frames read only to see whether a segment is to be written anew.
    pub looked_bytes: u64,
    /// Bytes of frames read to be written anew.
    pub read_bytes: u64,
    /// Bytes of frames that there are to read.
    pub total_bytes: u64,
    /// Events kept so far, erased ones among them.
    pub kept_events: u64,
    /// Events dropped so far.
    pub dropped_events: u64,
    /// Events erased so far, those erased before not counted.
    pub erased_events: u64,
}

impl CompactionProgress {
    /// Adds what another compaction did.
    pub fn add(&mut self, other: &CompactionProgress) {
        self.looked_bytes += other.looked_bytes;
        self.read_bytes += other.read_bytes;
        self.total_bytes += other.total_bytes;
        self.kept_events += other.kept_events;
        self.dropped_events += other.dropped_events;
        self.erased_events += other.erased_events;
    }
}

/// One compaction of neighbouring segments into one: begun, to be run, whole or in steps
/// ([`Compaction::in_steps`]), then to be finished.
pub struct Compaction<S: Storage> {
    storage: Arc<S>,
    shared: Arc<Shared<S>>,
    inputs: Vec<Arc<SealedSegment<S>>>,
    header: SegmentHeader,
    strategy: CompactionStrategy,
    /// Whether it is known already that the strategy changes an event.
    is_needed: bool,
}

/// The complete output of a [`Compaction`], synced, to be put in the place of its inputs.
pub struct Compacted<S: Storage> {
    shared: Arc<Shared<S>>,
    inputs: Vec<Arc<SealedSegment<S>>>,
    output: Arc<SealedSegment<S>>,
    progress: CompactionProgress,
}

impl<S: Storage> Clone for Compaction<S> {
    fn clone(&self) -> Self {
        Compaction {
            storage: Arc::clone(&self.storage),
            shared: Arc::clone(&self.shared),
            inputs: self.inputs.clone(),
            header: self.header.clone(),
            strategy: self.strategy.clone(),
            is_needed: self.is_needed,
        }
    }
}

impl<S: Storage> fmt::Debug for Compaction<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replaces = &self.header.replaces;
        f.debug_struct("Compaction").field("replaces", replaces).finish_non_exhaustive()
    }
}

impl<S: Storage> fmt::Debug for Compacted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compacted").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<S: Storage> Compacted<S> {
    /// What was done.
    pub fn progress(&self) -> CompactionProgress {
        self.progress
    }

    /// The sequence behind the output.
    pub(super) fn end(&self) -> Sequence {
        self.output.footer.end_sequence
    }

    /// The files that the output replaces.
    pub(super) fn replaced(&self) -> impl Iterator<Item = FileId> + use<S> {
        let numbers = self.output.header.replaces.clone();
        numbers.into_iter().map(FileId::segment)
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Begins the first compaction that `config` asks for among the segments from `from` on;
    /// `None` where there is none. One compaction at a time: finish it before the next.
    ///
    /// # Errors
    ///
    /// Storage errors, where the active segment is to be sealed first.
    pub fn begin_compaction(
        &mut self,
        config: &CompactionConfig,
        from: Sequence,
    ) -> Result<Option<Compaction<S>>, StoreError> {
        if config.seal_active {
            self.seal()?;
        }
        let sealed = &self.reader.view.sealed;
        let start = self.reader.view.place_of(from);
        let inputs = next_inputs(&sealed[start..], config.output_max_bytes, config.least());
        let Some(inputs) = inputs else {
            return Ok(None);
        };
        let (inputs, is_needed) = (inputs.to_vec(), inputs.len() > 1);
        Ok(Some(self.compaction_of(inputs, config.strategy.clone(), is_needed)))
    }

    /// A compaction of these neighbours, of which there is one at least.
    pub(super) fn compaction_of(
        &mut self,
        inputs: Vec<Arc<SealedSegment<S>>>,
        strategy: CompactionStrategy,
        is_needed: bool,
    ) -> Compaction<S> {
        let first = inputs.first().expect("a compaction has inputs");
        let mut salt = [0; 4];
        self.host.fill_random(&mut salt);
        let header = SegmentHeader {
            store_id: self.shared.store_id,
            number: self.next_number,
            base_sequence: first.footer.first_sequence,
            created_us: self.host.now_us(),
            salt: u32::from_le_bytes(salt),
            prev_chain_hash: first.header.prev_chain_hash,
            replaces: inputs.iter().map(|input| input.header.number).collect(),
        };
        self.next_number += 1;
        Compaction {
            storage: Arc::clone(&self.storage),
            shared: Arc::clone(&self.shared),
            inputs,
            header,
            strategy,
            is_needed,
        }
    }

    /// Puts the output in the place of its inputs, whose files go when no reader has them.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidInput`] where the inputs are not there any more: the output is
    /// removed then.
    pub fn finish_compaction(
        &mut self,
        compacted: &Compacted<S>,
    ) -> Result<CompactionProgress, StoreError> {
        let view = &self.reader.view;
        let first = compacted.inputs.first();
        let at = view
            .sealed
            .iter()
            .position(|segment| first.is_some_and(|first| Arc::ptr_eq(first, segment)));
        let range = at.map(|at| at..at + compacted.inputs.len());
        let same = range.clone().and_then(|range| view.sealed.get(range)).is_some_and(|segments| {
            segments.iter().zip(&compacted.inputs).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        let (Some(range), true, true) = (range, same, Arc::ptr_eq(&self.shared, &compacted.shared))
        else {
            let number = compacted.output.header.number;
            if !view.sealed.iter().any(|segment| segment.header.number == number) {
                compacted.output.retire();
            }
            let message = "the segments changed while they were compacted: compact again";
            return Err(StoreError::InvalidInput(message.into()));
        };
        let mut sealed = view.sealed.clone();
        sealed.splice(range, [Arc::clone(&compacted.output)]);
        let active = view.active.clone();
        self.set_view(View { sealed, active });
        for input in &compacted.inputs {
            input.retire();
        }
        Ok(compacted.progress)
    }
}

impl<S: Storage> Reader<S> {
    /// The sealed segments that a compaction would look at, and a merge would write anew. Nothing
    /// is changed.
    #[must_use]
    pub fn plan_compaction(&self, config: &CompactionConfig) -> CompactionPlan {
        let mut plan = CompactionPlan::default();
        let mut left = &self.view.sealed[..];
        while let Some(inputs) = next_inputs(left, config.output_max_bytes, config.least()) {
            plan.segments += inputs.len() as u64;
            plan.outputs += 1;
            plan.segment_bytes += inputs
                .iter()
                .map(|input| input.footer.frames_end - input.header.encoded_len() as u64)
                .sum::<u64>();
            let Some(last) = inputs.last() else { break };
            let behind = left.iter().position(|segment| Arc::ptr_eq(segment, last));
            left = &left[behind.map_or(left.len(), |at| at + 1)..];
        }
        plan
    }
}

/// The first neighbours that are to be compacted together.
fn next_inputs<S: Storage>(
    sealed: &[Arc<SealedSegment<S>>],
    output_max_bytes: u64,
    least: usize,
) -> Option<&[Arc<SealedSegment<S>>]> {
    let mut start = 0;
    while start < sealed.len() {
        let mut end = start;
        let mut bytes = 0_u64;
        while let Some(segment) = sealed.get(end)
            && end - start < REPLACES_MAX
        {
            bytes = bytes.saturating_add(segment.footer.frames_end);
            if end > start && bytes > output_max_bytes {
                break;
            }
            end += 1;
        }
        if end - start >= least {
            return Some(&sealed[start..end]);
        }
        start = end.max(start + 1);
    }
    None
}
