//! The stored bytes of a record's header. An event's hash covers them, so they never change.
//!
//! ```text
//! previous event's hash [32] | id [16] | postcard of `HeaderFields`
//! ```
//! Written and read by hand, since postcard's derive is several times slower on arrays of bytes.
//! There is one encoding for a header: the decoder takes only what the encoder would write, and
//! whatever bytes it is given, it checks everything and never panics.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::Serialize;

use super::admission::{Admission, check_gate_name};
use super::clock::Hlc;
use super::coordinate::{Coordinate, check_part};
use super::flags::EventFlags;
use super::hash::Hash;
use super::header::EventHeader;
use super::id::EventId;
use super::kind::EventKind;
use super::limits::{ENTITY_LEN_MAX, GATE_NAMES_MAX, REASON_LEN_MAX, SCOPE_LEN_MAX};
use super::numbers::{Sequence, Version};
use super::payload::PayloadFormat;
use super::position::DagPosition;

/// The most bytes of a `u64` as a varint.
const VARINT_LEN_MAX: usize = 10;

/// The most bytes of a header, without the texts of its address and its admission.
const FIXED_LEN_MAX: usize = 160;

/// The fields behind the id, in the order of the stored bytes.
#[derive(Debug, Serialize)]
pub(crate) struct HeaderFields<'a> {
    /// None when it is the event's own id.
    correlation: Option<[u8; 16]>,
    causation: Option<[u8; 16]>,
    timestamp_us: i64,
    /// The logical clock's milliseconds beyond those of the timestamp: nearly always 0.
    hlc_wall_delta: i64,
    hlc_counter: u32,
    depth: u32,
    lane: u32,
    version: u64,
    kind: u16,
    flags: u16,
    payload_format: u8,
    payload_version: u16,
    entity: &'a str,
    scope: &'a str,
    admission: Option<&'a Admission>,
}

impl<'a> HeaderFields<'a> {
    fn new(
        coordinate: &'a Coordinate,
        header: &'a EventHeader,
        payload_format: PayloadFormat,
        payload_version: u16,
    ) -> Self {
        let own = header.correlation == header.id;
        let position = &header.position;
        // Wrapping, so that every header has an encoding; the decoder takes only sane readings.
        let timestamp_ms = header.timestamp_us.div_euclid(1000).cast_unsigned();
        let hlc_wall_delta = position.hlc.wall_ms.wrapping_sub(timestamp_ms).cast_signed();
        Self {
            correlation: (!own).then(|| header.correlation.to_bytes()),
            causation: header.causation.map(EventId::to_bytes),
            timestamp_us: header.timestamp_us,
            hlc_wall_delta,
            hlc_counter: position.hlc.counter,
            depth: position.depth,
            lane: position.lane,
            version: position.version.get(),
            kind: header.kind.as_u16(),
            flags: header.flags.bits(),
            payload_format: payload_format.as_u8(),
            payload_version,
            entity: coordinate.entity(),
            scope: coordinate.scope(),
            admission: header.admission.as_deref(),
        }
    }

    /// Writes exactly what postcard's derive would.
    fn encode(&self, out: &mut Vec<u8>) {
        put_id(out, self.correlation.as_ref());
        put_id(out, self.causation.as_ref());
        put_varint(out, zigzag(self.timestamp_us));
        put_varint(out, zigzag(self.hlc_wall_delta));
        put_varint(out, self.hlc_counter.into());
        put_varint(out, self.depth.into());
        put_varint(out, self.lane.into());
        put_varint(out, self.version);
        put_varint(out, self.kind.into());
        put_varint(out, self.flags.into());
        out.push(self.payload_format);
        put_varint(out, self.payload_version.into());
        put_text(out, self.entity);
        put_text(out, self.scope);
        match self.admission {
            None => out.push(0),
            Some(admission) => put_admission(out, admission),
        }
    }
}

/// Appends the stored bytes of a header to `out`. The sequence is not among them.
pub(crate) fn encode_header(
    out: &mut Vec<u8>,
    coordinate: &Coordinate,
    header: &EventHeader,
    payload_format: PayloadFormat,
    payload_version: u16,
) {
    let fields = HeaderFields::new(coordinate, header, payload_format, payload_version);
    out.reserve(FIXED_LEN_MAX + fields.entity.len() + fields.scope.len());
    out.extend_from_slice(header.prev_hash.as_bytes());
    out.extend_from_slice(header.id.as_bytes());
    fields.encode(out);
}

/// Reads the stored bytes of a header, all of them.
///
/// # Errors
///
/// Bytes that [`encode_header`] would not write: too few, too many, out of range, or not the
/// shortest form.
#[cfg_attr(not(test), expect(dead_code, reason = "for the format layer"))]
pub(crate) fn decode_header(bytes: &[u8]) -> Result<HeaderRef<'_>, HeaderError> {
    let mut reader = Reader { rest: bytes, len: bytes.len() };
    let prev_hash = reader.array("prev_hash")?;
    let id = reader.array("id")?;
    let correlation = reader.id("correlation")?;
    if correlation == Some(id) {
        return Err(reader.invalid("correlation"));
    }
    let causation = reader.id("causation")?;
    let timestamp_us = unzigzag(reader.varint("timestamp_us")?);
    let hlc = reader.hlc(timestamp_us)?;
    let header = HeaderRef {
        prev_hash,
        id,
        correlation,
        causation,
        timestamp_us,
        hlc,
        depth: reader.varint_u32("depth")?,
        lane: reader.varint_u32("lane")?,
        version: Version::new(reader.varint("version")?),
        kind: EventKind::from_stored(reader.varint_u16("kind")?),
        flags: EventFlags::from_bits(reader.varint_u16("flags")?),
        payload_format: reader.payload_format()?,
        payload_version: reader.varint_u16("payload_version")?,
        entity: reader.part("entity", ENTITY_LEN_MAX)?,
        scope: reader.part("scope", SCOPE_LEN_MAX)?,
        admission: reader.admission()?,
    };
    match reader.rest.len() {
        0 => Ok(header),
        count => Err(HeaderError::TrailingBytes { count }),
    }
}

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
    timestamp_us: i64,
    hlc: Hlc,
    depth: u32,
    lane: u32,
    version: Version,
    kind: EventKind,
    flags: EventFlags,
    payload_format: PayloadFormat,
    payload_version: u16,
    entity: &'a str,
    scope: &'a str,
    admission: Option<AdmissionRef<'a>>,
}

impl<'a> HeaderRef<'a> {
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
        self.timestamp_us
    }

    /// The store's logical clock.
    #[must_use]
    pub const fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// How many forks lie between the root and the event.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// Which of the branches beside each other it stands in.
    #[must_use]
    pub const fn lane(&self) -> u32 {
        self.lane
    }

    /// The event's place in its stream.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What kind of event it is, which may be one of the store's own.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// Its flags.
    #[must_use]
    pub const fn flags(&self) -> EventFlags {
        self.flags
    }

    /// The format of the payload.
    #[must_use]
    pub const fn payload_format(&self) -> PayloadFormat {
        self.payload_format
    }

    /// The version of the payload's schema.
    #[must_use]
    pub const fn payload_version(&self) -> u16 {
        self.payload_version
    }

    /// Who it happened to.
    #[must_use]
    pub const fn entity(&self) -> &'a str {
        self.entity
    }

    /// Where it happened.
    #[must_use]
    pub const fn scope(&self) -> &'a str {
        self.scope
    }

    /// Who let it in, if a policy was asked.
    #[must_use]
    pub fn admission(&self) -> Option<Admission> {
        self.admission.map(AdmissionRef::into_owned)
    }

    /// The address as a value of its own.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        Coordinate::join(self.entity, self.scope)
    }

    /// The address and the header as values of their own, at this place in the store.
    #[must_use]
    pub fn to_owned(&self, sequence: Sequence) -> (Coordinate, EventHeader) {
        let Self { depth, lane, version, hlc, .. } = *self;
        let header = EventHeader {
            id: self.id(),
            correlation: self.correlation(),
            causation: self.causation(),
            timestamp_us: self.timestamp_us,
            position: DagPosition { depth, lane, version, sequence, hlc },
            kind: self.kind,
            flags: self.flags,
            prev_hash: self.prev_hash(),
            admission: self.admission().map(Arc::new),
        };
        (self.coordinate(), header)
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
    fn into_owned(self) -> Admission {
        match self {
            Self::Gates { count, texts } => {
                let mut reader = Reader { rest: texts, len: texts.len() };
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
struct Reader<'a> {
    rest: &'a [u8],
    /// The bytes there were, to tell where reading stopped.
    len: usize,
}

impl<'a> Reader<'a> {
    #[cold]
    fn invalid(&self, field: &'static str) -> HeaderError {
        HeaderError::Invalid { field, at: self.len - self.rest.len() }
    }

    #[inline]
    fn byte(&mut self, field: &'static str) -> Result<u8, HeaderError> {
        let (&byte, rest) = self.rest.split_first().ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], HeaderError> {
        let (array, rest) =
            self.rest.split_first_chunk().ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        Ok(array)
    }

    #[inline]
    fn id(&mut self, field: &'static str) -> Result<Option<&'a [u8; 16]>, HeaderError> {
        match self.byte(field)? {
            0 => Ok(None),
            1 => self.array(field).map(Some),
            _ => Err(self.invalid(field)),
        }
    }

    /// A `u64` of seven bits a byte, the least first, in its shortest form.
    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<u64, HeaderError> {
        match self.byte(field)? {
            byte @ 0..0x80 => Ok(byte.into()),
            byte => self.varint_rest(byte, field),
        }
    }

    fn varint_rest(&mut self, first: u8, field: &'static str) -> Result<u64, HeaderError> {
        let mut value = u64::from(first & 0x7F);
        for at in 1..VARINT_LEN_MAX {
            let byte = self.byte(field)?;
            value |= u64::from(byte & 0x7F) << (at * 7);
            if byte < 0x80 {
                // A zero at the end is not the shortest form, and the tenth byte has but one bit.
                let valid = byte != 0 && (at < VARINT_LEN_MAX - 1 || byte == 1);
                return if valid { Ok(value) } else { Err(self.invalid(field)) };
            }
        }
        Err(self.invalid(field))
    }

    #[inline]
    fn varint_u32(&mut self, field: &'static str) -> Result<u32, HeaderError> {
        let value = self.varint(field)?;
        u32::try_from(value).map_err(|_| self.invalid(field))
    }

    #[inline]
    fn varint_u16(&mut self, field: &'static str) -> Result<u16, HeaderError> {
        let value = self.varint(field)?;
        u16::try_from(value).map_err(|_| self.invalid(field))
    }

    fn hlc(&mut self, timestamp_us: i64) -> Result<Hlc, HeaderError> {
        let delta = unzigzag(self.varint("hlc_wall_delta")?);
        let timestamp_ms = timestamp_us.div_euclid(1000);
        // A sum below zero or past i64 wraps to a number far beyond the greatest reading.
        let wall_ms = timestamp_ms.wrapping_add(delta).cast_unsigned();
        if wall_ms > Hlc::STORED_WALL_MS_MAX {
            return Err(self.invalid("hlc_wall_delta"));
        }
        Ok(Hlc { wall_ms, counter: self.varint_u32("hlc_counter")? })
    }

    fn payload_format(&mut self) -> Result<PayloadFormat, HeaderError> {
        let number = self.byte("payload_format")?;
        PayloadFormat::try_from(number).map_err(|_| self.invalid("payload_format"))
    }

    #[inline]
    fn text(&mut self, field: &'static str) -> Result<&'a str, HeaderError> {
        let len = self.varint(field)?;
        let len = usize::try_from(len).map_err(|_| HeaderError::Truncated { field })?;
        let (text, rest) =
            self.rest.split_at_checked(len).ok_or(HeaderError::Truncated { field })?;
        self.rest = rest;
        core::str::from_utf8(text).map_err(|_| self.invalid(field))
    }

    #[inline]
    fn part(&mut self, field: &'static str, len_max: usize) -> Result<&'a str, HeaderError> {
        let text = self.text(field)?;
        match check_part(field, text, len_max) {
            Ok(()) => Ok(text),
            Err(_) => Err(self.invalid(field)),
        }
    }

    #[inline]
    fn admission(&mut self) -> Result<Option<AdmissionRef<'a>>, HeaderError> {
        match self.byte("admission")? {
            0 => Ok(None),
            1 => self.some_admission().map(Some),
            _ => Err(self.invalid("admission")),
        }
    }

    fn some_admission(&mut self) -> Result<AdmissionRef<'a>, HeaderError> {
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
                Ok(AdmissionRef::Gates { count, texts })
            }
            ADMISSION_BYPASS => {
                let reason = self.bypass_text("bypass reason")?;
                let justification = self.bypass_text("bypass justification")?;
                Ok(AdmissionRef::Bypass { reason, justification })
            }
            _ => Err(self.invalid("admission")),
        }
    }

    fn bypass_text(&mut self, field: &'static str) -> Result<&'a str, HeaderError> {
        let text = self.text(field)?;
        if text.len() > REASON_LEN_MAX { Err(self.invalid(field)) } else { Ok(text) }
    }
}

/// The numbers of the admission's variants, as postcard counts them.
const ADMISSION_GATES: u8 = 0;
const ADMISSION_BYPASS: u8 = 1;

fn put_admission(out: &mut Vec<u8>, admission: &Admission) {
    out.push(1);
    if let Some(names) = admission.gates() {
        out.push(ADMISSION_GATES);
        put_varint(out, names.len() as u64);
        for name in names {
            put_text(out, name);
        }
    } else if let Some((reason, justification)) = admission.bypass() {
        out.push(ADMISSION_BYPASS);
        put_text(out, reason);
        put_text(out, justification);
    }
}

#[inline]
fn put_id(out: &mut Vec<u8>, id: Option<&[u8; 16]>) {
    match id {
        None => out.push(0),
        Some(id) => {
            out.push(1);
            out.extend_from_slice(id);
        }
    }
}

#[inline]
fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[inline]
fn put_varint(out: &mut Vec<u8>, value: u64) {
    let (bytes, len) = varint_bytes(value);
    out.extend_from_slice(&bytes[..len]);
}

/// A number as a varint: seven bits a byte, the least first, all but the last with the top bit.
#[inline]
pub(crate) const fn varint_bytes(mut value: u64) -> ([u8; VARINT_LEN_MAX], usize) {
    let mut bytes = [0; VARINT_LEN_MAX];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value.to_le_bytes()[0] | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value.to_le_bytes()[0];
    (bytes, len + 1)
}

/// Folds the sign into the lowest bit, so that small negative numbers stay short.
const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
