//! A backup: one store, or what was appended to it, as one stream of bytes.
//!
//! ```text
//! backup    begin | values* | (segment | data*)* | end       each a section
//!
//! section                                     begin
//!  0  marker  u32  0xA771_BACC                 0  magic            [8]  "ANNALBAK"
//!  4  len     u32  from offset 12, unpadded    8  backup_version   u16
//!  8  crc32   u32  of len and what it counts  10  zero             u16
//! 12  number  u64  its place, from 0          12  zero             u32
//! 20  kind    u32  see below                  16  store_id         [16]
//! 24  body         at most 1 MiB              32  first_sequence   u64
//!     zeros to the next multiple of 8         40  end_sequence     u64
//!                                             48  segment_count    u64
//! segment (kind 3)                            56  stream_len       u64  of the whole backup
//!  0  number         u64                      64  border_sequence  u64
//!  8  base_sequence  u64                      72  border_hash      [32]
//! 16  end_sequence   u64
//! 24  byte_len       u64  of its data         values (kind 2)  entries as in the meta log
//! 32  sealed         u32  0 or 1              data (kind 4)    bytes of the segment, in order
//! 36  zero           u32                      end (kind 5)     BLAKE3 [32] of all bytes before
//! ```
//!
//! A section is buffered whole before anything in it is believed, and no length makes a reader
//! hold more than one of them.

use super::frame::{FRAME_PREFIX_LEN, finish_prefix, padded};
use super::meta::MetaEntry;
use super::segment::{SEGMENT_HEADER_LEN, StoreId};
use super::{Crc32, Fault, read_array, read_u16, read_u32, read_u64, usize_of};
use crate::model::{Hash, Sequence};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// The newest layout of backups that this library reads, and the one that it writes.
pub const BACKUP_VERSION: u16 = 1;
/// The first four bytes of every section.
pub const SECTION_MARKER: u32 = 0xA771_BACC;
/// Bytes of a section before its body.
pub const SECTION_HEADER_LEN: usize = 24;
/// The most bytes of a section's body.
pub const SECTION_BODY_LEN_MAX: usize = 1024 * 1024;

const MAGIC: [u8; 8] = *b"ANNALBAK";
const BEGIN_LEN: usize = 104;
const SEGMENT_LEN: usize = 40;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// What the backup is of: the first section.
    Begin,
    /// Names of kinds, and checkpoints of consumers.
    Values,
    /// A segment begins.
    Segment,
    /// Bytes of the segment.
    Data,
    /// The hash of all before: the last section.
    End,
}

impl SectionKind {
    const ALL: [SectionKind; 5] = [
        SectionKind::Begin,
        SectionKind::Values,
        SectionKind::Segment,
        SectionKind::Data,
        SectionKind::End,
    ];

    const fn as_u32(self) -> u32 {
        match self {
            SectionKind::Begin => 1,
            SectionKind::Values => 2,
            SectionKind::Segment => 3,
            SectionKind::Data => 4,
            SectionKind::End => 5,
        }
    }
}

impl core::fmt::Display for SectionKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SectionKind::Begin => "beginning",
            SectionKind::Values => "section of values",
            SectionKind::Segment => "section that begins a segment",
            SectionKind::Data => "section of a segment's bytes",
            SectionKind::End => "end",
        })
    }
}

/// What a backup is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupHeader {
    /// The store.
    pub store_id: StoreId,
    /// The first sequence that it holds: 0 for a whole store.
    pub first_sequence: Sequence,
    /// The sequence behind the last.
    pub end_sequence: Sequence,
    /// How many segments it has.
    pub segment_count: u64,
    /// Bytes of the backup from its first to its last.
    pub stream_len: u64,
    /// The newest event before `first_sequence`, which a store must have that takes this in.
    pub border: Option<Border>,
}

/// The proof that a backup continues a store: an event that both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// Its place in the store.
    pub sequence: Sequence,
    /// Its hash.
    pub event_hash: Hash,
}

impl BackupHeader {
    pub(crate) fn encode(&self) -> [u8; BEGIN_LEN] {
        let mut out = [0; BEGIN_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&BACKUP_VERSION.to_le_bytes());
        out[16..32].copy_from_slice(self.store_id.as_bytes());
        let border_sequence = self.border.map_or(0, |border| border.sequence.get());
        let numbers = [
            self.first_sequence.get(),
            self.end_sequence.get(),
            self.segment_count,
            self.stream_len,
            border_sequence,
        ];
        for (place, number) in out[32..72].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let hash = self.border.map_or(Hash::ZERO, |border| border.event_hash);
        out[72..].copy_from_slice(hash.as_bytes());
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, BeginFault> {
        if body.get(..8) != Some(&MAGIC) {
            let found = body.get(..8).unwrap_or(body).escape_ascii().to_string();
            return Err(BeginFault::Fault(Fault::new(0, "the magic ANNALBAK", found)));
        }
        let version = read_u16(body, 8).unwrap_or_default();
        if version > BACKUP_VERSION {
            return Err(BeginFault::Newer { found: version });
        }
        let fields = || -> Option<Self> {
            let first_sequence = Sequence::new(read_u64(body, 32)?);
            let border = Border {
                sequence: Sequence::new(read_u64(body, 64)?),
                event_hash: Hash::from_bytes(read_array(body, 72)?),
            };
            Some(BackupHeader {
                store_id: StoreId::from_bytes(read_array(body, 16)?),
                first_sequence,
                end_sequence: Sequence::new(read_u64(body, 40)?),
                segment_count: read_u64(body, 48)?,
                stream_len: read_u64(body, 56)?,
                border: (first_sequence > Sequence::ZERO).then_some(border),
            })
        };
        let header = fields().filter(|header| {
            header.encode() == body
                && header.first_sequence <= header.end_sequence
                && header.border.is_none_or(|border| border.sequence < header.first_sequence)
        });
        header.ok_or_else(|| {
            BeginFault::Fault(Fault::new(8, "valid fields of a backup's beginning", "others"))
        })
    }
}

/// Why a section is no beginning of a backup that this library reads.
#[derive(Debug)]
pub(crate) enum BeginFault {
    Fault(Fault),
    Newer { found: u16 },
}

/// A segment of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSegment {
    /// Its number in the store that was backed up.
    pub number: u64,
    /// The first sequence that it stands for.
    pub base_sequence: Sequence,
    /// The sequence behind the last.
    pub end_sequence: Sequence,
    /// Bytes of it in the backup.
    pub byte_len: u64,
    /// Whether it was sealed.
    pub sealed: bool,
}

impl BackupSegment {
    pub(crate) fn new(
        number: u64,
        range: core::ops::Range<Sequence>,
        byte_len: u64,
        sealed: bool,
    ) -> Self {
        let core::ops::Range { start: base_sequence, end: end_sequence } = range;
        BackupSegment { number, base_sequence, end_sequence, byte_len, sealed }
    }

    pub(crate) fn encode(&self) -> [u8; SEGMENT_LEN] {
        let mut out = [0; SEGMENT_LEN];
        let numbers =
            [self.number, self.base_sequence.get(), self.end_sequence.get(), self.byte_len];
        for (place, number) in out[..32].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out[32] = u8::from(self.sealed);
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, Fault> {
        let fields = || -> Option<Self> {
            Some(BackupSegment {
                number: read_u64(body, 0)?,
                base_sequence: Sequence::new(read_u64(body, 8)?),
                end_sequence: Sequence::new(read_u64(body, 16)?),
                byte_len: read_u64(body, 24)?,
                sealed: read_u32(body, 32)? == 1,
            })
        };
        let segment = fields().filter(|segment| {
            segment.encode() == body
                && segment.number > 0
                && segment.byte_len >= SEGMENT_HEADER_LEN as u64
                && segment.base_sequence <= segment.end_sequence
        });
        segment.ok_or_else(|| Fault::new(0, "valid fields of a segment's beginning", "others"))
    }
}

/// The entries of a section of values.
pub(crate) fn values(body: &[u8]) -> Result<Vec<MetaEntry<'_>>, Fault> {
    let mut entries = Vec::new();
    let mut left = body;
    while !left.is_empty() {
        let entry = MetaEntry::parse(left).filter(|entry| entry.value.is_some());
        let Some(entry) = entry else {
            let at = (body.len() - left.len()) as u64;
            return Err(Fault::new(at, "a key and its value", "other bytes"));
        };
        left = &left[entry.encoded_len()..];
        entries.push(entry);
    }
    Ok(entries)
}

/// Bytes of a section with a body of so many.
pub(crate) const fn section_len(body_len: usize) -> usize {
    padded(SECTION_HEADER_LEN + body_len)
}

/// Begins a section at the end of `out`, which holds nothing else; the body is appended next.
pub(crate) fn begin_section(out: &mut Vec<u8>, number: u64, kind: SectionKind) {
    assert!(out.is_empty(), "one section at a time");
    out.resize(SECTION_HEADER_LEN, 0);
    out[12..20].copy_from_slice(&number.to_le_bytes());
    out[20..24].copy_from_slice(&kind.as_u32().to_le_bytes());
}

/// Fills in the section that is all of `out`.
pub(crate) fn finish_section(out: &mut Vec<u8>) {
    assert!(out.len() <= SECTION_HEADER_LEN + SECTION_BODY_LEN_MAX, "a section keeps its limit");
    finish_prefix(out, 0, SECTION_MARKER, 0);
}

/// A section that was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) kind: SectionKind,
    pub(crate) body: &'a [u8],
}

/// Puts sections together from a stream that comes in pieces of any length.
#[derive(Debug)]
pub(crate) struct SectionReader {
    /// The section that is being put together.
    bytes: Vec<u8>,
    /// What it holds, once it is whole and checked.
    ready: Option<SectionKind>,
    /// Where it starts in the stream.
    offset: u64,
    number: u64,
    hasher: blake3::Hasher,
}

impl SectionReader {
    pub(crate) fn new() -> Self {
        let hasher = blake3::Hasher::new();
        SectionReader { bytes: Vec::new(), ready: None, offset: 0, number: 0, hasher }
    }

    /// Takes bytes until a section is whole, and says how many. Faults count from the stream's
    /// start.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        while self.ready.is_none() {
            let needed = self.needed().map_err(|fault| fault.behind(self.offset))?;
            let missing = needed - self.bytes.len();
            let here = missing.min(bytes.len() - taken);
            self.bytes.extend_from_slice(&bytes[taken..taken + here]);
            taken += here;
            if here < missing {
                break;
            }
            if needed > SECTION_HEADER_LEN || self.needed().is_ok_and(|len| len == needed) {
                self.ready = Some(self.check().map_err(|fault| fault.behind(self.offset))?);
            }
        }
        Ok(taken)
    }

    /// The section, once it is whole.
    pub(crate) fn section(&self) -> Option<Section<'_>> {
        let end = FRAME_PREFIX_LEN + usize_of(read_u32(&self.bytes, 4)?);
        Some(Section { kind: self.ready?, body: self.bytes.get(SECTION_HEADER_LEN..end)? })
    }

    /// Goes on behind the section.
    pub(crate) fn advance(&mut self) {
        self.hasher.update(&self.bytes);
        self.offset += self.bytes.len() as u64;
        self.number += 1;
        self.bytes.clear();
        self.ready = None;
    }

    /// The hash of all sections before this one.
    pub(crate) fn hash(&self) -> Hash {
        Hash::from_bytes(*self.hasher.finalize().as_bytes())
    }

    /// Where the section starts in the stream, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The section's place in the stream, from 0.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where the bytes end that were taken.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    fn needed(&self) -> Result<usize, Fault> {
        if self.bytes.len() < SECTION_HEADER_LEN {
            return Ok(SECTION_HEADER_LEN);
        }
        let marker = read_u32(&self.bytes, 0).unwrap_or_default();
        if marker != SECTION_MARKER {
            let expected = format!("a section marker {SECTION_MARKER:08x}");
            return Err(Fault::new(0, expected, format!("{marker:08x}")));
        }
        let len = FRAME_PREFIX_LEN + usize_of(read_u32(&self.bytes, 4).unwrap_or_default());
        if !(SECTION_HEADER_LEN..=SECTION_HEADER_LEN + SECTION_BODY_LEN_MAX).contains(&len) {
            let found = format!("one of {len}");
            return Err(Fault::new(4, "a section of 24 bytes to 1 MiB", found));
        }
        Ok(padded(len))
    }

    fn check(&self) -> Result<SectionKind, Fault> {
        let bytes = &self.bytes;
        let end = FRAME_PREFIX_LEN + usize_of(read_u32(bytes, 4).unwrap_or_default());
        let stored = read_u32(bytes, 8).unwrap_or_default();
        let mut crc = Crc32::new();
        crc.update(&[0; 4]);
        crc.update(&bytes[4..8]);
        crc.update(&bytes[FRAME_PREFIX_LEN..end]);
        let computed = crc.finish();
        if stored != computed {
            let expected = format!("a section with crc32 {stored:08x}");
            return Err(Fault::new(8, expected, format!("{computed:08x}")));
        }
        let number = read_u64(bytes, 12).unwrap_or_default();
        if number != self.number {
            let expected = format!("section {}", self.number);
            return Err(Fault::new(12, expected, format!("section {number}")));
        }
        if let Some(at) = bytes[end..].iter().position(|byte| *byte != 0) {
            return Err(Fault::new((end + at) as u64, "zeros", "other bytes"));
        }
        let kind = read_u32(bytes, 20).unwrap_or_default();
        let known = SectionKind::ALL.into_iter().find(|known| known.as_u32() == kind);
        known.ok_or_else(|| Fault::new(20, "a kind of section from 1 to 5", format!("{kind}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn sections() -> Vec<u8> {
        let mut stream = Vec::new();
        for (number, (kind, body)) in [
            (SectionKind::Begin, &b"abc"[..]),
            (SectionKind::Data, b""),
            (SectionKind::End, b"12345678"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut section = Vec::new();
            begin_section(&mut section, number as u64, kind);
            section.extend_from_slice(body);
            finish_section(&mut section);
            assert_eq!(section.len(), section_len(body.len()));
            stream.extend(section);
        }
        stream
    }

    #[test]
    fn sections_come_back_however_the_stream_is_cut() {
        let stream = sections();
        for step in 1..stream.len() {
            let mut reader = SectionReader::new();
            let mut found = Vec::new();
            for mut piece in stream.chunks(step) {
                while !piece.is_empty() {
                    let taken = reader.take(piece).unwrap();
                    piece = &piece[taken..];
                    if let Some(section) = reader.section() {
                        found.push((section.kind, section.body.to_vec()));
                        reader.advance();
                    }
                }
            }
            assert_eq!(
                found,
                [
                    (SectionKind::Begin, b"abc".to_vec()),
                    (SectionKind::Data, vec![]),
                    (SectionKind::End, b"12345678".to_vec()),
                ],
                "step {step}"
            );
            assert_eq!(reader.hash().as_bytes(), blake3::hash(&stream).as_bytes());
        }
    }

    #[test]
    fn a_length_is_not_believed_before_it_is_checked() {
        let mut stream = sections();
        stream[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let fault = SectionReader::new().take(&stream).unwrap_err();
        assert_eq!((fault.offset, &*fault.expected), (4, "a section of 24 bytes to 1 MiB"));
    }
}
