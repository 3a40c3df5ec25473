//! The stored bytes of a record's header. An event's hash covers them, so they never change.
//!
//! ```text
//! previous event's hash [32] | id [16] | postcard of `HeaderFields`
//! ```
//! Written and read by hand, since postcard's derive is several times slower on arrays of bytes.
//! There is one encoding for a header: the decoder takes only what the encoder would write, and
//! whatever bytes it is given, it checks everything and never panics.

mod decode;
mod numbers;

use alloc::vec::Vec;

use serde::Serialize;

pub use decode::{HeaderError, HeaderRef};

use super::admission::Admission;
use super::coordinate::Coordinate;
use super::header::EventHeader;
use super::id::EventId;
use super::payload::PayloadFormat;

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
#[inline(always)]
pub(crate) fn decode_header(bytes: &[u8]) -> Result<HeaderRef<'_>, HeaderError> {
    HeaderRef::decode(bytes)
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
    let mut value = value;
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
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

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString as _};
    use alloc::sync::Arc;
    use alloc::vec;

    use proptest::prelude::*;

    use super::decode::unzigzag;
    use super::*;
    use crate::model::event::tests::event;
    use crate::model::limits::{ENTITY_LEN_MAX, GATE_NAMES_MAX, SCOPE_LEN_MAX};
    use crate::model::{DagPosition, EventFlags, EventKind, Hash, Hlc, Sequence, Version};

    /// All that goes into a header's bytes, and the sequence beside them.
    type Made = (Coordinate, EventHeader, PayloadFormat, u16);

    fn encoded((coordinate, header, format, version): &Made) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_header(&mut bytes, coordinate, header, *format, *version);
        bytes
    }

    /// The same bytes by postcard's derive.
    fn derived((coordinate, header, format, version): &Made) -> Vec<u8> {
        let fields = HeaderFields::new(coordinate, header, *format, *version);
        let mut bytes = header.prev_hash.as_bytes().to_vec();
        bytes.extend_from_slice(header.id.as_bytes());
        bytes.extend(postcard::to_allocvec(&fields).unwrap());
        bytes
    }

    /// What was made, from its bytes.
    fn decoded(bytes: &[u8], sequence: Sequence) -> Result<Made, HeaderError> {
        let stored = decode_header(bytes)?;
        let (coordinate, header) = stored.to_owned(sequence);
        Ok((coordinate, header, stored.payload_format(), stored.payload_version()))
    }

    fn typical() -> Made {
        let event = event();
        (event.coordinate, event.header, PayloadFormat::Postcard, 1)
    }

    fn ids() -> impl Strategy<Value = EventId> {
        prop_oneof![any::<[u8; 16]>(), Just([1; 16])].prop_map(EventId::from_bytes)
    }

    fn parts(len_max: usize) -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9:@ -]{1,40}",
            "\\PC{1,40}",
            (1..=len_max).prop_map(|len| "e".repeat(len)),
        ]
        .prop_filter("no control characters", |text| !text.chars().any(char::is_control))
    }

    fn admissions() -> impl Strategy<Value = Option<Arc<Admission>>> {
        let gates = prop::collection::vec("\\PC{1,60}", 0..=GATE_NAMES_MAX);
        prop_oneof![
            4 => Just(None),
            1 => gates.prop_map(|names| Some(Arc::new(Admission::by_gates(names)))),
            1 => ("\\PC{0,300}", ".{0,300}").prop_map(|(reason, justification)| {
                Some(Arc::new(Admission::by_bypass(reason, justification)))
            }),
        ]
    }

    prop_compose! {
        fn positions()(
            depth: u32, lane: u32, version: u64, sequence: u64, counter: u32,
            wall_ms in prop_oneof![0..=Hlc::STORED_WALL_MS_MAX, 0..2_000_000_000_000_u64],
        ) -> DagPosition {
            let (version, sequence) = (Version::new(version), Sequence::new(sequence));
            DagPosition { depth, lane, version, sequence, hlc: Hlc { wall_ms, counter } }
        }
    }

    prop_compose! {
        fn headers()(
            id in ids(), correlation in prop::option::of(ids()), causation in prop::option::of(ids()),
            timestamp_us: i64, position in positions(), kind: u16, flags: u16,
            prev_hash: [u8; 32], admission in admissions(),
        ) -> EventHeader {
            EventHeader {
                id,
                correlation: correlation.unwrap_or(id),
                causation,
                timestamp_us,
                position,
                kind: EventKind::from_stored(kind),
                flags: EventFlags::from_bits(flags),
                prev_hash: Hash::from_bytes(prev_hash),
                admission,
            }
        }
    }

    prop_compose! {
        fn made()(
            entity in parts(ENTITY_LEN_MAX), scope in parts(SCOPE_LEN_MAX), header in headers(),
            format in 1..=3_u8, version: u16,
        ) -> Made {
            let coordinate = Coordinate::new(entity, scope).unwrap();
            (coordinate, header, PayloadFormat::try_from(format).unwrap(), version)
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_postcards_derive(made in made()) {
            prop_assert_eq!(encoded(&made), derived(&made));
        }

        #[test]
        fn every_header_that_is_written_is_read_back(made in made()) {
            let bytes = encoded(&made);
            prop_assert!(bytes.len() <= usize::from(u16::MAX));
            prop_assert_eq!(decoded(&bytes, made.1.sequence()), Ok(made));
        }

        #[test]
        fn hostile_bytes_are_refused_or_are_what_we_would_write(
            made in made(), cut in any::<prop::sample::Index>(),
            patches in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            keep_len: bool,
        ) {
            let mut bytes = encoded(&made);
            for (at, byte) in patches {
                // Most of a header is hashes, ids and text: aim at the numbers, too.
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let near = 48 + at % 40;
                bytes[near] = byte;
            }
            if !keep_len {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            if let Ok(read) = decoded(&bytes, Sequence::ZERO) {
                prop_assert_eq!(encoded(&read), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(
            fields in prop::collection::vec(prop_oneof![any::<u8>(), 0..3_u8], 0..200),
        ) {
            let bytes = [&[0; 48], &fields[..]].concat();
            if let Ok(read) = decoded(&bytes, Sequence::ZERO) {
                prop_assert_eq!(encoded(&read), bytes);
            }
        }

        #[test]
        fn zigzag_is_undone(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn a_typical_header_has_these_bytes() {
        let mut expected = vec![7; 32];
        expected.extend_from_slice(event().id().as_bytes());
        expected.extend_from_slice(&[
            0, 0, // no correlation of another's, no causation
            0x80, 0x89, 0x81, 0x82, 0x83, 0x89, 0x85, 0x06, // timestamp
            0, 1, // clock
            0, 0, 3, // depth, lane, version
            0x81, 0x20, 0, // kind, flags
            1, 1, // payload format and version
        ]);
        expected.extend_from_slice(b"\x07order:5\x04shop\x00");
        let bytes = encoded(&typical());
        assert_eq!(bytes.len(), expected.len());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn every_cut_is_an_error_and_so_is_every_byte_more() {
        let mut made = typical();
        made.1.admission = Some(Arc::new(Admission::by_gates(vec!["a".into(), "b".into()])));
        let mut bytes = encoded(&made);
        for len in 0..bytes.len() {
            assert!(matches!(decode_header(&bytes[..len]), Err(HeaderError::Truncated { .. })));
        }
        bytes.push(0);
        let error = decode_header(&bytes).unwrap_err();
        assert_eq!(error, HeaderError::TrailingBytes { count: 1 });
    }

    /// Decodes the typical header with the bytes at `at`, counted from behind the id, replaced.
    fn patched(at: usize, old_len: usize, new: &[u8]) -> Result<(), HeaderError> {
        let mut bytes = encoded(&typical());
        bytes.splice(48 + at..48 + at + old_len, new.iter().copied());
        decode_header(&bytes).map(|_| ())
    }

    fn assert_invalid(result: Result<(), HeaderError>, expected: &str) {
        match result {
            Err(HeaderError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }

    #[test]
    fn every_field_that_no_writer_writes_is_named() {
        let own_id = [&[1], &event().id().as_bytes()[..]].concat();
        assert_eq!(patched(0, 0, &[]), Ok(()));
        assert_invalid(patched(0, 1, &own_id), "correlation");
        assert_invalid(patched(1, 1, &[2]), "causation");
        assert_invalid(patched(2, 8, &[0xFF; 11]), "timestamp_us");
        let past_u64 = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2];
        assert_invalid(patched(2, 8, &past_u64), "timestamp_us");
        let before_1970 = varint_bytes(zigzag(-1_700_000_000_124));
        assert_invalid(patched(10, 1, &before_1970.0[..before_1970.1]), "hlc_wall_delta");
        for delta in [i64::MAX, i64::MIN, 1 << 61] {
            let (delta, len) = varint_bytes(zigzag(delta));
            assert_invalid(patched(10, 1, &delta[..len]), "hlc_wall_delta");
        }
        assert_invalid(patched(11, 1, &[0x80, 0x80, 0x80, 0x80, 0x10]), "hlc_counter");
        assert_invalid(patched(12, 1, &[0x80, 0]), "depth");
        assert_invalid(patched(15, 2, &[0x80, 0x80, 0x04]), "kind");
        assert_invalid(patched(18, 1, &[0]), "payload_format");
        assert_invalid(patched(18, 1, &[4]), "payload_format");
        assert_invalid(patched(20, 8, &[0]), "entity");
        assert_invalid(patched(20, 8, b"\x02a\n"), "entity");
        assert_invalid(patched(20, 8, b"\x02a\xFF"), "entity");
        let long = [&[0x81, 0x08], &[b'e'; 1025][..]].concat();
        assert_invalid(patched(20, 8, &long), "entity");
        assert_invalid(patched(28, 5, &long), "scope");
        assert_invalid(patched(33, 1, &[2]), "admission");
        assert_invalid(patched(33, 1, &[1, 2]), "admission");
        assert_invalid(patched(33, 1, &[1, 0, 65]), "gate names");
        assert_invalid(patched(33, 1, &[1, 0, 1, 0]), "gate name");
        let long = [&[1, 1, 0x81, 0x20], &[b'r'; 4097][..]].concat();
        assert_invalid(patched(33, 1, &long), "bypass reason");
        let huge_text = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        let error = patched(20, 8, &huge_text).unwrap_err();
        assert_eq!(error.to_string(), "the header ends within entity");
    }

    #[test]
    fn a_header_is_borrowed_from_its_bytes() {
        let mut made = typical();
        made.1.causation = Some(EventId::from_bytes([8; 16]));
        let bytes = encoded(&made);
        let stored = decode_header(&bytes).unwrap();
        assert_eq!((stored.entity(), stored.scope()), ("order:5", "shop"));
        assert_eq!((stored.id(), stored.correlation()), (made.1.id, made.1.id));
        assert_eq!(stored.causation(), made.1.causation);
        assert_eq!((stored.depth(), stored.lane()), (0, 0));
        assert_eq!(stored.hlc(), made.1.position.hlc);
        assert_eq!(stored.prev_hash(), made.1.prev_hash);
        assert_eq!((stored.kind(), stored.flags()), (made.1.kind, made.1.flags));
        assert_eq!(stored.timestamp_us(), made.1.timestamp_us);
        assert_eq!((stored.version(), stored.admission()), (made.1.version(), None));
    }
}
