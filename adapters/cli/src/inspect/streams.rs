//! The streams with what they hold, counted once and then brought up to date.

use annals::{EventKind, FsStorage, Reader, Region, Sequence, StoreError};
use std::cmp::Reverse;
use std::collections::HashMap;

/// What is shown of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) events: u64,
    pub(super) version: u64,
    pub(super) sequence: u64,
    pub(super) timestamp_us: i64,
    pub(super) kind: EventKind,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_entity: HashMap<String, Stream>,
    /// Every event before it is counted.
    end: Sequence,
    events: u64,
}

impl Streams {
    /// Counts what has come since the last time, or everything anew where events have gone.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub(super) fn update(&mut self, reader: &Reader<FsStorage>) -> Result<(), StoreError> {
        self.count(reader)?;
        if self.events != reader.stats()?.events {
            *self = Streams::default();
            self.count(reader)?;
        }
        Ok(())
    }

    fn count(&mut self, reader: &Reader<FsStorage>) -> Result<(), StoreError> {
        let mut query = reader.query(&Region::all()).starting_at(self.end);
        let (by_entity, events) = (&mut self.by_entity, &mut self.events);
        let mut add = |event: &annals::EventRef<'_>| {
            let header = event.header();
            let stream = Stream {
                events: 1,
                version: header.version().get(),
                sequence: event.sequence().get(),
                timestamp_us: header.timestamp_us(),
                kind: header.kind(),
            };
            *events += 1;
            match by_entity.get_mut(header.entity()) {
                Some(known) => *known = Stream { events: known.events + 1, ..stream },
                None => {
                    by_entity.insert(header.entity().into(), stream);
                }
            }
        };
        while query.next_with(&mut add)?.is_some() {}
        self.end = reader.end();
        Ok(())
    }

    /// The streams whose names hold a text, in an order: how many there are, and some of them.
    pub(super) fn page(
        &self,
        text: &str,
        order: &str,
        offset: usize,
        limit: usize,
    ) -> (usize, Vec<(&str, Stream)>) {
        let all = self.by_entity.iter().filter(|(entity, _)| entity.contains(text));
        let mut found: Vec<_> = all.map(|(entity, stream)| (entity.as_str(), *stream)).collect();
        match order {
            "name" => found.sort_unstable_by_key(|(entity, _)| *entity),
            "events" => found.sort_unstable_by_key(|(entity, s)| (Reverse(s.events), *entity)),
            _ => found.sort_unstable_by_key(|(_, stream)| Reverse(stream.sequence)),
        }
        let total = found.len();
        (total, found.into_iter().skip(offset).take(limit).collect())
    }
}
