//! An event as the model knows it, and what must hold of any log by itself.

use std::collections::BTreeMap;

use annals_core::{
    Append, Coordinate, Event, EventFlags, EventId, EventKind, Hash, Hlc, Payload, Reader, Region,
    Storage, StoreError,
};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what the event's part of that name is")]
pub struct Fact {
    pub coordinate: Coordinate,
    pub kind: EventKind,
    pub payload: Payload,
    pub metadata: Option<Vec<u8>>,
    pub flags: EventFlags,
    pub id: EventId,
    pub correlation: EventId,
    pub causation: Option<EventId>,
    pub timestamp_us: i64,
    pub hlc: Hlc,
    /// Lane and depth.
    pub branch: (u32, u32),
    pub version: u64,
    pub sequence: u64,
    /// None at genesis.
    pub prev_hash: Option<Hash>,
    pub event_hash: Hash,
}

impl Fact {
    /// Whether a repeated append with this event's key is this event.
    #[must_use]
    pub fn is_what(&self, append: &Append) -> bool {
        self.coordinate == append.coordinate
            && self.kind == append.kind
            && self.payload == append.payload
            && append.options.idempotency_key.is_none_or(|key| key == self.id)
    }
}

impl From<&Event> for Fact {
    fn from(event: &Event) -> Self {
        let header = &event.header;
        Fact {
            coordinate: event.coordinate.clone(),
            kind: header.kind,
            payload: event.payload.clone(),
            metadata: event.metadata.clone(),
            flags: header.flags,
            id: header.id,
            correlation: header.correlation,
            causation: header.causation,
            timestamp_us: header.timestamp_us,
            hlc: header.position.hlc,
            branch: (header.position.lane, header.position.depth),
            version: event.version().get(),
            sequence: event.sequence().get(),
            prev_hash: Some(header.prev_hash).filter(|hash| !hash.is_zero()),
            event_hash: event.event_hash(),
        }
    }
}

/// Reads everything and checks what must hold of every log: sequences and versions without a
/// gap, whole hash chains, a rising clock, and one answer whichever way it is asked.
///
/// # Errors
///
/// The store's.
///
/// # Panics
///
/// Where the log contradicts itself.
pub fn check_log<S: Storage>(reader: &Reader<S>) -> Result<Vec<Event>, StoreError> {
    let events: Vec<Event> = reader.query(&Region::all()).collect::<Result<_, _>>()?;
    assert_eq!(events.len() as u64, reader.end().get(), "a query finds every event");
    let mut heads: BTreeMap<&str, (u64, Hash)> = BTreeMap::new();
    let mut clock = None;
    for (sequence, event) in events.iter().enumerate() {
        assert_eq!(event.sequence().get(), sequence as u64, "sequences have no gap");
        let head = heads.get(event.coordinate.entity());
        assert_eq!(event.version().get(), head.map_or(0, |(version, _)| version + 1));
        let prev_hash = head.map_or(Hash::ZERO, |(_, hash)| *hash);
        assert_eq!(event.header.prev_hash, prev_hash, "the chain of {sequence} is whole");
        assert!(clock < Some(event.header.position.hlc), "the clock rises");
        clock = Some(event.header.position.hlc);
        heads.insert(event.coordinate.entity(), (event.version().get(), event.event_hash()));
    }
    for (entity, (version, _)) in &heads {
        let head = reader.head(entity)?.expect("a stream with events has a head");
        assert_eq!(head.version.get(), *version);
    }
    Ok(events)
}
