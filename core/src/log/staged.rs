//! The group of batches that the next commit writes.

use crate::index::{Address, IndexEntry};
use crate::log::StoreError;
use crate::model::{AppendReceipt, Coordinate, EventId, EventKind, Hash, Hlc, Sequence, Version};
use alloc::vec::Vec;
use core::ops::Range;
use hashbrown::{HashMap, HashTable};

/// What became of a batch that was staged.
#[derive(Debug)]
#[non_exhaustive]
pub enum Staged {
    /// Its events are these of the group; they count once the group is committed.
    Group(Range<usize>),
    /// It does not fit the segment behind what is staged, or behind the group whose sync is under
    /// way: commit that, then stage it again.
    Full,
    /// Its events were there already, under the same idempotency keys: the original receipts.
    Known(Vec<AppendReceipt>),
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitInfo {
    /// Whether the events are on stable storage.
    pub durable: bool,
}

/// An event that is encoded but not written.
#[derive(Debug)]
pub(crate) struct StagedEvent {
    pub(crate) coordinate: Coordinate,
    pub(crate) entity_hash: u64,
    pub(crate) kind: EventKind,
    pub(crate) id: EventId,
    pub(crate) correlation: Option<EventId>,
    pub(crate) causation: Option<EventId>,
    pub(crate) timestamp_us: i64,
    pub(crate) hlc: Hlc,
    pub(crate) sequence: Sequence,
    pub(crate) version: Version,
    /// Zero until it is computed.
    pub(crate) event_hash: Hash,
    /// The place of the event before it in its stream, where that has no hash yet to be named.
    pub(crate) waits_for: Option<usize>,
    /// In bytes of the group.
    pub(crate) record_at: usize,
}

impl StagedEvent {
    pub(crate) fn receipt(&self, durable: bool) -> AppendReceipt {
        AppendReceipt {
            id: self.id,
            sequence: self.sequence,
            version: self.version,
            event_hash: self.event_hash,
            timestamp_us: self.timestamp_us,
            hlc: self.hlc,
            durable,
        }
    }

    pub(crate) fn index_entry(&self, base: u64) -> IndexEntry<'_> {
        IndexEntry {
            sequence: self.sequence,
            offset: base + self.record_at as u64,
            address: Address::Shared(&self.coordinate),
            entity_hash: self.entity_hash,
            kind: self.kind,
            timestamp_us: self.timestamp_us,
            version: self.version,
            id: self.id,
            correlation: self.correlation,
            causation: self.causation,
            event_hash: Some(self.event_hash),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    pub(crate) events: Vec<StagedEvent>,
    /// The newest staged event of each entity, as a place in `events`.
    heads: HashTable<usize>,
    /// The events that came with an idempotency key.
    keys: HashMap<EventId, usize>,
}

/// Where a group stood before a batch, to go back to when the batch is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    bytes: usize,
    events: usize,
}

/// Buffers larger than this are given back after a commit.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), events: self.events.len() }
    }

    pub(crate) fn push(&mut self, event: StagedEvent, key: Option<EventId>) {
        let at = self.events.len();
        let hash = event.entity_hash;
        let entity = event.coordinate.entity();
        let events = &self.events;
        match self.heads.find_mut(hash, |head| events[*head].coordinate.entity() == entity) {
            Some(head) => *head = at,
            None => {
                self.heads.insert_unique(hash, at, |head| events[*head].entity_hash);
            }
        }
        if let Some(key) = key {
            self.keys.insert(key, at);
        }
        self.events.push(event);
    }

    /// The place of the newest staged event of an entity.
    #[inline]
    pub(crate) fn head(&self, entity: &str, hash: u64) -> Option<usize> {
        let is_it = |head: &usize| self.events[*head].coordinate.entity() == entity;
        self.heads.find(hash, is_it).copied()
    }

    /// The place of the staged event with an idempotency key.
    pub(crate) fn keyed(&self, key: EventId) -> Option<usize> {
        self.keys.get(&key).copied()
    }

    /// Takes back all that was staged since `mark`.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        if self.events.len() == mark.events {
            return;
        }
        self.events.truncate(mark.events);
        self.keys.retain(|_, at| *at < mark.events);
        self.heads.clear();
        for (at, event) in self.events.iter().enumerate() {
            let entity = event.coordinate.entity();
            let events = &self.events;
            let same = |head: &usize| events[*head].coordinate.entity() == entity;
            match self.heads.find_mut(event.entity_hash, same) {
                Some(head) => *head = at,
                None => {
                    let hash_of = |head: &usize| events[*head].entity_hash;
                    self.heads.insert_unique(event.entity_hash, at, hash_of);
                }
            }
        }
    }

    /// Forgets everything, keeping the buffers.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.events.clear();
        self.heads.clear();
        self.keys.clear();
    }
}

/// The limit on the bytes of a batch.
pub(crate) fn check_batch_len(len: usize, max: u64) -> Result<(), StoreError> {
    if len as u64 <= max {
        return Ok(());
    }
    let limit = "batch bytes";
    Err(crate::model::LimitError { limit, limit_max: max, actual: len as u64 }.into())
}
