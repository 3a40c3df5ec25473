//! Numbers about a store, and what was found wrong with its indexes.

use crate::log::StoreError;
use crate::log::reader::Reader;
use crate::log::segments::{SealedSegment, Segment};
use crate::model::{EventKind, Sequence};
use crate::storage::{FileId, Storage, StorageFile};
use alloc::vec::Vec;
use hashbrown::HashSet;

/// What a store holds. Counting entities and scopes reads their names in every segment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// Events that can be read.
    pub events: u64,
    /// Distinct entities.
    pub entities: u64,
    /// Distinct scopes.
    pub scopes: u64,
    /// The kinds that occur, and how many events each has.
    pub kinds: Vec<(EventKind, u64)>,
    /// Bytes of all segments.
    pub bytes: u64,
    /// The segments, in the order of their sequences.
    pub segments: Vec<SegmentStats>,
    /// The sequence behind the last event, those that wait to be written counted: what the
    /// store has accepted. The same as `end` where nothing waits.
    pub accepted_end: Sequence,
    /// The sequence behind the last event that is written and visible.
    pub end: Sequence,
    /// The sequence behind the last event known to be on stable storage.
    pub durable_end: Sequence,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// Its file.
    pub file: FileId,
    /// Whether it is sealed.
    pub sealed: bool,
    /// The sequence of its first event.
    pub first_sequence: Sequence,
    /// Events in it.
    pub events: u64,
    /// Bytes of its file.
    pub bytes: u64,
}

/// What the log holds in memory and what it has seen go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDiagnostics {
    /// Bytes of the active segment's index.
    pub active_index_bytes: usize,
    /// Bytes held for sealed segments besides cached pages.
    pub sealed_bytes: usize,
    /// Bytes of cached index pages.
    pub index_cache_bytes: usize,
    /// Heads of streams that are held, of streams without an event in the active segment.
    pub cached_heads: usize,
    /// Bytes of hashes of events that are held, for what checks cached projections against the log.
    pub event_hash_bytes: usize,
    /// Look-ups of index pages that were served from the cache.
    pub index_cache_hits: u64,
    /// Look-ups of index pages that were read from files.
    pub index_cache_misses: u64,
    /// Index blocks that were damaged and rebuilt in memory. No event was lost; a compaction
    /// writes them anew.
    pub index_damages: Vec<IndexDamage>,
}

/// An index block whose bytes were not what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexDamage {
    /// The file.
    pub file: FileId,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What was expected there.
    pub expected: &'static str,
}

#[derive(Default)]
struct Names {
    entities: HashSet<u64>,
    scopes: HashSet<u64>,
    /// Sorted.
    kinds: Vec<(EventKind, u64)>,
}

impl Names {
    fn count_kind(&mut self, kind: EventKind, count: u64) {
        match self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => self.kinds[at].1 += count,
            Err(at) => self.kinds.insert(at, (kind, count)),
        }
    }
}

impl<S: Storage> Reader<S> {
    /// Numbers about what this reader sees.
    ///
    /// # Errors
    ///
    /// Storage errors, and corruption met while reading the indexes.
    pub fn stats(&self) -> Result<LogStats, StoreError> {
        let mut names = Names::default();
        let mut segments = Vec::with_capacity(self.view.len());
        for at in 0..self.view.len() {
            let Some(segment) = self.view.at(at) else { continue };
            segments.push(self.segment_stats(&segment, &mut names)?);
        }
        Ok(LogStats {
            events: segments.iter().map(|segment| segment.events).sum(),
            entities: names.entities.len() as u64,
            scopes: names.scopes.len() as u64,
            kinds: names.kinds,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments,
            accepted_end: self.end,
            end: self.end,
            durable_end: self.shared.ends().1.min(self.end),
        })
    }

    fn segment_stats(
        &self,
        segment: &Segment<'_, S>,
        names: &mut Names,
    ) -> Result<SegmentStats, StoreError> {
        let hasher = self.shared.hasher;
        let events = match segment {
            Segment::Active(active) => {
                let index = active.index.read();
                let end = self.active_end(active).min(index.event_count());
                names.entities.extend(index.entity_names().map(|name| hasher.name(name)));
                names.scopes.extend(index.scope_names().map(|name| hasher.name(name)));
                for (kind, count) in index.kind_counts() {
                    names.count_kind(kind, count);
                }
                u64::from(end)
            }
            Segment::Sealed(sealed) => {
                self.sealed_names(sealed, names)?;
                sealed.footer.event_count
            }
        };
        Ok(SegmentStats {
            file: segment.file_id(),
            sealed: matches!(segment, Segment::Sealed(_)),
            first_sequence: segment.header().base_sequence,
            events,
            bytes: segment.file().len()?,
        })
    }

    fn sealed_names(&self, sealed: &SealedSegment<S>, names: &mut Names) -> Result<(), StoreError> {
        let hasher = self.shared.hasher;
        let found = sealed.with_index(&self.shared, |index| {
            let (entities, scopes, kinds) = index.name_counts();
            let mut found = Names::default();
            for number in 0..entities {
                found.entities.insert(hasher.name(&index.entity_name(number)?));
            }
            for number in 0..scopes {
                found.scopes.insert(hasher.name(&index.scope_name(number)?));
            }
            for number in 0..kinds {
                let (kind, count) = index.kind_count(number)?;
                found.count_kind(kind, count);
            }
            Ok(found)
        })?;
        names.entities.extend(found.entities);
        names.scopes.extend(found.scopes);
        for (kind, count) in found.kinds {
            names.count_kind(kind, count);
        }
        Ok(())
    }

    /// What is held in memory, and which index blocks were found damaged so far.
    #[must_use]
    pub fn diagnostics(&self) -> LogDiagnostics {
        let (index_cache_hits, index_cache_misses) = self.shared.cache.counts();
        let active = self.view.active.as_ref();
        LogDiagnostics {
            active_index_bytes: active.map_or(0, |active| active.index.read().memory_bytes()),
            sealed_bytes: self.view.sealed.iter().map(|sealed| sealed.memory_bytes()).sum(),
            index_cache_bytes: self.shared.cache.memory_bytes(),
            cached_heads: self.shared.heads.len(),
            event_hash_bytes: self.shared.hashes.memory_bytes(),
            index_cache_hits,
            index_cache_misses,
            index_damages: self.shared.damages(),
        }
    }
}
