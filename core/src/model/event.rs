//! An event as it is read: its coordinate, its header and its content.
//!
//! An event owns what it holds and keeps nothing of the store open.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::chain;
use super::coordinate::Coordinate;
use super::hash::Hash;
use super::header::EventHeader;
use super::id::EventId;
use super::kind::EventKind;
use super::numbers::{Sequence, Version};
use super::payload::{self, CodecError, Payload};
use super::wire;

/// An event that the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Who it happened to, and where.
    pub coordinate: Coordinate,
    /// What the store knows of it.
    pub header: EventHeader,
    /// Bytes that the application put beside the payload.
    #[serde(serialize_with = "super::hex::option::serialize")]
    pub metadata: Option<Vec<u8>>,
    /// What happened.
    #[serde(serialize_with = "payload::serialize")]
    pub payload: Payload,
}

impl Event {
    /// The event's identity.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.header.id
    }

    /// The event's place in the store.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.header.sequence()
    }

    /// The event's place in its stream.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.header.version()
    }

    /// What kind of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.header.kind
    }

    /// Decodes the payload by its format.
    ///
    /// # Errors
    ///
    /// As [`Payload::decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        self.payload.decode()
    }

    /// The hash of the metadata and the payload, computed anew; of erased ones, as they were.
    #[must_use]
    pub fn content_hash(&self) -> Hash {
        self.payload.content_hash(self.metadata.as_deref())
    }

    /// The event's hash, computed anew from all that it covers.
    ///
    /// The entity's next event carries it as its `prev_hash`.
    #[must_use]
    pub fn event_hash(&self) -> Hash {
        let mut bytes = Vec::new();
        let (format, version) = (self.payload.format(), self.payload.version());
        wire::encode_header(&mut bytes, &self.coordinate, &self.header, format, version);
        chain::event_hash(&bytes, &self.content_hash())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::sync::Arc;
    use alloc::vec;

    use super::*;
    use crate::model::{Admission, DagPosition, EventFlags, Hlc, PayloadFormat, Sequence, Version};

    /// A typical event, for the tests of this layer.
    pub(crate) fn event() -> Event {
        let id = EventId::v7(1_700_000_000_123_456, [5; 10]);
        Event {
            coordinate: Coordinate::new("order:5", "shop").unwrap(),
            header: EventHeader {
                id,
                correlation: id,
                causation: None,
                timestamp_us: 1_700_000_000_123_456,
                position: DagPosition {
                    depth: 0,
                    lane: 0,
                    version: Version::new(3),
                    sequence: Sequence::new(12),
                    hlc: Hlc { wall_ms: 1_700_000_000_123, counter: 1 },
                },
                kind: EventKind::new(1, 1),
                flags: EventFlags::NONE,
                prev_hash: Hash::from_bytes([7; 32]),
                admission: None,
            },
            metadata: None,
            payload: Payload::raw(*b"payload"),
        }
    }

    #[test]
    fn the_hash_covers_every_part_but_the_sequence() {
        let original = event();
        let hash = original.event_hash();
        let changes: [fn(&mut Event); 18] = [
            |event| event.coordinate = Coordinate::new("order:6", "shop").unwrap(),
            |event| event.coordinate = Coordinate::new("order:5", "shoq").unwrap(),
            |event| event.header.id = EventId::from_bytes([1; 16]),
            |event| event.header.correlation = EventId::from_bytes([1; 16]),
            |event| event.header.causation = Some(EventId::from_bytes([1; 16])),
            |event| event.header.timestamp_us += 1,
            |event| event.header.position.depth += 1,
            |event| event.header.position.lane += 1,
            |event| event.header.position.version = Version::new(4),
            |event| event.header.position.hlc.wall_ms += 1,
            |event| event.header.position.hlc.counter += 1,
            |event| event.header.kind = EventKind::new(1, 2),
            |event| event.header.flags = EventFlags::REPLAY,
            |event| event.header.prev_hash = Hash::ZERO,
            |event| event.header.admission = Some(Arc::new(Admission::by_gates(vec![]))),
            |event| event.metadata = Some(vec![]),
            |event| event.payload = Payload::raw(*b"payloae"),
            |event| {
                event.payload = Payload::from_parts(PayloadFormat::Json, 1, b"payload".to_vec());
            },
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut changed = original.clone();
            change(&mut changed);
            assert_ne!(changed.event_hash(), hash, "change {at}");
        }
    }

    #[test]
    fn erasing_the_content_keeps_the_hashes() {
        let whole = Event { metadata: Some(b"meta".to_vec()), ..event() };
        let erased = Event {
            metadata: None,
            payload: Payload::Erased {
                format: whole.payload.format(),
                version: whole.payload.version(),
                content_hash: whole.content_hash(),
            },
            ..whole.clone()
        };
        assert_eq!(erased.content_hash(), whole.content_hash());
        assert_eq!(erased.event_hash(), whole.event_hash());
    }

    #[test]
    fn any_header_that_can_be_made_has_a_hash() {
        let mut event = event();
        event.header.position.hlc.wall_ms = u64::MAX;
        event.header.timestamp_us = i64::MIN;
        let _ = event.event_hash();
    }

    #[test]
    fn an_event_is_readable_json() {
        let event = Event { metadata: Some(vec![0xAB]), ..event() };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["coordinate"]["entity"], "order:5");
        assert_eq!(json["header"]["position"]["sequence"], 12);
        assert_eq!(json["header"]["admission"], serde_json::Value::Null);
        assert_eq!(json["metadata"], "ab");
        assert_eq!(json["payload"]["format"], "raw");
        assert_eq!(json["payload"]["bytes"], "7061796c6f6164");
        assert!(postcard::to_allocvec(&event).is_ok());
    }
}
