//! From an event back to its stream's beginning, along the hash chain.

use crate::log::decode::EventRef;
use crate::log::reader::Reader;
use crate::log::{Corruption, StoreError};
use crate::model::{Event, EventId, Region, Version};
use crate::storage::Storage;
use alloc::vec::Vec;

/// An event and those before it in its stream, newest first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ancestors {
    /// The events; each one's `prev_hash` is the hash of the next.
    pub events: Vec<Event>,
    /// Why there are no more.
    pub end: AncestorsEnd,
}

/// Where a walk along the hash chain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AncestorsEnd {
    /// At the stream's first event.
    Genesis,
    /// At the limit: there are older events.
    Limit,
    /// At events that retention has dropped: this version is the newest of them.
    Pruned {
        /// The newest version that is gone.
        version: Version,
    },
}

impl<S: Storage> Reader<S> {
    /// The event with an id and the ones before it in its stream, newest first, `limit` at most;
    /// the hash chain is checked on the way.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where no event has the id; [`StoreError::Corruption`] where an
    /// event is not the one that its successor names; storage errors.
    pub fn walk_ancestors(&self, id: EventId, limit: usize) -> Result<Ancestors, StoreError> {
        let start = self.find(id, |event| {
            let header = event.header();
            (alloc::string::String::from(header.entity()), header.version())
        })?;
        let Some((entity, newest)) = start else { return Err(StoreError::NotFound(id)) };
        let mut walk = Ancestors { events: Vec::new(), end: AncestorsEnd::Limit };
        let region = Region::stream(entity).versions(..=newest);
        let mut query = self.query(&region).backward().limit(limit as u64);
        let mut wanted = Some(newest);
        let mut named = None;
        while let Some((event, hash)) =
            query.next_with(|event: &EventRef<'_>| (event.to_owned(), event.event_hash()))?
        {
            if let Some(version) = wanted.filter(|version| *version != event.version()) {
                walk.end = AncestorsEnd::Pruned { version };
                return Ok(walk);
            }
            if let Some(expected) = named.filter(|expected| *expected != hash) {
                return Err(self.broken_chain(&event, expected, hash));
            }
            named = Some(event.header.prev_hash);
            wanted = event.version().checked_prev();
            walk.events.push(event);
        }
        match wanted {
            None => walk.end = AncestorsEnd::Genesis,
            Some(version) if walk.events.len() < limit => {
                walk.end = AncestorsEnd::Pruned { version };
            }
            Some(_) => {}
        }
        Ok(walk)
    }

    fn broken_chain(
        &self,
        event: &Event,
        expected: crate::model::Hash,
        found: crate::model::Hash,
    ) -> StoreError {
        let located = self.locate(event.sequence());
        let Ok(Some((at, place))) = located else {
            return StoreError::SequenceNotFound(event.sequence());
        };
        let Some(segment) = self.view.at(at) else {
            return StoreError::SequenceNotFound(event.sequence());
        };
        let expected = alloc::format!("the event with hash {expected}, which its successor names");
        let found = alloc::format!("one with hash {found}");
        Corruption::new(segment.file_id(), place.offset, expected, found).into()
    }
}
