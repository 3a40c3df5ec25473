//! Payloads: an event's bytes, with their format and the version of their schema.
//!
//! A payload is what was appended, byte for byte; it is decoded only when asked. One whose bytes
//! were erased keeps their hash. A payload is not `Serialize`, so that appending a reference to
//! one is a compile error and not a payload within a payload.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::chain;
use super::hash::Hash;
use super::hex::Hex;
use super::kind::EventKind;

/// How a payload's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[non_exhaustive]
pub enum PayloadFormat {
    /// Postcard: compact, and read only by those who know the type.
    Postcard = 1,
    /// JSON text.
    Json = 2,
    /// Bytes that only the application understands.
    Raw = 3,
}

impl PayloadFormat {
    /// The number that a record stores.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Postcard),
            2 => Some(Self::Json),
            3 => Some(Self::Raw),
            _ => None,
        }
    }
}

impl TryFrom<u8> for PayloadFormat {
    type Error = PayloadFormatError;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::from_u8(number).ok_or(PayloadFormatError { number })
    }
}

impl fmt::Display for PayloadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postcard => "postcard",
            Self::Json => "json",
            Self::Raw => "raw",
        })
    }
}

/// A number that stands for no known payload format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{number} is no known payload format")]
#[non_exhaustive]
pub struct PayloadFormatError {
    /// The number.
    pub number: u8,
}

/// The bytes of an event, their format and their schema's version.
///
/// ```
/// # use annals_core::Payload;
/// let payload = Payload::json(&["tea", "cake"])?.with_version(2);
/// assert_eq!(payload.bytes(), Some(&br#"["tea","cake"]"#[..]));
/// assert_eq!(payload.decode::<Vec<String>>()?, ["tea", "cake"]);
/// # Ok::<(), annals_core::CodecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// Bytes of postcard.
    Postcard {
        /// The version of the type that was encoded.
        version: u16,
        /// The encoded value.
        bytes: Vec<u8>,
    },
    /// JSON text.
    Json {
        /// The version of the type that was encoded.
        version: u16,
        /// The text, in UTF-8.
        bytes: Vec<u8>,
    },
    /// Bytes that only the application understands.
    Raw {
        /// A version that the application gives.
        version: u16,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The bytes were erased; what they were is told by their hash alone.
    Erased {
        /// The format that the bytes had.
        format: PayloadFormat,
        /// The version that the bytes had.
        version: u16,
        /// The hash of the metadata and the payload that were erased.
        content_hash: Hash,
    },
}

impl Payload {
    /// Encodes a value with postcard, as version 1.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value's `Serialize` fails.
    pub fn postcard<T: Serialize + ?Sized>(value: &T) -> Result<Self, CodecError> {
        let bytes = postcard::to_allocvec(value)
            .map_err(|error| CodecError::encode(PayloadFormat::Postcard, &error))?;
        Ok(Self::Postcard { version: 1, bytes })
    }

    /// Encodes a value as JSON, as version 1.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value's `Serialize` fails, or a map's key is not text.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, CodecError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| CodecError::encode(PayloadFormat::Json, &error))?;
        Ok(Self::Json { version: 1, bytes })
    }

    /// Takes bytes as they are, as version 1.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Raw { version: 1, bytes: bytes.into() }
    }

    /// Takes encoded bytes with their format and version. The bytes are not looked at.
    #[must_use]
    pub const fn from_parts(format: PayloadFormat, version: u16, bytes: Vec<u8>) -> Self {
        match format {
            PayloadFormat::Postcard => Self::Postcard { version, bytes },
            PayloadFormat::Json => Self::Json { version, bytes },
            PayloadFormat::Raw => Self::Raw { version, bytes },
        }
    }

    /// The same payload with another version.
    #[must_use]
    pub const fn with_version(mut self, new: u16) -> Self {
        match &mut self {
            Self::Postcard { version, .. }
            | Self::Json { version, .. }
            | Self::Raw { version, .. }
            | Self::Erased { version, .. } => *version = new,
        }
        self
    }

    /// The format, also of erased bytes.
    #[must_use]
    pub const fn format(&self) -> PayloadFormat {
        match self {
            Self::Postcard { .. } => PayloadFormat::Postcard,
            Self::Json { .. } => PayloadFormat::Json,
            Self::Raw { .. } => PayloadFormat::Raw,
            Self::Erased { format, .. } => *format,
        }
    }

    /// The version of the schema, also of erased bytes.
    #[must_use]
    pub const fn version(&self) -> u16 {
        match self {
            Self::Postcard { version, .. }
            | Self::Json { version, .. }
            | Self::Raw { version, .. }
            | Self::Erased { version, .. } => *version,
        }
    }

    /// The bytes, or none if they were erased.
    #[must_use]
    pub const fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Postcard { bytes, .. } | Self::Json { bytes, .. } | Self::Raw { bytes, .. } => {
                Some(bytes.as_slice())
            }
            Self::Erased { .. } => None,
        }
    }

    /// Whether the bytes were erased.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        matches!(self, Self::Erased { .. })
    }

    /// Decodes the bytes by their format. The version is the caller's to look at.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if the bytes are no such value, or more than one;
    /// [`CodecError::Raw`] and [`CodecError::Erased`] if there is nothing to decode.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        match self {
            Self::Postcard { bytes, .. } => decode_bytes(PayloadFormat::Postcard, bytes),
            Self::Json { bytes, .. } => decode_bytes(PayloadFormat::Json, bytes),
            Self::Raw { .. } => Err(CodecError::Raw),
            Self::Erased { content_hash, .. } => {
                Err(CodecError::Erased { content_hash: *content_hash })
            }
        }
    }

    /// The hash of this payload and the metadata beside it; of an erased one, as it was.
    pub(crate) fn content_hash(&self, metadata: Option<&[u8]>) -> Hash {
        match self {
            Self::Postcard { bytes, .. } | Self::Json { bytes, .. } | Self::Raw { bytes, .. } => {
                chain::content_hash(metadata, bytes)
            }
            Self::Erased { content_hash, .. } => *content_hash,
        }
    }
}

/// Decodes a value, all of the bytes, by their format.
pub(crate) fn decode_bytes<T: DeserializeOwned>(
    format: PayloadFormat,
    bytes: &[u8],
) -> Result<T, CodecError> {
    match format {
        PayloadFormat::Postcard => match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => {
                let reason = alloc::format!("{} bytes follow the value", rest.len());
                Err(CodecError::Decode { format, reason })
            }
            Err(error) => Err(CodecError::decode(format, &error)),
        },
        PayloadFormat::Json => {
            serde_json::from_slice(bytes).map_err(|error| CodecError::decode(format, &error))
        }
        PayloadFormat::Raw => Err(CodecError::Raw),
    }
}

/// Serializes a payload within an event: the format, the version, and the bytes or their hash.
pub(crate) fn serialize<S: Serializer>(
    payload: &Payload,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Parts<'a> {
        format: PayloadFormat,
        version: u16,
        bytes: Option<Hex<'a>>,
        erased: Option<Hash>,
    }
    let erased = match payload {
        Payload::Erased { content_hash, .. } => Some(*content_hash),
        _ => None,
    };
    let (format, version) = (payload.format(), payload.version());
    Parts { format, version, bytes: payload.bytes().map(Hex), erased }.serialize(serializer)
}

/// What can be appended: a [`Payload`] as it is, or a reference to a value, which becomes postcard.
///
/// A reference to a payload is refused by the compiler: pass the payload itself.
///
/// ```compile_fail
/// # use annals_core::{IntoPayload, Payload};
/// let payload = Payload::raw(*b"bytes");
/// let _ = (&payload).into_payload();
/// ```
pub trait IntoPayload {
    /// Makes the payload.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value's `Serialize` fails.
    fn into_payload(self) -> Result<Payload, CodecError>;
}

impl IntoPayload for Payload {
    fn into_payload(self) -> Result<Payload, CodecError> {
        Ok(self)
    }
}

impl<T: Serialize + ?Sized> IntoPayload for &T {
    fn into_payload(self) -> Result<Payload, CodecError> {
        Payload::postcard(self)
    }
}

/// A type that is the payload of one kind of event.
///
/// ```
/// # use annals_core::{EventKind, EventPayload};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     total_cents: u64,
/// }
///
/// impl EventPayload for OrderPlaced {
///     const KIND: EventKind = EventKind::new(0x1, 0x001);
///     const NAME: Option<&'static str> = Some("order.placed");
/// }
///
/// let payload = OrderPlaced { total_cents: 995 }.to_payload()?;
/// assert_eq!(payload.decode::<OrderPlaced>()?.total_cents, 995);
/// # Ok::<(), annals_core::CodecError>(())
/// ```
pub trait EventPayload: Serialize + DeserializeOwned {
    /// The kind of the events that carry this type.
    const KIND: EventKind;

    /// The name of the kind, unique in a store.
    const NAME: Option<&'static str> = None;

    /// The version of the type, to be raised when its encoding changes.
    const VERSION: u16 = 1;

    /// The format that the type is encoded in: postcard or JSON.
    const FORMAT: PayloadFormat = PayloadFormat::Postcard;

    /// Encodes the value in its format, with its version.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value's `Serialize` fails; [`CodecError::Raw`] if the format
    /// is raw, which has no way to encode a value.
    fn to_payload(&self) -> Result<Payload, CodecError> {
        let payload = match Self::FORMAT {
            PayloadFormat::Postcard => Payload::postcard(self)?,
            PayloadFormat::Json => Payload::json(self)?,
            PayloadFormat::Raw => return Err(CodecError::Raw),
        };
        Ok(payload.with_version(Self::VERSION))
    }
}

/// Why a value could not become bytes, or bytes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value can't be encoded.
    #[error("the value can't be encoded as {format}: {reason}")]
    Encode {
        /// The format.
        format: PayloadFormat,
        /// What the encoder said.
        reason: String,
    },
    /// The bytes are not such a value.
    #[error("the {format} payload can't be decoded: {reason}")]
    Decode {
        /// The format.
        format: PayloadFormat,
        /// What the decoder said.
        reason: String,
    },
    /// Raw bytes have no type to be encoded from or decoded into.
    #[error("a raw payload has bytes, not a value")]
    Raw,
    /// The bytes were erased.
    #[error("the payload was erased, its content hash was {content_hash}")]
    Erased {
        /// The hash of what was erased.
        content_hash: Hash,
    },
    /// The event is of another kind than the type that was asked for.
    #[error("the event is of kind {found}, not {expected}")]
    OtherKind {
        /// The kind of the type.
        expected: EventKind,
        /// The kind of the event.
        found: EventKind,
    },
    /// A newer program wrote the payload: this one does not know its version.
    #[error("the payload of kind {kind} has version {found}, this program knows up to {known}")]
    NewerVersion {
        /// The kind.
        kind: EventKind,
        /// The payload's version.
        found: u16,
        /// The newest version that this program knows.
        known: u16,
    },
    /// No upcast is registered for a step that an older payload needs.
    #[error("no upcast of kind {kind} from version {from}, which is to become version {to}")]
    NoUpcast {
        /// The kind.
        kind: EventKind,
        /// The version that the step starts from.
        from: u16,
        /// The version that was asked for.
        to: u16,
    },
}

impl CodecError {
    fn encode(format: PayloadFormat, error: &dyn core::error::Error) -> Self {
        Self::Encode { format, reason: error.to_string() }
    }

    fn decode(format: PayloadFormat, error: &dyn core::error::Error) -> Self {
        Self::Decode { format, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paid {
        cents: u64,
    }

    impl EventPayload for Paid {
        const KIND: EventKind = EventKind::new(2, 1);
        const VERSION: u16 = 3;
        const FORMAT: PayloadFormat = PayloadFormat::Json;
    }

    fn erased() -> Payload {
        let content_hash = Hash::from_bytes([1; 32]);
        Payload::Erased { format: PayloadFormat::Json, version: 4, content_hash }
    }

    #[test]
    fn a_value_round_trips_through_each_format_that_has_values() {
        let paid = Paid { cents: 300 };
        for payload in [Payload::postcard(&paid).unwrap(), Payload::json(&paid).unwrap()] {
            assert_eq!(payload.version(), 1);
            assert_eq!(payload.decode::<Paid>().unwrap(), paid);
            let bytes = payload.bytes().unwrap().to_vec();
            assert_eq!(Payload::from_parts(payload.format(), 1, bytes), payload);
        }
        assert_eq!((&paid).into_payload(), Payload::postcard(&paid));
        let raw = Payload::raw(*b"x").with_version(9);
        assert_eq!(raw, Payload::Raw { version: 9, bytes: vec![b'x'] });
        assert_eq!(raw.clone().into_payload(), Ok(raw));
    }

    #[test]
    fn a_typed_payload_carries_its_format_and_version() {
        let payload = Paid { cents: 1 }.to_payload().unwrap();
        assert_eq!((payload.format(), payload.version()), (PayloadFormat::Json, 3));
        assert_eq!(payload.bytes(), Some(&br#"{"cents":1}"#[..]));
    }

    #[test]
    fn raw_and_erased_payloads_say_why_they_do_not_decode() {
        assert_eq!(Payload::raw(*b"x").decode::<u8>(), Err(CodecError::Raw));
        let content_hash = Hash::from_bytes([1; 32]);
        assert_eq!(erased().decode::<u8>(), Err(CodecError::Erased { content_hash }));
        assert_eq!(erased().bytes(), None);
        assert!(erased().is_erased());
        assert_eq!((erased().format(), erased().version()), (PayloadFormat::Json, 4));
    }

    #[test]
    fn bytes_that_are_too_few_or_too_many_do_not_decode() {
        let pair = Payload::postcard(&(1_u8, 2_u8)).unwrap();
        let error = pair.decode::<u8>().unwrap_err();
        assert!(error.to_string().contains("1 bytes follow"), "{error}");
        assert!(matches!(pair.decode::<(u8, u8, u8)>(), Err(CodecError::Decode { .. })));
        let json = Payload::from_parts(PayloadFormat::Json, 1, b"1 2".to_vec());
        assert!(matches!(json.decode::<u8>(), Err(CodecError::Decode { .. })));
    }

    #[test]
    fn every_format_has_a_number_and_no_other_number_is_one() {
        for number in 0..=u8::MAX {
            match PayloadFormat::try_from(number) {
                Ok(format) => assert_eq!(format.as_u8(), number),
                Err(error) => assert!(!(1..=3).contains(&error.number)),
            }
        }
        let json = serde_json::to_string(&PayloadFormat::Raw).unwrap();
        assert_eq!(json, "\"raw\"");
        assert_eq!(serde_json::from_str::<PayloadFormat>(&json).unwrap(), PayloadFormat::Raw);
        let bytes = postcard::to_allocvec(&PayloadFormat::Raw).unwrap();
        assert_eq!(postcard::from_bytes::<PayloadFormat>(&bytes).unwrap(), PayloadFormat::Raw);
    }
}
