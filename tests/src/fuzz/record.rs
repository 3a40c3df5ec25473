//! One record of any bytes, in a segment that is right but for it.

use annals_core::format::frame::{FRAME_HEADER_LEN, FRAME_MARKER};
use annals_core::format::record::{RECORD_PREFIX_LEN, RecordState};
use annals_core::format::scan;
use annals_core::format::segment::SegmentHeader;
use annals_core::{FileId, MemoryStorage, ReadOnlyLog, Region};

use super::repair_segment;
use super::target::{Seen, put, typed};
use crate::golden::GOLDEN;

/// What of a record's prefix is computed: its CRC and its length.
const COMPUTED_LEN: usize = 8;

/// The records of the golden stores, without what is computed.
pub(super) fn records() -> Vec<Vec<u8>> {
    let files = GOLDEN.iter().flat_map(|golden| golden.files);
    let mut records = Vec::new();
    for (_, bytes) in files.filter(|(name, _)| name.ends_with(".seg")) {
        let header = SegmentHeader::decode(bytes).expect("a golden header");
        let (start, end) = (header.encoded_len() as u64, bytes.len() as u64);
        let Ok(_) = scan::frames(&mut &**bytes, start, end, header.salt, |_, frame| {
            for record in frame.records() {
                let (_, record) = record.expect("a golden record");
                let state: u8 = match record.state {
                    RecordState::Whole => 0,
                    RecordState::Erased => 1,
                    RecordState::Pruned => 2,
                };
                let header_len = u16::try_from(record.header.len()).expect("it was read");
                let prefix = [&header_len.to_le_bytes()[..], &[state]].concat();
                records.push([&prefix, record.header, record.content].concat());
            }
            Ok::<_, std::convert::Infallible>(())
        });
    }
    records
}

/// A segment whose only frame has that record, its checksums right.
fn segment(record: &[u8]) -> Vec<u8> {
    let (_, bytes) = GOLDEN[0].files[0];
    let mut header = SegmentHeader::decode(bytes).expect("a golden header");
    header.number = 1;
    let mut bytes = header.encode();
    let body_len = FRAME_HEADER_LEN - 12 + COMPUTED_LEN + record.len();
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend(FRAME_MARKER.to_le_bytes());
    bytes.extend(len(body_len));
    bytes.extend([0; 4]);
    bytes.extend(header.base_sequence.get().to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(len(record.len()));
    bytes.extend(record);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    repair_segment(&mut bytes);
    bytes
}

/// It is read or refused. What is read has one encoding: its hash, computed from its fields, is
/// that of the stored bytes.
pub(super) fn record(data: &[u8]) {
    if data.len() < RECORD_PREFIX_LEN - COMPUTED_LEN {
        return;
    }
    let storage = MemoryStorage::new();
    put(&storage, FileId::segment(1), &segment(data));
    let log = match ReadOnlyLog::open(storage, annals_core::LogConfig::default()) {
        Ok(log) => log,
        Err(error) => return typed(&error),
    };
    let mut query = log.reader().query(&Region::all());
    while let Ok(Some((event, stored))) =
        query.next_with(|event| (event.to_owned(), event.event_hash()))
    {
        assert_eq!(event.event_hash(), stored, "one encoding for each event");
        let decoded: Result<serde_json::Value, _> = event.payload.decode();
        drop(decoded);
    }
    Seen::by(&log.reader()).check_verified(&log.reader());
}
