//! What the growing index is told of one event, by who appends it or by who reads it back.

use crate::index::KeyHasher;
use crate::model::wire::HeaderRef;
use crate::model::{Coordinate, EventId, EventKind, Hash, Sequence, Version};

/// What the index is told of one event.
#[derive(Debug)]
pub(crate) struct IndexEntry<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) offset: u64,
    pub(crate) address: Address<'a>,
    pub(crate) entity_hash: u64,
    pub(crate) kind: EventKind,
    pub(crate) timestamp_us: i64,
    pub(crate) version: Version,
    pub(crate) id: EventId,
    /// Absent where it is the event's own id.
    pub(crate) correlation: Option<EventId>,
    pub(crate) causation: Option<EventId>,
    /// Absent after recovery, where it is computed when it is asked for.
    pub(crate) event_hash: Option<Hash>,
}

impl<'a> IndexEntry<'a> {
    /// What a stored event is, whose header was read.
    pub(crate) fn of_stored(
        header: &HeaderRef<'a>,
        sequence: Sequence,
        offset: u64,
        hasher: KeyHasher,
    ) -> Self {
        let (entity, scope) = (header.entity(), header.scope());
        IndexEntry {
            sequence,
            offset,
            address: Address::Names { entity, scope },
            entity_hash: hasher.name(entity),
            kind: header.kind(),
            timestamp_us: header.timestamp_us(),
            version: header.version(),
            id: header.id(),
            correlation: Some(header.correlation()).filter(|id| *id != header.id()),
            causation: header.causation(),
            event_hash: None,
        }
    }
}

/// An address: one that the index may share, or the names of one that it makes if it is new.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address<'a> {
    Shared(&'a Coordinate),
    Names { entity: &'a str, scope: &'a str },
}

impl<'a> Address<'a> {
    pub(super) fn entity(self) -> &'a str {
        match self {
            Address::Shared(coordinate) => coordinate.entity(),
            Address::Names { entity, .. } => entity,
        }
    }

    pub(super) fn scope(self) -> &'a str {
        match self {
            Address::Shared(coordinate) => coordinate.scope(),
            Address::Names { scope, .. } => scope,
        }
    }

    pub(super) fn is(self, coordinate: &Coordinate) -> bool {
        match self {
            Address::Shared(shared) => shared == coordinate,
            Address::Names { entity, scope } => {
                coordinate.entity() == entity && coordinate.scope() == scope
            }
        }
    }

    pub(super) fn to_coordinate(self) -> Coordinate {
        match self {
            Address::Shared(coordinate) => coordinate.clone(),
            Address::Names { entity, scope } => Coordinate::join(entity, scope),
        }
    }
}
