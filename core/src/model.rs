//! The model: the values that an event is made of, and what a caller hands in and gets back.
//!
//! These types know nothing of files, indexes or threads. A value that exists is valid: limits and
//! forms are checked where it is made, by hand, by parsing or by a deserializer.
//! The one thing of bytes here is `wire`, the record header, since an event's hash covers it.

pub(crate) mod admission;
pub(crate) mod append;
pub(crate) mod batch;
pub(crate) mod chain;
pub(crate) mod clock;
pub(crate) mod coordinate;
pub(crate) mod event;
pub(crate) mod flags;
pub(crate) mod hash;
pub(crate) mod header;
pub(crate) mod hex;
pub(crate) mod id;
pub(crate) mod kind;
pub(crate) mod limits;
pub(crate) mod numbers;
pub(crate) mod payload;
pub(crate) mod position;
pub(crate) mod region;
pub(crate) mod region_filter;
pub(crate) mod upcast;
pub(crate) mod wire;

pub use admission::Admission;
pub use append::{Append, AppendCondition, AppendOptions, AppendReceipt, ExpectedVersion};
pub use batch::Batch;
pub use clock::Hlc;
pub use coordinate::{Coordinate, CoordinateError};
pub use event::Event;
pub use flags::EventFlags;
pub use hash::{Hash, HashParseError};
pub use header::EventHeader;
pub use id::{EventId, EventIdParseError};
pub use kind::{EventKind, KindError};
pub use limits::{
    BATCH_EVENTS_MAX, ENTITY_LEN_MAX, GATE_NAME_LEN_MAX, GATE_NAMES_MAX, LimitError,
    METADATA_LEN_MAX, PAYLOAD_LEN_MAX, REASON_LEN_MAX, SCOPE_LEN_MAX,
};
pub use numbers::{Sequence, Version};
pub use payload::{
    CodecError, EventPayload, IntoPayload, Payload, PayloadFormat, PayloadFormatError,
};
pub use position::{DagPosition, PositionHint};
pub use region::Region;
pub use region_filter::{EntityFilter, KindFilter, Span};
pub use upcast::Upcasts;
pub use wire::{HeaderError, HeaderRef};
