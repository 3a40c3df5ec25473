//! What finds events: the growing index of the active segment, the paged view of a sealed one,
//! and the selection that serves both.
//!
//! An *ordinal* is an event's place in its segment, from 0. Indexes narrow a region down; what
//! they can't tell from their columns is checked on the event itself, so an index may only ever
//! give too much, never too little. Nothing here writes.

mod growing;
mod kept;
mod page_cache;
mod sealed;
mod select;

pub(crate) use growing::{Address, GrowingIndex, IndexEntry};
pub(crate) use kept::Kept;
pub(crate) use page_cache::{Page, PageCache};
pub(crate) use sealed::directory as sealed_directory;
pub(crate) use sealed::{IndexError, PageSource, Rank, SealedIndex, SegmentFilter};
pub(crate) use select::{Direction, Plan};

use crate::model::{EntityFilter, EventId, EventKind, Hash, Sequence, Version};
use alloc::vec::Vec;
use core::ops::Range;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// An event's place in its segment.
pub(crate) type Ordinal = u32;

/// What postings are kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostingKey {
    Entity(u32),
    Scope(u32),
    Kind(EventKind),
    Correlation(EventId),
    Causation(EventId),
}

/// A list of ordinals, ascending, that an index gives out one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PostingList {
    pub(crate) of: ListOf,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// Where an index finds a list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListOf {
    Entity(u32),
    Scope(u32),
    Kind(u32),
    Correlation(EventId),
    Causation(EventId),
}

/// The newest event of a stream, where retention has dropped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrunedHead {
    pub(crate) version: Version,
    pub(crate) sequence: Sequence,
    pub(crate) hash: Hash,
}

/// One segment's index, as the selection reads it. Names are numbered within the segment.
pub(crate) trait SegmentIndex {
    type Error;

    fn event_count(&self) -> u32;
    fn entity(&mut self, name: &str) -> Result<Option<u32>, Self::Error>;
    /// The entities whose names start with `prefix`, where the index keeps names sorted.
    fn entities_with_prefix(&mut self, prefix: &str) -> Result<Option<Range<u32>>, Self::Error>;
    fn entity_matches(&mut self, entity: u32, filter: &EntityFilter) -> Result<bool, Self::Error>;
    fn scope(&mut self, name: &str) -> Result<Option<u32>, Self::Error>;
    /// The numbers of an event's entity and scope.
    fn coordinate_at(&mut self, ordinal: Ordinal) -> Result<(u32, u32), Self::Error>;
    fn kind_at(&mut self, ordinal: Ordinal) -> Result<EventKind, Self::Error>;
    fn time_us_at(&mut self, ordinal: Ordinal) -> Result<i64, Self::Error>;
    fn version_at(&mut self, ordinal: Ordinal) -> Result<Version, Self::Error>;
    fn sequence_at(&mut self, ordinal: Ordinal) -> Result<Sequence, Self::Error>;
    fn offset_at(&mut self, ordinal: Ordinal) -> Result<u64, Self::Error>;
    /// Appends where the records of a range of ordinals start.
    fn offsets_in(
        &mut self,
        ordinals: Range<Ordinal>,
        out: &mut Vec<u64>,
    ) -> Result<(), Self::Error> {
        for ordinal in ordinals {
            out.push(self.offset_at(ordinal)?);
        }
        Ok(())
    }
    /// Where the next record starts: the record at `ordinal` ends there at the latest.
    fn end_at(&mut self, ordinal: Ordinal, frames_end: u64) -> Result<u64, Self::Error> {
        let next = ordinal.saturating_add(1);
        if next < self.event_count() { self.offset_at(next) } else { Ok(frames_end) }
    }
    /// The first ordinal whose sequence is `sequence` or higher.
    fn ordinal_from(&mut self, sequence: Sequence) -> Result<Ordinal, Self::Error>;
    fn postings(&mut self, key: PostingKey) -> Result<Option<PostingList>, Self::Error>;
    fn posting(&mut self, list: &PostingList, index: u32) -> Result<Ordinal, Self::Error>;
    /// Appends a part of a list.
    fn postings_in(
        &mut self,
        list: &PostingList,
        part: Range<u32>,
        out: &mut Vec<Ordinal>,
    ) -> Result<(), Self::Error> {
        for index in part {
            out.push(self.posting(list, index)?);
        }
        Ok(())
    }
    /// The ordinals that may carry `id`: all that do, rarely one that does not.
    fn candidates_of_id(
        &mut self,
        id: EventId,
        visit: &mut dyn FnMut(Ordinal),
    ) -> Result<(), Self::Error>;

    /// How many elements of a list are below `ordinal`.
    fn postings_below(&mut self, list: &PostingList, ordinal: Ordinal) -> Result<u32, Self::Error> {
        if ordinal == 0 || ordinal >= self.event_count() {
            return Ok(if ordinal == 0 { 0 } else { list.len });
        }
        let (mut low, mut high) = (0, list.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.posting(list, middle)? < ordinal {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// The hash of a name or an id, the same in every segment of one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    /// Seeded by random bytes of the store's own, so that nobody can prepare collisions.
    pub(crate) fn new(store_id: &crate::format::segment::StoreId) -> Self {
        let seed = crate::format::read_u64(store_id.as_bytes(), 0).unwrap_or_default();
        KeyHasher { seed }
    }

    pub(crate) fn name(self, name: &str) -> u64 {
        xxh3_64_with_seed(name.as_bytes(), self.seed)
    }

    /// A hash so wide that no two names of a store share it.
    pub(crate) fn wide_name(self, name: &str) -> u128 {
        xxh3_128_with_seed(name.as_bytes(), self.seed)
    }

    /// 32 bits are kept of an id's hash: candidates are checked on the record itself.
    pub(crate) fn id(self, id: EventId) -> u32 {
        let hash = xxh3_64_with_seed(id.as_bytes(), self.seed);
        u32::try_from(hash >> 32).unwrap_or_default()
    }

    /// The filter's key of an id; those of entities are their whole hashes.
    pub(crate) fn id_filter_key(self, id: EventId) -> u64 {
        u64::from(self.id(id))
    }
}
