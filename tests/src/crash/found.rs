//! What a log holds, read and checked against itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use annals_core::{
    Cursor, Event, Hash, Reader, Region, Sequence, Storage, StoreError, VerifyOptions, verify,
};

use super::Said;

/// The events of a log, of which some may have been dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Those that are there, by sequence.
    pub events: Vec<Event>,
    /// The sequence behind the last that there was.
    pub end: u64,
}

impl Found {
    /// Reads everything: sequences and versions rise, chains are whole where no event is missing,
    /// the clock rises, and every stream has its head.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn read<S: Storage>(reader: &Reader<S>) -> Result<Self, String> {
        let read = |error: StoreError| format!("the store can't be read: {error}");
        let events: Result<Vec<Event>, _> = reader.query(&Region::all()).collect();
        let found = Found { events: events.map_err(read)?, end: reader.end().get() };
        let mut heads: BTreeMap<&str, (u64, u64, Hash)> = BTreeMap::new();
        let (mut next, mut clock) = (0, None);
        for event in &found.events {
            let (sequence, version) = (event.sequence().get(), event.version().get());
            let entity = event.coordinate.entity();
            let head = heads.get(entity);
            let is_next = head.is_none_or(|(_, before, _)| version > *before);
            if sequence < next || !is_next || clock >= Some(event.header.position.hlc) {
                return Err(format!("event {sequence} is not in its order"));
            }
            let is_chained = match head {
                Some((_, before, hash)) if before + 1 == version => event.header.prev_hash == *hash,
                None if version == 0 => event.header.prev_hash.is_zero(),
                // What is between was dropped: the verification knows the way over the gap.
                _ => true,
            };
            if !is_chained {
                return Err(format!("the chain breaks at event {sequence}"));
            }
            next = sequence + 1;
            clock = Some(event.header.position.hlc);
            heads.insert(entity, (sequence, version, event.event_hash()));
        }
        if next > found.end {
            return Err(format!("event {} stands behind the end", next - 1));
        }
        for (entity, (_, version, _)) in &heads {
            let head = reader.head(entity).map_err(read)?;
            if head.is_none_or(|head| head.version.get() < *version) {
                return Err(format!("{entity} has {head:?} as its head, and not {version}"));
            }
        }
        Ok(found)
    }

    /// The event of a sequence.
    #[must_use]
    pub fn at(&self, sequence: u64) -> Option<&Event> {
        let place = self.events.binary_search_by_key(&sequence, |event| event.sequence().get());
        place.ok().map(|place| &self.events[place])
    }

    /// Proves every byte.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn verify<S: Storage>(&self, reader: &Reader<S>) -> Result<(), String> {
        let report = verify(reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        if !report.is_whole() || report.events != self.events.len() as u64 {
            return Err(format!("a verification says {report:?}"));
        }
        Ok(())
    }

    /// Each consumer gets what is behind its checkpoint, all of it and nothing twice.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn check_consumers<S: Storage>(
        &self,
        reader: &Reader<S>,
        said: &Said,
    ) -> Result<(), String> {
        for (name, after) in &said.consumers {
            if after.is_some_and(|after| after >= self.end) {
                return Err(format!("{name} is at {after:?}, and the log ends at {}", self.end));
            }
            let region = Region::entity("order:2");
            let mut cursor = Cursor::at(region.clone(), after.map(Sequence::new));
            let mut left = self.events.iter().filter(|event| {
                region.matches(event) && after.is_none_or(|after| event.sequence().get() > after)
            });
            loop {
                let polled = cursor.poll(reader, 3).map_err(|error| error.to_string())?;
                if polled.is_empty() {
                    break;
                }
                if !polled.iter().all(|event| left.next() == Some(event)) {
                    return Err(format!("{name} is not given what is behind {after:?}"));
                }
            }
            if left.next().is_some() {
                return Err(format!("{name} is not given all that is behind {after:?}"));
            }
        }
        Ok(())
    }
}
