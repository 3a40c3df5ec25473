//! Frames and records, as the page's tables give them.

use crate::fields::{Fields, blake3, crc32};

pub(crate) struct Frame<'a> {
    pub(crate) offset: usize,
    pub(crate) end: usize,
    pub(crate) first_sequence: u64,
    pub(crate) synced_len: u64,
    pub(crate) records: Vec<Record<'a>>,
}

pub(crate) struct Record<'a> {
    pub(crate) offset: usize,
    pub(crate) state: u8,
    pub(crate) header: &'a [u8],
    pub(crate) content: &'a [u8],
}

pub(crate) fn frame(file: &[u8], offset: usize, salt: [u8; 4]) -> Frame<'_> {
    assert_eq!(offset % 8, 0);
    let mut fields = Fields(&file[offset..]);
    assert_eq!(fields.u32(), 0xA771_15F0);
    let len = fields.array();
    let crc = fields.u32();
    let end = offset + 12 + u32::from_le_bytes(len) as usize;
    assert_eq!(crc, crc32(&[&salt, &len, &file[offset + 12..end]]));
    let first_sequence = fields.u64();
    let synced_len = fields.u64();
    let record_count = fields.u32();
    let mut at = offset + 32;
    let mut records = Vec::new();
    for _ in 0..record_count {
        let mut fields = Fields(&file[at..end]);
        let crc = fields.u32();
        let len = fields.len();
        let header_len = usize::from(fields.u16());
        let state = fields.u8();
        let record_end = at + 8 + len;
        assert_eq!(crc, crc32(&[&salt, &file[at + 4..record_end]]));
        let (header, content) = file[at + 11..record_end].split_at(header_len);
        records.push(Record { offset: at, state, header, content });
        at = record_end;
    }
    assert_eq!(at, end, "the records fill the frame");
    let padded = end.next_multiple_of(8);
    assert!(file[end..padded].iter().all(|byte| *byte == 0));
    Frame { offset, end: padded, first_sequence, synced_len, records }
}

/// The hash of an event, and the header's fields behind the hash of the one before.
pub(crate) fn hashed<'a>(record: &Record<'a>) -> ([u8; 32], [u8; 32], Fields<'a>) {
    let content_hash = blake3(&[record.content]);
    let event_hash = blake3(&[b"annals.event.v1\0", record.header, &content_hash]);
    let mut fields = Fields(record.header);
    (event_hash, fields.array(), fields)
}

/// The records of a frame, each with its sequence; a mark has none.
pub(crate) fn numbered<'a, 'b>(
    frame: &'b Frame<'a>,
) -> impl Iterator<Item = (Option<u64>, &'b Record<'a>)> {
    let mut next = frame.first_sequence;
    frame.records.iter().map(move |record| {
        let sequence = (record.state != 2).then_some(next);
        next += u64::from(record.state != 2);
        (sequence, record)
    })
}

/// The record at an offset.
pub(crate) fn record_at(file: &[u8], offset: usize) -> Record<'_> {
    let mut fields = Fields(&file[offset + 4..]);
    let (len, header_len, state) = (fields.len(), usize::from(fields.u16()), fields.u8());
    let (header, content) = file[offset + 11..offset + 8 + len].split_at(header_len);
    Record { offset, state, header, content }
}
