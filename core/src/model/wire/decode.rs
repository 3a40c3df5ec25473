//! Reading a record's header, borrowed from the stored bytes.
//!
//! Whatever the bytes are, reading neither panics nor allocates. What it accepts is exactly what
//! the encoder writes, so that encoding again gives the same bytes.

use alloc::string::String;
use alloc::sync::Arc;

use super::numbers::Numbers;
use super::{ADMISSION_BYPASS, ADMISSION_GATES, VARINT_LEN_MAX};
use crate::model::admission::{Admission, check_gate_name};
use crate::model::clock::Hlc;
use crate::model::coordinate::{Coordinate, check_part, is_plain, text_of};
use crate::model::flags::EventFlags;
use crate::model::hash::Hash;
use crate::model::header::EventHeader;
use crate::model::id::EventId;
use crate::model::kind::EventKind;
use crate::model::limits::{ENTITY_LEN_MAX, GATE_NAMES_MAX, REASON_LEN_MAX, SCOPE_LEN_MAX};
use crate::model::numbers::{Sequence, Version};
use crate::model::payload::PayloadFormat;
use crate::model::position::DagPosition;

/// A header as it is stored, borrowed from the bytes it was read from.
///
/// Everything was checked when it was read. The sequence is not stored with the header: it follows
/// from the place in the log.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRef<'a> {
    prev_hash: &'a [u8; 32],
    id: &'a [u8; 16],
    correlation: Option<&'a [u8; 16]>,
    causation: Option<&'a [u8; 16]>,
    numbers: Numbers,
    entity: Name<'a>,
    scope: Name<'a>,
    admission: Option<AdmissionRef<'a>>,
}

/// The bytes of a name that was checked when it was read. Who walks over events and looks at
/// numbers alone does not pay for making text of them.
#[derive(Debug, Clone, Copy)]
struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    fn text(self) -> &'a str {
        text_of(self.0).expect("names were checked when read")
    }
}

impl<'a> HeaderRef<'a> {
    /// Reads all of the bytes, as [`super::decode_header`] says.
    #[inline(always)]
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(bytes);
        let prev_hash = reader.array("prev_hash")?;
        let id = reader.array("id")?;
        let correlation = reader.id("correlation")?;
        if correlation == Some(id) {
            return Err(reader.invalid("correlation"));
        }
        let causation = reader.id("causation")?;
        let header = Self {
            prev_hash,
            id,
            correlation,
            causation,
            numbers: Numbers::read(&mut reader)?,
            entity: reader.name("entity", ENTITY_LEN_MAX)?,
            scope: reader.name("scope", SCOPE_LEN_MAX)?,
            admission: reader.admission()?,
        };
        match reader.rest.len() {
            0 => Ok(header),
            count => Err(HeaderError::TrailingBytes { count }),
        }
    }

    /// The hash of the entity's event before it, zero at genesis.
    #[must_use]
    pub const fn prev_hash(&self) -> Hash {
        Hash::from_bytes(*self.prev_hash)
    }

    /// The event's identity.
    #[must_use]
    pub const fn id(&self) -> EventId {
        EventId::from_bytes(*self.id)
    }

    /// What the event belongs to: its own id if it began something.
    #[must_use]
    pub fn correlation(&self) -> EventId {
        EventId::from_bytes(*self.correlation.unwrap_or(self.id))
    }

    /// The event that caused it, if one did.
    #[must_use]
    pub fn causation(&self) -> Option<EventId> {
        self.causation.map(|id| EventId::from_bytes(*id))
    }

    /// The wall clock's word, in microseconds since 1970.
    #[must_use]
    pub const fn timestamp_us(&self) -> i64 {
        self.numbers.timestamp_us()
    }

    /// The store's logical clock.
    #[must_use]
    pub const fn hlc(&self) -> Hlc {
        self.numbers.hlc()
    }

    /// How many forks lie between the root and the event.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.numbers.depth()
    }

    /// Which of the branches beside each other it stands in.
    #[must_use]
    pub const fn lane(&self) -> u32 {
        self.numbers.lane()
    }

    /// The event's place in its stream.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.numbers.version()
    }

    /// What kind of event it is, which may be one of the store's own.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.numbers.kind()
    }

    /// Its flags.
    #[must_use]
    pub const fn flags(&self) -> EventFlags {
        self.numbers.flags()
    }

    /// The format of the payload.
    #[must_use]
    pub const fn payload_format(&self) -> PayloadFormat {
        self.numbers.payload_format()
    }

    /// The version of the payload's schema.
    #[must_use]
    pub const fn payload_version(&self) -> u16 {
        self.numbers.payload_version()
    }

    /// Who it happened to.
    #[must_use]
    pub fn entity(&self) -> &'a str {
        self.entity.text()
    }

    /// Where it happened.
    #[must_use]
    pub fn scope(&self) -> &'a str {
        self.scope.text()
    }

    /// Who let it in, if a policy was asked.
    #[must_use]
    pub fn admission(&self) -> Option<Admission> {
        self.admission.map(AdmissionRef::into_owned)
    }

    /// The address as a value of its own.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        let coordinate = Coordinate::of_bytes(self.entity.0, self.scope.0);
        coordinate.expect("names were checked when read")
    }

    /// The address and the header as values of their own, at this place in the store.
    #[must_use]
    pub fn to_owned(&self, sequence: Sequence) -> (Coordinate, EventHeader) {
        (self.coordinate(), self.to_header(sequence))
    }

    #[inline(always)]
    pub(crate) fn to_header(self, sequence: Sequence) -> EventHeader {
        EventHeader {
            id: self.id(),
            correlation: self.correlation(),
            causation: self.causation(),
            timestamp_us: self.timestamp_us(),
            position: DagPosition {
                depth: self.depth(),
                lane: self.lane(),
                version: self.version(),
                sequence,
                hlc: self.hlc(),
            },
            kind: self.kind(),
            flags: self.flags(),
            prev_hash: self.prev_hash(),
            admission: self.admission.map(|admission| Arc::new(admission.into_owned())),
        }
    }
}

/// Why the bytes of a header were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes end too soon.
    #[error("the header ends within {field}")]
    Truncated {
        /// The field that is not whole.
        field: &'static str,
    },
    /// A field holds what no writer writes.
    #[error("the header's {field}, before byte {at}, is not valid")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Where reading stopped, in bytes from the header's start.
        at: usize,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the header")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

/// An admission as it is stored. Its texts were checked.
#[derive(Debug, Clone, Copy)]
enum AdmissionRef<'a> {
    Gates { count: usize, texts: &'a [u8] },
    Bypass { reason: &'a str, justification: &'a str },
}

impl AdmissionRef<'_> {
    #[cold]
    fn into_owned(self) -> Admission {
        match self {
            Self::Gates { count, texts } => {
                let mut reader = Reader::new(texts);
                let mut name = || reader.text("gate name").expect("names were checked when read");
                Admission::by_gates((0..count).map(|_| String::from(name())).collect())
            }
            Self::Bypass { reason, justification } => {
                Admission::by_bypass(reason.into(), justification.into())
            }
        }
    }
}

/// Reads fields off the front of the bytes.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The bytes there were, to tell where reading stopped.
    len: usize,
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, len: bytes.len() }
    }

    /// What is left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes on behind so many bytes, if there are as many.
    #[inline(always)]
    pub(super) fn skip(&mut self, len: usize) -> bool {
        let Some(rest) = self.rest.get(len..) else { return false };
        self.rest = rest;
        true
    }

    #[inline(always)]
    pub(super) fn invalid(&self, field: &'static str) -> HeaderError {
        HeaderError::Invalid { field, at: self.len - self.rest.len() }
    }

    #[inline(always)]
    fn byte(&mut self, field: &'static str) -> Result<u8, HeaderError> {
        let (&byte, rest) = self.rest.split_first().ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], HeaderError> {
        let (array, rest) =
            self.rest.split_first_chunk().ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        Ok(array)
    }

    #[inline(always)]
    fn id(&mut self, field: &'static str) -> Result<Option<&'a [u8; 16]>, HeaderError> {
        match self.byte(field)? {
            0 => Ok(None),
            1 => self.array(field).map(Some),
            _ => Err(self.invalid(field)),
        }
    }

    /// A `u64` of seven bits a byte, the least first, in its shortest form.
    #[inline(always)]
    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, HeaderError> {
        match self.byte(field)? {
            byte @ 0..0x80 => Ok(byte.into()),
            byte => {
                let (value, behind) = self.clone().varint_rest(byte, field)?;
                *self = behind;
                Ok(value)
            }
        }
    }

    /// The integer whose first byte, already taken, says that more follow; and the reader behind
    /// it.
    fn varint_rest(mut self, first: u8, field: &'static str) -> Result<(u64, Self), HeaderError> {
        let mut value = u64::from(first & 0x7F);
        for at in 1..VARINT_LEN_MAX {
            let byte = self.byte(field)?;
            value |= u64::from(byte & 0x7F) << (at * 7);
            if byte < 0x80 {
                // A zero at the end is not the shortest form, and the tenth byte has but one bit.
                let valid = byte != 0 && (at < VARINT_LEN_MAX - 1 || byte == 1);
                return if valid { Ok((value, self)) } else { Err(self.invalid(field)) };
            }
        }
        Err(self.invalid(field))
    }

    #[inline(always)]
    pub(super) fn varint_u32(&mut self, field: &'static str) -> Result<u32, HeaderError> {
        let value = self.varint(field)?;
        u32::try_from(value).map_err(|_| self.invalid(field))
    }

    #[inline(always)]
    pub(super) fn varint_u16(&mut self, field: &'static str) -> Result<u16, HeaderError> {
        let value = self.varint(field)?;
        u16::try_from(value).map_err(|_| self.invalid(field))
    }

    #[inline(always)]
    pub(super) fn payload_format(&mut self) -> Result<PayloadFormat, HeaderError> {
        let number = self.byte("payload_format")?;
        PayloadFormat::try_from(number).map_err(|_| self.invalid("payload_format"))
    }

    #[inline(always)]
    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], HeaderError> {
        let len = self.varint(field)?;
        let len = usize::try_from(len).map_err(|_| HeaderError::Truncated { field })?;
        let (bytes, rest) =
            self.rest.split_at_checked(len).ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self, field: &'static str) -> Result<&'a str, HeaderError> {
        let bytes = self.bytes(field)?;
        core::str::from_utf8(bytes).map_err(|_| self.invalid(field))
    }

    #[inline(always)]
    fn name(&mut self, field: &'static str, len_max: usize) -> Result<Name<'a>, HeaderError> {
        let bytes = self.bytes(field)?;
        let fits = (1..=len_max).contains(&bytes.len());
        if fits && (is_plain(bytes) || is_valid_part(field, bytes, len_max)) {
            Ok(Name(bytes))
        } else {
            Err(self.invalid(field))
        }
    }

    #[inline(always)]
    fn admission(&mut self) -> Result<Option<AdmissionRef<'a>>, HeaderError> {
        match self.byte("admission")? {
            0 => Ok(None),
            1 => {
                let (admission, behind) = self.clone().some_admission()?;
                *self = behind;
                Ok(Some(admission))
            }
            _ => Err(self.invalid("admission")),
        }
    }

    #[inline(never)]
    fn some_admission(mut self) -> Result<(AdmissionRef<'a>, Self), HeaderError> {
        match self.byte("admission")? {
            ADMISSION_GATES => {
                let count = usize::try_from(self.varint("gate names")?).unwrap_or(usize::MAX);
                if count > GATE_NAMES_MAX {
                    return Err(self.invalid("gate names"));
                }
                let start = self.rest;
                for _ in 0..count {
                    let name = self.text("gate name")?;
                    check_gate_name(name).map_err(|_| self.invalid("gate name"))?;
                }
                let texts = &start[..start.len() - self.rest.len()];
                Ok((AdmissionRef::Gates { count, texts }, self))
            }
            ADMISSION_BYPASS => {
                let reason = self.bypass_text("bypass reason")?;
                let justification = self.bypass_text("bypass justification")?;
                Ok((AdmissionRef::Bypass { reason, justification }, self))
            }
            _ => Err(self.invalid("admission")),
        }
    }

    fn bypass_text(&mut self, field: &'static str) -> Result<&'a str, HeaderError> {
        let text = self.text(field)?;
        if text.len() > REASON_LEN_MAX { Err(self.invalid(field)) } else { Ok(text) }
    }
}

#[cold]
fn is_valid_part(part: &'static str, bytes: &[u8], len_max: usize) -> bool {
    core::str::from_utf8(bytes).is_ok_and(|text| check_part(part, text, len_max).is_ok())
}

/// Undoes the encoder's `zigzag`.
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
