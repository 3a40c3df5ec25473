//! The header of an event: all that is known of it but its address and its content.
//!
//! A header is made by the store alone, when it commits an event or reads one back.

use alloc::sync::Arc;

use serde::{Serialize, Serializer};

use super::admission::Admission;
use super::flags::EventFlags;
use super::hash::Hash;
use super::id::EventId;
use super::kind::EventKind;
use super::numbers::{Sequence, Version};
use super::position::DagPosition;

/// What the store knows of an event beside its coordinate and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EventHeader {
    /// The event's identity.
    pub id: EventId,
    /// What the event belongs to: its own id if it began something, else the beginning's.
    pub correlation: EventId,
    /// The event that caused it, if one did.
    pub causation: Option<EventId>,
    /// The wall clock's word, in microseconds since 1970.
    pub timestamp_us: i64,
    /// Where it stands: depth, lane, version, sequence and the logical clock.
    pub position: DagPosition,
    /// What kind of event it is.
    pub kind: EventKind,
    /// Its flags.
    pub flags: EventFlags,
    /// The hash of the entity's event before it, zero at genesis.
    pub prev_hash: Hash,
    /// Who let it in, if a policy was asked.
    #[serde(serialize_with = "serialize_admission")]
    pub admission: Option<Arc<Admission>>,
}

impl EventHeader {
    /// The event's place in the store.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.position.sequence
    }

    /// The event's place in its stream.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.position.version
    }
}

fn serialize_admission<S: Serializer>(
    admission: &Option<Arc<Admission>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    admission.as_deref().serialize(serializer)
}
