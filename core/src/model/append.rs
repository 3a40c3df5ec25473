//! What a caller hands to the store to append one event, and the receipt that comes back.
//!
//! These are wishes: the store checks them against what it holds, in its commit.

use core::fmt;

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::admission::Admission;
use super::clock::Hlc;
use super::coordinate::Coordinate;
use super::flags::EventFlags;
use super::hash::Hash;
use super::id::EventId;
use super::kind::EventKind;
use super::limits::{LimitError, METADATA_LEN_MAX, PAYLOAD_LEN_MAX};
use super::numbers::{Sequence, Version};
use super::payload::Payload;
use super::position::PositionHint;
use super::region::Region;

/// One event to be appended.
///
/// ```
/// # use annals_core::*;
/// let order = Coordinate::new("order:5", "shop").unwrap();
/// let placed = Append::new(order, EventKind::new(1, 1), Payload::raw(*b"tea"))
///     .with_options(AppendOptions::default().with_expected_version(ExpectedVersion::NoStream));
/// assert!(placed.check_limits().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Who it happened to, and where.
    pub coordinate: Coordinate,
    /// What kind of event it is.
    pub kind: EventKind,
    /// What happened.
    pub payload: Payload,
    /// All else.
    pub options: AppendOptions,
    pub(crate) cause_item: Option<usize>,
    pub(crate) admission: Option<Arc<Admission>>,
}

impl Append {
    /// An event with default options.
    #[must_use]
    pub fn new(coordinate: Coordinate, kind: EventKind, payload: Payload) -> Self {
        let options = AppendOptions::default();
        Self { coordinate, kind, payload, options, cause_item: None, admission: None }
    }

    /// Replaces the options.
    #[must_use]
    pub fn with_options(mut self, options: AppendOptions) -> Self {
        self.options = options;
        self
    }

    /// Names an earlier item of the same batch, by its place from 0, as the cause.
    #[must_use]
    pub const fn caused_by_item(mut self, item: usize) -> Self {
        self.cause_item = Some(item);
        self
    }

    /// Says who let the event in. Only the policy layer may.
    pub(crate) fn admitted_by(mut self, admission: Admission) -> Self {
        self.admission = Some(Arc::new(admission));
        self
    }

    /// The place in its batch of the item that caused this one, if one did.
    #[must_use]
    pub const fn cause_item(&self) -> Option<usize> {
        self.cause_item
    }

    /// Who let the event in, if a policy was asked.
    #[must_use]
    pub fn admission(&self) -> Option<&Admission> {
        self.admission.as_deref()
    }

    /// Checks the sizes of the metadata, the payload and the admission.
    ///
    /// # Errors
    ///
    /// The first limit that is exceeded, by name.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        let metadata_len = self.options.metadata.as_ref().map_or(0, Vec::len);
        LimitError::check("metadata bytes", METADATA_LEN_MAX, metadata_len)?;
        let payload_len = self.payload.bytes().map_or(0, <[u8]>::len);
        LimitError::check("payload bytes", PAYLOAD_LEN_MAX, payload_len)?;
        self.admission.as_ref().map_or(Ok(()), |admission| admission.check_limits())
    }
}

/// What a stream must look like for an append to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedVersion {
    /// Anything will do.
    #[default]
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The stream's last event has this version.
    Exact(Version),
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no event"),
            Self::StreamExists => f.write_str("an event at least"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

/// A wish that nothing relevant has happened: no event of `region` exists after `after`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendCondition {
    /// The events that would be in the way.
    pub region: Region,
    /// Only events after this sequence count; without one, all do.
    pub after: Option<Sequence>,
}

impl AppendCondition {
    /// Fails if an event of `region` exists after the sequence `after`.
    #[must_use]
    pub const fn new(region: Region, after: Option<Sequence>) -> Self {
        Self { region, after }
    }
}

/// How an event is to be appended. The default asks for nothing.
///
/// ```
/// # use annals_core::*;
/// let options = AppendOptions::default()
///     .with_expected_version(ExpectedVersion::Exact(Version::new(3)))
///     .with_idempotency_key(EventId::from_key("order 5, paid"));
/// assert_eq!(options.flags, EventFlags::NONE);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppendOptions {
    /// What the stream must look like.
    pub expected_version: ExpectedVersion,
    /// The event's id, chosen by the caller: a second append with it changes nothing.
    pub idempotency_key: Option<EventId>,
    /// What the event belongs to; without one, itself.
    pub correlation: Option<EventId>,
    /// The event that caused it.
    pub causation: Option<EventId>,
    /// Its flags.
    pub flags: EventFlags,
    /// Bytes beside the payload, at most [`METADATA_LEN_MAX`].
    #[serde(with = "super::hex::option")]
    pub metadata: Option<Vec<u8>>,
    /// The lane and the depth that it stands in.
    pub position: Option<PositionHint>,
    /// What must not have happened, checked in the commit.
    pub condition: Option<AppendCondition>,
}

impl AppendOptions {
    /// Sets what the stream must look like.
    #[must_use]
    pub const fn with_expected_version(mut self, expected: ExpectedVersion) -> Self {
        self.expected_version = expected;
        self
    }

    /// Sets the event's id, which makes a repeated append harmless.
    #[must_use]
    pub const fn with_idempotency_key(mut self, key: EventId) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Sets what the event belongs to.
    #[must_use]
    pub const fn with_correlation(mut self, correlation: EventId) -> Self {
        self.correlation = Some(correlation);
        self
    }

    /// Sets the event that caused it.
    #[must_use]
    pub const fn with_causation(mut self, causation: EventId) -> Self {
        self.causation = Some(causation);
        self
    }

    /// Sets the flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: EventFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the bytes beside the payload.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Vec<u8>>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }

    /// Sets the lane and the depth.
    #[must_use]
    pub const fn with_position(mut self, position: PositionHint) -> Self {
        self.position = Some(position);
        self
    }

    /// Sets what must not have happened.
    #[must_use]
    pub fn with_condition(mut self, condition: AppendCondition) -> Self {
        self.condition = Some(condition);
        self
    }
}

/// What the store says of an event that it has appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AppendReceipt {
    /// The event's identity.
    pub id: EventId,
    /// Its place in the store.
    pub sequence: Sequence,
    /// Its place in its stream.
    pub version: Version,
    /// Its hash, which the entity's next event will carry.
    pub event_hash: Hash,
    /// The wall clock's word, in microseconds since 1970.
    pub timestamp_us: i64,
    /// The store's logical clock.
    pub hlc: Hlc,
    /// Whether it was on stable storage when the receipt was written.
    pub durable: bool,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn append() -> Append {
        let coordinate = Coordinate::new("e", "s").unwrap();
        Append::new(coordinate, EventKind::new(1, 1), Payload::raw(*b"x"))
    }

    #[test]
    fn each_limit_holds_at_its_border_and_is_named() {
        let with_metadata =
            |len| append().with_options(AppendOptions::default().with_metadata(vec![0; len]));
        assert!(with_metadata(METADATA_LEN_MAX).check_limits().is_ok());
        let error = with_metadata(METADATA_LEN_MAX + 1).check_limits().unwrap_err();
        assert_eq!((error.limit, error.limit_max, error.actual), ("metadata bytes", 65536, 65537));

        let mut large = append();
        large.payload = Payload::raw(vec![0; PAYLOAD_LEN_MAX]);
        assert!(large.check_limits().is_ok());
        large.payload = Payload::raw(vec![0; PAYLOAD_LEN_MAX + 1]);
        assert_eq!(large.check_limits().unwrap_err().limit, "payload bytes");

        let admitted = append().admitted_by(Admission::by_gates(vec!["g".into(); 65]));
        assert_eq!(admitted.check_limits().unwrap_err().limit, "gate names");
        assert!(admitted.admission().is_some());
    }

    #[test]
    fn options_conditions_and_receipts_round_trip() {
        let id = EventId::from_bytes([3; 16]);
        let condition = AppendCondition::new(Region::entity("a"), Some(Sequence::new(4)));
        let options = AppendOptions::default()
            .with_expected_version(ExpectedVersion::Exact(Version::new(2)))
            .with_idempotency_key(id)
            .with_correlation(id)
            .with_causation(id)
            .with_flags(EventFlags::REPLAY)
            .with_metadata(*b"meta")
            .with_position(PositionHint { lane: 1, depth: 2 })
            .with_condition(condition);
        for options in [options, AppendOptions::default()] {
            let json = serde_json::to_string(&options).unwrap();
            assert_eq!(serde_json::from_str::<AppendOptions>(&json).unwrap(), options);
            let bytes = postcard::to_allocvec(&options).unwrap();
            assert_eq!(postcard::from_bytes::<AppendOptions>(&bytes).unwrap(), options);
        }
        assert_eq!(serde_json::from_str::<AppendOptions>("{}").unwrap(), AppendOptions::default());
        assert!(serde_json::from_str::<AppendOptions>(r#"{"expectedVersion":"any"}"#).is_err());
        let receipt = AppendReceipt {
            id,
            sequence: Sequence::new(1),
            version: Version::ZERO,
            event_hash: Hash::from_bytes([2; 32]),
            timestamp_us: -5,
            hlc: Hlc { wall_ms: 1, counter: 2 },
            durable: true,
        };
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<AppendReceipt>(&json).unwrap(), receipt);
        let bytes = postcard::to_allocvec(&receipt).unwrap();
        assert_eq!(postcard::from_bytes::<AppendReceipt>(&bytes).unwrap(), receipt);
    }

    #[test]
    fn expected_versions_are_told_apart_by_name() {
        let json = |expected: ExpectedVersion| serde_json::to_string(&expected).unwrap();
        assert_eq!(json(ExpectedVersion::NoStream), "\"no_stream\"");
        assert_eq!(json(ExpectedVersion::Exact(Version::ZERO)), r#"{"exact":0}"#);
        assert_ne!(ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::ZERO));
    }
}
