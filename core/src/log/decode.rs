//! From a stored record to an event, borrowed or owned.

use crate::format::Fault;
use crate::format::record::{RECORD_PREFIX_LEN, RecordRef, RecordState};
use crate::model::payload::decode_bytes;
use crate::model::upcast::is_older;
use crate::model::wire::{HeaderError, HeaderRef, decode_header};
use crate::model::{
    CodecError, Coordinate, Event, EventHeader, EventPayload, Hash, Payload, Sequence, Upcasts,
};
use alloc::format;
use alloc::string::ToString;
use serde::de::DeserializeOwned;

/// An event as it stands in the file, borrowed: nothing is allocated to look at it.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    sequence: Sequence,
    header: HeaderRef<'a>,
    header_bytes: &'a [u8],
    content_bytes: &'a [u8],
    content: Content<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Whole { metadata: Option<&'a [u8]>, payload: &'a [u8] },
    Erased,
}

impl<'a> EventRef<'a> {
    #[inline(always)]
    pub(crate) fn new(record: RecordRef<'a>, sequence: Sequence) -> Result<Self, Fault> {
        let RecordRef { state, header, content, .. } = record;
        EventRef::of_parts(state, header, content, sequence)
    }

    /// Of a record that was taken apart, so that its parts need not be read from memory where they
    /// were written a moment ago.
    fn of_parts(
        state: RecordState,
        header_bytes: &'a [u8],
        content_bytes: &'a [u8],
        sequence: Sequence,
    ) -> Result<Self, Fault> {
        let header = decode_header(header_bytes).map_err(invalid_header)?;
        let content = match state {
            RecordState::Whole => {
                let content_at = RECORD_PREFIX_LEN + header_bytes.len();
                let (metadata, payload) = split_content(content_bytes, content_at)?;
                Content::Whole { metadata, payload }
            }
            RecordState::Erased => {
                RecordRef::of_parts(state, header_bytes, content_bytes).content_hash()?;
                Content::Erased
            }
            RecordState::Pruned => {
                return Err(Fault::new(10, "an event", "the mark of pruned events"));
            }
        };
        Ok(EventRef { sequence, header, header_bytes, content_bytes, content })
    }

    /// Its place in the store.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &HeaderRef<'a> {
        &self.header
    }

    /// The metadata; `None` where there is none, or where it was erased.
    #[must_use]
    pub const fn metadata(&self) -> Option<&'a [u8]> {
        match self.content {
            Content::Whole { metadata, .. } => metadata,
            Content::Erased => None,
        }
    }

    /// The payload's bytes; `None` where they were erased.
    #[must_use]
    pub const fn payload(&self) -> Option<&'a [u8]> {
        match self.content {
            Content::Whole { payload, .. } => Some(payload),
            Content::Erased => None,
        }
    }

    /// Decodes the payload by its format, straight from the file's bytes.
    ///
    /// # Errors
    ///
    /// As [`Payload::decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        match self.content {
            Content::Whole { payload, .. } => decode_bytes(self.header.payload_format(), payload),
            Content::Erased => Err(CodecError::Erased { content_hash: self.content_hash() }),
        }
    }

    /// Decodes the payload as the newest version of its type, lifting an older one.
    ///
    /// # Errors
    ///
    /// As [`Event::decode_as`].
    pub fn decode_as<T: EventPayload>(&self, upcasts: &Upcasts) -> Result<T, CodecError> {
        let kind = self.header.kind();
        if is_older::<T>(kind, self.header.payload_version())? {
            upcasts.lift(kind, self.to_payload(), T::VERSION)?.decode()
        } else {
            self.decode()
        }
    }

    /// The hash of metadata and payload; of erased ones, as they were.
    ///
    /// # Panics
    ///
    /// Never: that an erased record holds a hash was checked when it was read.
    #[must_use]
    pub fn content_hash(&self) -> Hash {
        self.record().content_hash().expect("checked when it was read")
    }

    /// The hash that the stream's next event names, computed from the stored bytes.
    ///
    /// # Panics
    ///
    /// Never: that an erased record holds a hash was checked when it was read.
    #[must_use]
    pub fn event_hash(&self) -> Hash {
        self.record().event_hash().expect("checked when it was read")
    }

    /// The address and the header as values of their own.
    #[must_use]
    pub fn to_header(&self) -> (Coordinate, EventHeader) {
        self.header.to_owned(self.sequence)
    }

    /// The event as a value of its own.
    #[must_use]
    #[inline]
    pub fn to_owned(&self) -> Event {
        Event {
            coordinate: self.header.coordinate(),
            header: self.header.to_header(self.sequence),
            metadata: self.metadata().map(<[u8]>::to_vec),
            payload: self.to_payload(),
        }
    }

    fn record(&self) -> RecordRef<'a> {
        let state = match self.content {
            Content::Whole { .. } => RecordState::Whole,
            Content::Erased => RecordState::Erased,
        };
        RecordRef::of_parts(state, self.header_bytes, self.content_bytes)
    }

    fn to_payload(self) -> Payload {
        let (format, version) = (self.header.payload_format(), self.header.payload_version());
        match self.content {
            Content::Whole { payload, .. } => {
                Payload::from_parts(format, version, payload.to_vec())
            }
            Content::Erased => {
                Payload::Erased { format, version, content_hash: self.content_hash() }
            }
        }
    }
}

/// Whether the content of a whole record is laid out as it must be.
pub(crate) fn check_content(record: &RecordRef<'_>) -> Result<(), Fault> {
    split_content(record.content, record.len - record.content.len()).map(drop)
}

/// Metadata and payload of a whole record, whose content begins at a place in it.
#[inline]
fn split_content(content: &[u8], content_at: usize) -> Result<(Option<&[u8]>, &[u8]), Fault> {
    let Some((tag, tag_len)) = read_varint(content) else {
        let expected = "the length of the metadata";
        return Err(Fault::new(content_at as u64, expected, "the record's end"));
    };
    let rest = &content[tag_len..];
    let Some(len) = tag.checked_sub(1) else { return Ok((None, rest)) };
    let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    match split {
        Some((metadata, payload)) => Ok((Some(metadata), payload)),
        None => {
            let found = format!("metadata of {len} bytes");
            Err(Fault::new(content_at as u64, "metadata within its record", found))
        }
    }
}

#[cold]
fn invalid_header(error: HeaderError) -> Fault {
    Fault::new(RECORD_PREFIX_LEN as u64, "a valid event header", error.to_string())
}

/// A LEB128 integer in its shortest form, and how many bytes it takes up.
#[inline]
fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7F);
        let shift = 7 * at;
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return (at == 0 || *byte != 0).then_some((value, at + 1));
        }
    }
    None
}
