//! The meta log: keys and values in small frames, the last value of a key wins.
//!
//! ```text
//! file      header | frame*                       {number:010}.meta; the newest whole one counts
//!
//! header                                          frame, at a multiple of 8
//!  0  magic           [8]  "ANNALMET"              0  marker       u32   0xA771_3E7A
//!  8  format_version  u16                          4  len          u32   of the body, unpadded
//! 10  zero            u16                          8  crc32        u32   frame salt, len, body
//! 12  header_len      u32  64                     12  synced_len   u64   see below
//! 16  store_id        [16]                        20  entry_count  u32   0: only vouches
//! 32  number          u64  as in its name         24  entries
//! 40  whole_len       u64  see below                  zeros to the next multiple of 8
//! 48  salt            u32  random
//! 52  salt_again      u32  the same               entry
//! 56  zero            u32                          0  key_len      u16   1 to 1,024
//! 60  crc32           u32  in every version        2  value_len    u32   0 to 65,536, or
//!                                                                        0xFFFF_FFFF: removed
//!                                                  6  key, value
//! ```
//!
//! The frame salt is the CRC-32 of salt, store id and number, so that a file whose header is
//! damaged still proves by its frames whose it is. `whole_len` is the length up to which the file
//! was written before it counted: a file that ends or is damaged before it was half-made, or lost
//! something. `synced_len` is how much of the file its writer knew to be on stable storage: 0 in
//! the frames before `whole_len`, more in every later one. As in segments, a frame behind the
//! first bad place that vouches for more than lies before it tells damage from a torn tail.

use super::frame::{Checked, FRAME_ALIGN, checked, finish_prefix, padded};
use super::scan::Source;
use super::segment::{HeaderFault, StoreId};
use super::{Crc32, FORMAT_VERSION, Fault, read_array, read_u16, read_u32, read_u64, usize_of};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::iter;

/// Bytes of the header.
pub const META_HEADER_LEN: usize = usize_of(HEADER_LEN);
/// The first four bytes of every frame.
pub const META_FRAME_MARKER: u32 = 0xA771_3E7A;
/// Bytes before a frame's first entry.
pub const META_FRAME_HEADER_LEN: usize = 24;
/// Bytes of an entry besides its key and value.
pub const META_ENTRY_HEADER_LEN: usize = 6;
/// The most bytes of a key; the least is one.
pub const META_KEY_LEN_MAX: usize = 1024;
/// The most bytes of a value.
pub const META_VALUE_LEN_MAX: usize = 65_536;
/// The most bytes of a frame, padding included.
pub const META_FRAME_LEN_MAX: usize = 1024 * 1024;

const HEADER_LEN: u32 = 64;
const MAGIC: [u8; 8] = *b"ANNALMET";
const HEADER_CRC_AT: usize = META_HEADER_LEN - 4;
const REMOVED: u32 = u32::MAX;
/// How many damaged places of one file are told apart.
const FAULTS_MAX: usize = 16;
/// How many bytes are looked through for a frame in one go; a multiple of the alignment.
const SEARCH_STEP: usize = 64 * 1024;

/// What opens a file of the meta log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaHeader {
    /// The store it belongs to.
    pub store_id: StoreId,
    /// Its own number, which is also its file's name.
    pub number: u64,
    /// The bytes that were on stable storage before the file counted, header included.
    pub whole_len: u64,
    /// What salts the CRCs of its frames, together with the store id and the number.
    pub salt: u32,
}

impl MetaHeader {
    /// Its bytes.
    pub fn encode(&self) -> [u8; META_HEADER_LEN] {
        let mut out = [0; META_HEADER_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&HEADER_LEN.to_le_bytes());
        out[16..32].copy_from_slice(self.store_id.as_bytes());
        out[32..40].copy_from_slice(&self.number.to_le_bytes());
        out[40..48].copy_from_slice(&self.whole_len.to_le_bytes());
        out[48..52].copy_from_slice(&self.salt.to_le_bytes());
        out[52..56].copy_from_slice(&self.salt.to_le_bytes());
        let crc = Crc32::of(&out[..HEADER_CRC_AT]);
        out[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// Where it is damaged, cut off or of a newer format. A version is believed only where the
    /// CRC is right, so that a flipped bit can't pass for a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.get(..META_HEADER_LEN) else {
            let found = format!("{} bytes", bytes.len());
            return Err(Fault::new(0, "a meta header of 64 bytes", found).into());
        };
        if bytes[..8] != MAGIC {
            let found = bytes[..8].escape_ascii().to_string();
            return Err(Fault::new(0, "the magic ANNALMET", found).into());
        }
        let stored = read_u32(bytes, HEADER_CRC_AT).unwrap_or_default();
        let computed = Crc32::of(&bytes[..HEADER_CRC_AT]);
        if stored != computed {
            let expected = format!("a meta header with crc32 {stored:08x}");
            let found = format!("{computed:08x}");
            return Err(Fault::new(HEADER_CRC_AT as u64, expected, found).into());
        }
        let version = read_u16(bytes, 8).unwrap_or_default();
        if version > FORMAT_VERSION {
            return Err(HeaderFault::NewerFormat { found: version });
        }
        let header = MetaHeader::fields(bytes).filter(|header| {
            let (len, zero) = (read_u32(bytes, 12), read_u32(bytes, 56));
            version != 0
                && len == Some(HEADER_LEN)
                && read_u32(bytes, 52) == Some(header.salt)
                && (read_u16(bytes, 10), zero) == (Some(0), Some(0))
                && header.whole_len >= META_HEADER_LEN as u64
        });
        header.ok_or_else(|| Fault::new(8, "valid fields of a meta header", "others").into())
    }

    /// What a damaged header may have been: for each of these the caller tries whether the frames
    /// are right. None where there are too few bytes.
    pub(crate) fn guesses(
        bytes: &[u8],
        store_id: Option<StoreId>,
        number: u64,
    ) -> impl Iterator<Item = Self> {
        let found = MetaHeader::fields(bytes).map(|found| {
            let store_id = store_id.unwrap_or(found.store_id);
            // Nobody knows how long the file was when it first counted.
            MetaHeader { store_id, number, whole_len: META_HEADER_LEN as u64, ..found }
        });
        let again =
            read_u32(bytes, 52).zip(found).map(|(salt, found)| MetaHeader { salt, ..found });
        found.into_iter().chain(again)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        Some(MetaHeader {
            store_id: StoreId::from_bytes(read_array(bytes, 16)?),
            number: read_u64(bytes, 32)?,
            whole_len: read_u64(bytes, 40)?,
            salt: read_u32(bytes, 48)?,
        })
    }

    /// What the CRCs of the file's frames are salted with.
    pub(crate) fn frame_salt(&self) -> u32 {
        let mut crc = Crc32::new();
        crc.update(&self.salt.to_le_bytes());
        crc.update(self.store_id.as_bytes());
        crc.update(&self.number.to_le_bytes());
        crc.finish()
    }
}

/// A key and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaEntry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its new value; `None` where the key was removed.
    pub value: Option<&'a [u8]>,
}

impl<'a> MetaEntry<'a> {
    /// The bytes that it takes up in a frame.
    pub fn encoded_len(&self) -> usize {
        META_ENTRY_HEADER_LEN + self.key.len() + self.value.map_or(0, <[u8]>::len)
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let key_len = usize::from(read_u16(bytes, 0)?);
        let value_len = read_u32(bytes, 2)?;
        let key = bytes.get(META_ENTRY_HEADER_LEN..)?.get(..key_len)?;
        let value = match value_len {
            REMOVED => None,
            len => Some(bytes.get(META_ENTRY_HEADER_LEN + key_len..)?.get(..usize_of(len))?),
        };
        let fits = (1..=META_KEY_LEN_MAX).contains(&key_len)
            && value.is_none_or(|value| value.len() <= META_VALUE_LEN_MAX);
        fits.then_some(MetaEntry { key, value })
    }

    pub(crate) fn push_to(&self, out: &mut Vec<u8>) {
        let key_len = u16::try_from(self.key.len()).expect("keys are limited");
        let value_len = self
            .value
            .map_or(REMOVED, |value| u32::try_from(value.len()).expect("values are limited"));
        out.extend_from_slice(&key_len.to_le_bytes());
        out.extend_from_slice(&value_len.to_le_bytes());
        out.extend_from_slice(self.key);
        out.extend_from_slice(self.value.unwrap_or_default());
    }
}

/// Bytes of a frame whose entries take up `entries_len`.
pub(crate) const fn frame_len(entries_len: usize) -> usize {
    padded(META_FRAME_HEADER_LEN.saturating_add(entries_len))
}

/// Appends one frame to `out`, which must be aligned. The entries must be within the limits.
pub(crate) fn push_frame<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = MetaEntry<'a>>,
    synced_len: u64,
    frame_salt: u32,
) {
    assert!(out.len().is_multiple_of(FRAME_ALIGN), "frames start at multiples of 8");
    let start = out.len();
    out.extend_from_slice(&[0; META_FRAME_HEADER_LEN]);
    let mut entry_count = 0_u32;
    for entry in entries {
        entry.push_to(out);
        entry_count += 1;
    }
    out[start + 12..start + 20].copy_from_slice(&synced_len.to_le_bytes());
    out[start + 20..start + 24].copy_from_slice(&entry_count.to_le_bytes());
    finish_prefix(out, start, META_FRAME_MARKER, frame_salt);
    assert!(out.len() - start <= META_FRAME_LEN_MAX, "a frame keeps its limit");
}

/// A frame whose CRC and entries were checked, borrowed from the bytes that hold it.
#[derive(Debug, Clone, Copy)]
pub struct MetaFrameRef<'a> {
    /// How many bytes of the file its writer knew to be on stable storage.
    pub synced_len: u64,
    /// How many entries it has.
    pub entry_count: u32,
    /// All bytes of the frame, padding included.
    pub len: usize,
    entries: &'a [u8],
}

impl<'a> MetaFrameRef<'a> {
    /// The entries in order.
    pub fn entries(&self) -> impl Iterator<Item = MetaEntry<'a>> + use<'a> {
        let mut left = self.entries;
        iter::from_fn(move || {
            let entry = MetaEntry::parse(left)?;
            left = &left[entry.encoded_len()..];
            Some(entry)
        })
    }

    fn of(frame: &'a [u8]) -> Result<Self, Fault> {
        let this = MetaFrameRef {
            synced_len: read_u64(frame, 12).unwrap_or_default(),
            entry_count: read_u32(frame, 20).unwrap_or_default(),
            len: padded(frame.len()),
            entries: &frame[META_FRAME_HEADER_LEN..],
        };
        let (mut count, mut len) = (0_usize, 0);
        for entry in this.entries() {
            count += 1;
            len += entry.encoded_len();
        }
        if len == this.entries.len() && count == usize_of(this.entry_count) {
            return Ok(this);
        }
        let expected = format!("{} entries", this.entry_count);
        let at = (META_FRAME_HEADER_LEN + len) as u64;
        Err(Fault::new(at, expected, format!("{count}, and other bytes")))
    }
}

/// What a walk over a file of the meta log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaScan {
    /// Where the last valid frame ends that counts, in bytes.
    pub end: u64,
    /// The most bytes that a frame vouches for; 0 where none was written behind `whole_len`.
    pub vouched_len: u64,
    /// Whether the last frame has no entries and vouches for all before it.
    pub vouched: bool,
    /// Bytes behind `end` up to the last one that is not zero.
    pub torn_len: u64,
    /// How many frames count.
    pub frames: u64,
    /// Damaged places, by offset: what stood there is lost.
    pub faults: Vec<Fault>,
}

/// Shows `visit` every frame that counts: all up to the torn tail, those behind damage too.
///
/// # Errors
///
/// The source's.
pub fn scan<S: Source>(
    source: &mut S,
    header: &MetaHeader,
    mut visit: impl FnMut(&MetaFrameRef<'_>),
) -> Result<MetaScan, S::Error> {
    let salt = header.frame_salt();
    let mut found = MetaScan {
        end: META_HEADER_LEN as u64,
        vouched_len: 0,
        vouched: false,
        torn_len: 0,
        frames: 0,
        faults: Vec::new(),
    };
    let mut promised_len = None;
    let mut offset = found.end;
    loop {
        let fault = frame_at(source, offset, salt, |frame| match frame {
            Ok(frame) => {
                visit(&frame);
                found.vouched = frame.entry_count == 0 && frame.synced_len == offset;
                found.vouched_len = found.vouched_len.max(frame.synced_len);
                found.end = offset.saturating_add(frame.len as u64);
                found.frames += 1;
                None
            }
            Err(fault) => Some(fault),
        })?;
        let Some(fault) = fault else {
            offset = found.end;
            continue;
        };
        let promised_len = match promised_len {
            Some(len) => len,
            None => {
                let vouched_len = vouched_behind(source, offset, salt)?;
                *promised_len.insert(header.whole_len.max(vouched_len))
            }
        };
        if offset >= promised_len {
            break;
        }
        if found.faults.len() < FAULTS_MAX {
            found.faults.push(fault.behind(offset));
        }
        found.vouched = false;
        match next_frame(source, offset, salt)? {
            Some(next) => offset = next,
            None => return Ok(found),
        }
    }
    found.torn_len = torn_len(source, found.end)?;
    Ok(found)
}

/// Runs `take` on the frame at `offset`, or on why there is none.
fn frame_at<S: Source, T>(
    source: &mut S,
    offset: u64,
    salt: u32,
    take: impl FnOnce(Result<MetaFrameRef<'_>, Fault>) -> T,
) -> Result<T, S::Error> {
    let remaining = source.len().saturating_sub(offset).min(META_FRAME_LEN_MAX as u64);
    if remaining == 0 {
        // Also behind the end, where the file ends within the last frame's padding.
        return Ok(take(Err(Fault::new(0, "a frame", "the end of the file"))));
    }
    let mut needed = META_FRAME_HEADER_LEN;
    loop {
        let bytes = source.bytes_at(offset, needed)?;
        let found = match checked(bytes, remaining, META_FRAME_MARKER, META_FRAME_HEADER_LEN, salt)
        {
            Checked::Incomplete { needed: more } if more > bytes.len() && more > needed => {
                needed = more;
                continue;
            }
            Checked::Incomplete { .. } => {
                Err(Fault::new(0, "a whole frame", "the end of the file"))
            }
            Checked::Whole(frame) => MetaFrameRef::of(frame),
            Checked::Invalid(fault) => Err(fault),
        };
        return Ok(take(found));
    }
}

/// Where the first valid frame behind `offset` starts.
fn next_frame<S: Source>(source: &mut S, offset: u64, salt: u32) -> Result<Option<u64>, S::Error> {
    let marker = META_FRAME_MARKER.to_le_bytes();
    let align = FRAME_ALIGN as u64;
    let mut at = offset.saturating_add(1).next_multiple_of(align);
    while at < source.len() {
        let bytes = source.bytes_at(at, SEARCH_STEP)?;
        let step = bytes.len().min(SEARCH_STEP) / FRAME_ALIGN;
        let mut chunks = bytes.chunks_exact(FRAME_ALIGN).take(step);
        let Some(hit) = chunks.position(|chunk| chunk.starts_with(&marker)) else {
            at += (step.max(1) * FRAME_ALIGN) as u64;
            continue;
        };
        at += (hit * FRAME_ALIGN) as u64;
        if frame_at(source, at, salt, |frame| frame.is_ok())? {
            return Ok(Some(at));
        }
        at += align;
    }
    Ok(None)
}

/// The most bytes that a valid frame behind `offset` vouches for.
fn vouched_behind<S: Source>(source: &mut S, offset: u64, salt: u32) -> Result<u64, S::Error> {
    let (mut offset, mut vouched_len) = (offset, 0);
    while let Some(at) = next_frame(source, offset, salt)? {
        let (synced_len, len) = frame_at(source, at, salt, |frame| {
            frame.map_or((0, FRAME_ALIGN), |frame| (frame.synced_len, frame.len))
        })?;
        vouched_len = vouched_len.max(synced_len);
        // One less, since the search begins behind the place that it is given.
        offset = at + len as u64 - 1;
    }
    Ok(vouched_len)
}

/// Bytes from `end` on, up to the last one that is not zero.
pub(crate) fn torn_len<S: Source>(source: &mut S, end: u64) -> Result<u64, S::Error> {
    let (mut offset, mut torn_len) = (end, 0);
    while offset < source.len() {
        let bytes = source.bytes_at(offset, SEARCH_STEP)?;
        let bytes = &bytes[..bytes.len().min(SEARCH_STEP)];
        if bytes.is_empty() {
            break;
        }
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            torn_len = offset - end + last as u64 + 1;
        }
        offset += bytes.len() as u64;
    }
    Ok(torn_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    const HEADER: MetaHeader = MetaHeader {
        store_id: StoreId::from_bytes([7; 16]),
        number: 3,
        whole_len: META_HEADER_LEN as u64,
        salt: 0xDEAD_BEEF,
    };

    /// A file with one frame for each key, each of which vouches for those before.
    fn file(keys: &[&str]) -> Vec<u8> {
        let mut bytes = HEADER.encode().to_vec();
        for key in keys {
            let synced_len = bytes.len() as u64;
            let entry = MetaEntry { key: key.as_bytes(), value: Some(b"value") };
            push_frame(&mut bytes, [entry].into_iter(), synced_len, HEADER.frame_salt());
        }
        bytes
    }

    fn keys_of(bytes: &[u8]) -> (Vec<String>, MetaScan) {
        let mut keys = Vec::new();
        let scan = scan(&mut &*bytes, &HEADER, |frame| {
            keys.extend(frame.entries().map(|entry| {
                assert_eq!(entry.value, Some(&b"value"[..]));
                String::from_utf8(entry.key.to_vec()).unwrap()
            }));
        });
        (keys, scan.unwrap())
    }

    #[test]
    fn a_header_comes_back_and_no_flipped_bit_passes() {
        let bytes = HEADER.encode();
        assert_eq!(MetaHeader::decode(&bytes), Ok(HEADER));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes;
            bent[bit / 8] ^= 1 << (bit % 8);
            // Not even the version's, as its CRC is wrong then.
            let decoded = MetaHeader::decode(&bent);
            assert!(matches!(decoded, Err(HeaderFault::Fault(_))), "bit {bit}");
            let guesses: Vec<_> =
                MetaHeader::guesses(&bent, Some(HEADER.store_id), HEADER.number).collect();
            assert!(guesses.contains(&HEADER), "bit {bit}");
        }
        assert!(MetaHeader::decode(&bytes[..63]).is_err());
    }

    #[test]
    fn a_newer_version_is_told_from_damage_by_its_crc() {
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        let crc = Crc32::of(&bytes[..HEADER_CRC_AT]);
        bytes[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(MetaHeader::decode(&bytes), Err(HeaderFault::NewerFormat { found: 2 }));
    }

    #[test]
    fn the_bytes_of_a_frame_are_as_documented() {
        let mut bytes = Vec::new();
        let entries = [
            MetaEntry { key: b"k/a", value: Some(&[1, 0x10]) },
            MetaEntry { key: b"c/b", value: None },
        ];
        push_frame(&mut bytes, entries.into_iter(), 64, 5);
        assert_eq!(bytes.len(), 48);
        assert_eq!(bytes[..8], [0x7A, 0x3E, 0x71, 0xA7, 32, 0, 0, 0]);
        assert_eq!(bytes[12..24], [64, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[24..35], *b"\x03\0\x02\0\0\0k/a\x01\x10");
        assert_eq!(bytes[35..44], *b"\x03\0\xFF\xFF\xFF\xFFc/b");
        assert_eq!(bytes[44..], [0; 4]);
    }

    #[test]
    fn a_torn_tail_ends_the_file_and_damage_before_it_does_not() {
        let bytes = file(&["a", "b", "c", "d"]);
        let frame_len = frame_len(META_ENTRY_HEADER_LEN + 6);
        let (keys, whole) = keys_of(&bytes);
        assert_eq!(keys, ["a", "b", "c", "d"]);
        assert_eq!((whole.end, whole.torn_len, whole.faults), (bytes.len() as u64, 0, vec![]));
        for cut in bytes.len() - frame_len + 1..bytes.len() - 4 {
            let (keys, scan) = keys_of(&bytes[..cut]);
            assert_eq!((keys.len(), scan.faults.len()), (3, 0), "cut at {cut}");
            assert!(scan.torn_len > 0 && scan.end == (bytes.len() - frame_len) as u64);
        }
        // The frame of "b" is vouched for by those of "c" and "d".
        for at in META_HEADER_LEN + frame_len..META_HEADER_LEN + 2 * frame_len - 4 {
            let mut bent = bytes.clone();
            bent[at] ^= 0x10;
            let (keys, scan) = keys_of(&bent);
            assert_eq!(keys, ["a", "c", "d"], "byte {at}");
            assert_eq!(scan.faults.len(), 1);
            assert_eq!((scan.end, scan.torn_len), (bytes.len() as u64, 0));
        }
    }

    #[test]
    fn frames_of_another_file_or_store_do_not_pass() {
        let bytes = file(&["a"]);
        for other in [
            MetaHeader { number: 4, ..HEADER },
            MetaHeader { store_id: StoreId::from_bytes([8; 16]), ..HEADER },
            MetaHeader { salt: 1, ..HEADER },
        ] {
            let scan = scan(&mut &*bytes, &other, |_| panic!("not its frame")).unwrap();
            assert_eq!((scan.frames, scan.end), (0, META_HEADER_LEN as u64));
        }
    }

    #[test]
    fn a_file_cut_off_before_its_whole_length_is_at_fault() {
        let mut bytes = file(&["a", "b"]);
        let header = MetaHeader { whole_len: bytes.len() as u64, ..HEADER };
        let whole = scan(&mut &*bytes, &header, |_| {}).unwrap();
        assert_eq!(whole.faults, []);
        bytes.truncate(bytes.len() - 40);
        let cut = scan(&mut &*bytes, &header, |_| {}).unwrap();
        assert_eq!((cut.frames, cut.faults.len()), (1, 1));
        assert!(cut.faults[0].offset < header.whole_len);
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic() {
        let whole = file(&["a", "b"]);
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let [low, high, value, ..] = (state >> 24).to_le_bytes();
                let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
                bytes[at] = value;
            }
            keys_of(&bytes);
        }
    }
}
