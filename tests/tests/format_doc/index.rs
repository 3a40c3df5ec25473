//! The index block of a sealed segment, and what the segment's records say themselves.

use crate::fields::{Fields, crc32};
use crate::frame::{frame, hashed};

/// The columns of an index block, each as its elements.
pub(crate) fn columns(block: &[u8], salt: [u8; 4], events: usize) -> Vec<Vec<u64>> {
    let mut stream = Vec::new();
    for page in block.chunks(16_384) {
        let (payload, crc) = page.split_at(page.len() - 4);
        assert_eq!(Fields(crc).u32(), crc32(&[&salt, payload]));
        stream.extend_from_slice(payload);
    }
    let mut fields = Fields(&stream);
    assert_eq!(fields.take(8), b"ANNALIDX");
    assert_eq!((fields.len(), fields.len()), (events, 35));
    let mut columns = Vec::new();
    for _ in 0..35 {
        let offset = usize::try_from(fields.u64()).unwrap();
        let (min, count, width) = (fields.u64(), fields.len(), usize::from(fields.u8()));
        assert_eq!(fields.take(3), [0; 3]);
        let bytes = &stream[offset..offset + (count * width).div_ceil(8)];
        let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
        let element = |i: usize| (0..width).map(|b| bit(i * width + b) << b).sum::<u64>();
        columns.push((0..count).map(|i| min + element(i)).collect());
    }
    columns
}

pub(crate) fn lists<'a>(starts: &[u64], elements: &'a [u64]) -> Vec<&'a [u64]> {
    let at = |start: &u64| usize::try_from(*start).expect("a place");
    assert_eq!((starts[0], starts.last().map(at)), (0, Some(elements.len())));
    starts.windows(2).map(|pair| &elements[at(&pair[0])..at(&pair[1])]).collect()
}

pub(crate) fn text(bytes: &[u64]) -> String {
    bytes.iter().map(|byte| char::from(u8::try_from(*byte).expect("a byte"))).collect()
}

/// What an event says of itself, from its record.
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) id: [u8; 16],
    pub(crate) correlation: Option<[u8; 16]>,
    pub(crate) causation: Option<[u8; 16]>,
    pub(crate) time_us: i64,
    pub(crate) version: u64,
    pub(crate) kind: u64,
    pub(crate) entity: String,
    pub(crate) scope: String,
}

pub(crate) fn stored_events(file: &[u8], frames_end: usize) -> Vec<Stored> {
    let mut events = Vec::new();
    let mut at = 104;
    while at < frames_end {
        let frame = frame(file, at, [0x22; 4]);
        assert_eq!(frame.first_sequence, events.len() as u64);
        for record in &frame.records {
            let (_, _, mut header) = hashed(record);
            let id = header.array();
            let mut link = || (header.u8() == 1).then(|| header.array());
            let (correlation, causation) = (link(), link());
            let time_us = header.zigzag();
            let _hlc_and_place = (header.zigzag(), [(); 3].map(|()| header.varint()));
            let (version, kind) = (header.varint(), header.varint());
            let _flags_and_format = (header.varint(), header.u8(), header.varint());
            let (entity, scope) = (header.text().to_owned(), header.text().to_owned());
            let offset = record.offset as u64;
            events.push(Stored {
                offset,
                id,
                correlation,
                causation,
                time_us,
                version,
                kind,
                entity,
                scope,
            });
        }
        at = frame.end;
    }
    assert_eq!(at, frames_end);
    events
}

pub(crate) fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}

/// Where the frames of a sealed segment end.
pub(crate) fn frames_end_of(file: &[u8]) -> usize {
    usize::try_from(Fields(&file[file.len() - 240..]).u64()).unwrap()
}

pub(crate) fn may_hold(descriptor: &[u8], prints: &[u8], key: u64) -> bool {
    let mut fields = Fields(descriptor);
    let (seed, segment_len, mask, count_len) =
        (fields.u64(), fields.u32(), fields.u32(), fields.u32());
    assert_eq!((mask, fields.0.len()), (segment_len - 1, 0));
    let mut h = key.wrapping_add(seed);
    for multiplier in [0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53] {
        h ^= h >> 33;
        h = h.wrapping_mul(multiplier);
    }
    h ^= h >> 33;
    let low = |value: u64| u32::try_from(value & 0xFFFF_FFFF).expect("32 bits");
    let h0 = u32::try_from((u128::from(h) * u128::from(count_len)) >> 64).expect("32 bits");
    let h1 = (h0 + segment_len) ^ (low(h >> 18) & mask);
    let h2 = (h0 + 2 * segment_len) ^ (low(h) & mask);
    let print = |at: u32| prints[usize::try_from(at).expect("a place")];
    (h ^ h >> 32).to_le_bytes()[0] == print(h0) ^ print(h1) ^ print(h2)
}
