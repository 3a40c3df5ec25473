//! The numbers of a header, as nearly all headers have them.
//!
//! Those are read from three words, without a look at each byte's place; all others, whether right
//! or wrong, are read one by one by [`Reader`](super::decode::Reader), which names what is wrong.

use super::decode::{HeaderError, Reader, unzigzag};
use crate::model::clock::Hlc;
use crate::model::flags::EventFlags;
use crate::model::kind::EventKind;
use crate::model::numbers::Version;
use crate::model::payload::PayloadFormat;

/// The numbers of a header, all of them checked.
///
/// Each field is a whole word: smaller ones would be written one by one and copied together soon
/// after, and a processor waits there until what was written last has left its queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    timestamp_us: i64,
    /// What the logical clock's wall is ahead of the timestamp.
    wall_delta_ms: i64,
    counter: u64,
    /// The lane above the depth.
    places: u64,
    version: u64,
    /// From the lowest: kind, flags, version and format of the payload, 16 bits each.
    small: u64,
}

impl Numbers {
    /// Reads the numbers off the front of the reader.
    #[inline(always)]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, HeaderError> {
        if let Some((numbers, len)) = Self::usual(reader.rest())
            && reader.skip(len)
        {
            return Ok(numbers);
        }
        // A reader whose place is known to no other function stays in registers.
        let (numbers, behind) = Self::any(reader.clone())?;
        *reader = behind;
        Ok(numbers)
    }

    /// A time of eight bytes and numbers that are small, so that two words hold all the others;
    /// and how many bytes they take up. `None` where they are otherwise.
    #[inline(always)]
    fn usual(bytes: &[u8]) -> Option<(Self, usize)> {
        let window = bytes.first_chunk::<24>()?;
        let time = word_at(window, 0)?;
        // A zero at the end is not the shortest form. What is left is far from the least time.
        if time & CONTINUES != CONTINUES >> 8 || time >> 56 == 0 || time & 1 == 1 {
            return None;
        }
        let mut word = Word { left: word_at(window, 8)?, used: 8 };
        let (delta, counter) = (word.short()?, word.short()?);
        let (depth, lane, version) = (word.short()?, word.short()?, word.medium()?);
        // Behind its end the word gave zeros; then there are not eight bytes from there on either.
        let mut word = Word { left: word_at(window, word.used)?, used: word.used };
        let (kind, flags) = (word.medium()?, word.short()?);
        let (format, payload_version) = (word.byte(), word.short()?);
        if kind > u64::from(u16::MAX) || PayloadFormat::from_u8(format).is_none() {
            return None;
        }
        let numbers = Self {
            timestamp_us: unzigzag(join_sevens(time & !CONTINUES)),
            wall_delta_ms: unzigzag(delta),
            counter,
            places: depth | lane << 32,
            version,
            small: kind | flags << 16 | payload_version << 32 | u64::from(format) << 48,
        };
        Some((numbers, word.used))
    }

    /// The numbers one by one, and the reader behind them.
    #[inline(never)]
    fn any(mut reader: Reader<'_>) -> Result<(Self, Reader<'_>), HeaderError> {
        let timestamp_us = unzigzag(reader.varint("timestamp_us")?);
        let wall_delta_ms = unzigzag(reader.varint("hlc_wall_delta")?);
        // A sum below zero or past i64 wraps to a number far beyond the greatest reading.
        if wall_ms(timestamp_us, wall_delta_ms) > Hlc::STORED_WALL_MS_MAX {
            return Err(reader.invalid("hlc_wall_delta"));
        }
        let counter = reader.varint_u32("hlc_counter")?.into();
        let (depth, lane) = (reader.varint_u32("depth")?, reader.varint_u32("lane")?);
        let version = reader.varint("version")?;
        let (kind, flags) = (reader.varint_u16("kind")?, reader.varint_u16("flags")?);
        let format = reader.payload_format()?;
        let payload_version = reader.varint_u16("payload_version")?;
        let numbers = Self {
            timestamp_us,
            wall_delta_ms,
            counter,
            places: u64::from(depth) | u64::from(lane) << 32,
            version,
            small: u64::from(kind)
                | u64::from(flags) << 16
                | u64::from(payload_version) << 32
                | u64::from(format.as_u8()) << 48,
        };
        Ok((numbers, reader))
    }

    pub(super) const fn timestamp_us(&self) -> i64 {
        self.timestamp_us
    }

    pub(super) const fn hlc(&self) -> Hlc {
        let wall_ms = wall_ms(self.timestamp_us, self.wall_delta_ms);
        Hlc { wall_ms, counter: low(self.counter) }
    }

    pub(super) const fn depth(&self) -> u32 {
        low(self.places)
    }

    pub(super) const fn lane(&self) -> u32 {
        low(self.places >> 32)
    }

    pub(super) const fn version(&self) -> Version {
        Version::new(self.version)
    }

    pub(super) const fn kind(&self) -> EventKind {
        EventKind::from_stored(self.small_at(0))
    }

    pub(super) const fn flags(&self) -> EventFlags {
        EventFlags::from_bits(self.small_at(1))
    }

    pub(super) const fn payload_version(&self) -> u16 {
        self.small_at(2)
    }

    pub(super) const fn payload_format(&self) -> PayloadFormat {
        let [number, _] = self.small_at(3).to_le_bytes();
        PayloadFormat::from_u8(number).expect("the format was checked when read")
    }

    const fn small_at(&self, at: u32) -> u16 {
        let [low, high, ..] = (self.small >> (16 * at)).to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

/// Bytes that were read at once, taken from the front.
struct Word {
    left: u64,
    /// Bytes taken, and those before the word.
    used: usize,
}

impl Word {
    #[inline(always)]
    fn byte(&mut self) -> u8 {
        let byte = self.left.to_le_bytes()[0];
        (self.left, self.used) = (self.left >> 8, self.used + 1);
        byte
    }

    /// An integer of one byte or two, in its shortest form.
    #[inline(always)]
    fn short(&mut self) -> Option<u64> {
        match self.byte() {
            byte @ 0..0x80 => Some(byte.into()),
            byte => match self.byte() {
                second @ 1..0x80 => Some(u64::from(byte & 0x7F) | u64::from(second) << 7),
                _ => None,
            },
        }
    }

    /// As [`short`](Self::short), of three bytes too.
    #[inline(always)]
    fn medium(&mut self) -> Option<u64> {
        match self.byte() {
            byte @ 0..0x80 => Some(byte.into()),
            byte => {
                let first = u64::from(byte & 0x7F);
                match self.byte() {
                    0 => None,
                    second @ 1..0x80 => Some(first | u64::from(second) << 7),
                    second => match self.byte() {
                        third @ 1..0x80 => {
                            Some(first | u64::from(second & 0x7F) << 7 | u64::from(third) << 14)
                        }
                        _ => None,
                    },
                }
            }
        }
    }
}

/// The high bits of eight bytes: another byte of the same integer follows.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

const fn wall_ms(timestamp_us: i64, delta_ms: i64) -> u64 {
    timestamp_us.div_euclid(1000).wrapping_add(delta_ms).cast_unsigned()
}

const fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Puts the low seven bits of eight bytes, whose high bits are zero, next to each other.
const fn join_sevens(word: u64) -> u64 {
    let word = (word & 0x007F_007F_007F_007F) | ((word & 0x7F00_7F00_7F00_7F00) >> 1);
    let word = (word & 0x0000_3FFF_0000_3FFF) | ((word & 0x3FFF_0000_3FFF_0000) >> 2);
    (word & 0x0000_0000_0FFF_FFFF) | ((word & 0x0FFF_FFFF_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// What [`Numbers::any`] gives, and the length.
    fn one_by_one(bytes: &[u8]) -> Option<(Numbers, usize)> {
        let (numbers, behind) = Numbers::any(Reader::new(bytes)).ok()?;
        Some((numbers, bytes.len() - behind.rest().len()))
    }

    fn shown(read: Option<(Numbers, usize)>) -> Option<String> {
        read.map(|(numbers, len)| alloc::format!("{numbers:?} {:?} {len}", numbers.hlc()))
    }

    /// Bytes that are mostly the end of an integer, or mostly not.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![4 => 0_u8..4, 2 => 0x80_u8..0x84, 1 => any::<u8>()]
    }

    /// A time of eight bytes, or nearly.
    fn time() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (proptest::collection::vec(0x80_u8.., 7), 1_u8..0x80)
                .prop_map(|(mut bytes, last)| { bytes.push(last); bytes }),
            1 => proptest::collection::vec(byte(), 8),
        ]
    }

    proptest! {
        #[test]
        fn usual_numbers_are_those_that_are_read_one_by_one(
            time in time(), rest in proptest::collection::vec(byte(), 0..40)
        ) {
            let bytes = [time, rest].concat();
            if let Some(usual) = Numbers::usual(&bytes) {
                prop_assert_eq!(shown(Some(usual)), shown(one_by_one(&bytes)));
            }
        }
    }

    #[test]
    fn the_numbers_of_a_typical_event_are_usual() {
        // 2023, the same millisecond, a counter and a version of two bytes, a kind of three.
        let mut bytes = [0x80, 0x92, 0xF0, 0xA0, 0xDC, 0xC4, 0x85, 0x06].to_vec();
        bytes.extend([0, 0x80, 7, 0, 0, 0x80, 1, 0x81, 0xC0, 3, 0, 3, 1]);
        bytes.extend(*b"\x07order:5\x04shop\0");
        let (numbers, len) = Numbers::usual(&bytes).unwrap();
        assert_eq!((len, numbers.version().get(), numbers.hlc().counter), (21, 128, 896));
        assert_eq!(numbers.kind(), EventKind::from_stored(0xE001));
        assert_eq!(shown(Some((numbers, len))), shown(one_by_one(&bytes)));
    }

    #[test]
    fn numbers_that_do_not_fit_the_words_are_read_one_by_one() {
        let time = [0x80, 0x92, 0xF0, 0xA0, 0xDC, 0xC4, 0x85, 0x06];
        // Nine bytes of counter and version: the first word ends within the version.
        let long = [0x81, 1, 0x80, 7, 0x81, 1, 0x81, 1, 0x80, 1, 1, 0, 3, 1, 1, b'e', 1, b's', 0];
        let bytes = [&time[..], &long[..]].concat();
        assert!(Numbers::usual(&bytes).is_none());
        let (numbers, len) = one_by_one(&bytes).unwrap();
        assert_eq!((len, numbers.version().get(), numbers.lane()), (22, 128, 129));
    }
}
