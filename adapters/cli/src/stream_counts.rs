//! What is known of each stream, from events counted in their order.
//!
//! It holds a few words for each entity, however many events it has.

use crate::args::StreamOrder;
use annals::{EventKind, EventRef};
use std::cmp::Reverse;
use std::collections::HashMap;

/// A stream as far as its events were counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) events: u64,
    /// Of its newest event, as the three below.
    pub(crate) version: u64,
    pub(crate) sequence: u64,
    pub(crate) timestamp_us: i64,
    pub(crate) kind: EventKind,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct StreamCounts {
    by_entity: HashMap<String, Stream>,
    events: u64,
}

impl StreamCounts {
    /// Counts an event that is newer than all before.
    pub(crate) fn add(&mut self, event: &EventRef<'_>) {
        let header = event.header();
        let stream = Stream {
            events: 1,
            version: header.version().get(),
            sequence: event.sequence().get(),
            timestamp_us: header.timestamp_us(),
            kind: header.kind(),
        };
        self.events += 1;
        match self.by_entity.get_mut(header.entity()) {
            Some(known) => *known = Stream { events: known.events + 1, ..stream },
            None => {
                self.by_entity.insert(header.entity().into(), stream);
            }
        }
    }

    /// How many events were counted.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The streams whose names hold a text, in an order.
    pub(crate) fn sorted(&self, text: &str, order: StreamOrder) -> Vec<(&str, Stream)> {
        let all = self.by_entity.iter().filter(|(entity, _)| entity.contains(text));
        let mut found: Vec<_> = all.map(|(entity, stream)| (entity.as_str(), *stream)).collect();
        match order {
            StreamOrder::Newest => found.sort_unstable_by_key(|(_, s)| Reverse(s.sequence)),
            StreamOrder::Events => {
                found.sort_unstable_by_key(|(entity, s)| (Reverse(s.events), *entity));
            }
            StreamOrder::Name => found.sort_unstable_by_key(|(entity, _)| *entity),
        }
        found
    }
}
