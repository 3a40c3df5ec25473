//! What a compaction writes: the header of an output, erased payloads, marks, heads of streams.

use std::ops::ControlFlow;
use std::sync::Arc;

use annals_core::format::index_block::Column;
use annals_core::{CompactionConfig, CompactionStrategy, Log, MemoryStorage, Sequence};

use crate::fields::{Fields, blake3, crc32};
use crate::fixture::{EVENTS, Regular, fill, open, segment};
use crate::frame::{frame, numbered, record_at};
use crate::index::{columns, distinct, frames_end_of, lists, stored_events, text};

#[test]
fn the_output_of_a_compaction_is_read_by_the_tables_of_the_page() {
    let is_gone = |entity: &str, sequence: u64| entity == "order:3" || sequence.is_multiple_of(5);
    let is_erased = |sequence: u64| sequence % 5 == 1;
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    let receipts = fill(&mut log);
    let original = segment(&storage, 1);
    compact(
        &mut log,
        CompactionStrategy::Retention(Arc::new(move |event| {
            !is_gone(event.header().entity(), event.sequence().get())
        })),
    );
    compact(
        &mut log,
        CompactionStrategy::Erase(Arc::new(move |event| is_erased(event.sequence().get()))),
    );
    let file = segment(&storage, 3);

    let mut header = Fields(&file[12..]);
    assert_eq!(header.len(), 112);
    assert_eq!(header.array(), [0x11; 16], "store id");
    assert_eq!((header.u64(), header.u64()), (3, 0), "number and base sequence");
    let _created_us = header.i64();
    let salt = header.array();
    assert_eq!((header.u32(), header.array()), (1, [0; 32]), "replaces one, the store's first");
    assert_eq!((header.u64(), header.u32()), (2, crc32(&[&file[..104]])));
    assert_eq!(header.u32(), 0, "padding");

    let [footer, of_original] = [&file, &original].map(|file| &file[file.len() - 256..]);
    let mut fields = Fields(&footer[16..]);
    let [frames_end, index_len] =
        [fields.u64(), fields.u64()].map(|at| usize::try_from(at).unwrap());
    assert_eq!((fields.u64(), fields.u64()), (0, EVENTS), "stands for all that it replaces");
    let event_count = fields.u64();
    assert_eq!(footer[152..184], of_original[152..184], "the chain hash of the last replaced");
    assert_eq!(Fields(&footer[184..]).u64(), 3 + 1, "the newest loss is its own");

    let whole = stored_events(&original, frames_end_of(&original));
    let left = |sequence: u64| {
        let event = &whole[usize::try_from(sequence).unwrap()];
        !is_gone(&event.entity, sequence)
    };
    let expected: Vec<u64> = (0..EVENTS).filter(|sequence| left(*sequence)).collect();
    assert_eq!(event_count, expected.len() as u64);

    let (mut found, mut runs, mut at) = (Vec::new(), Vec::new(), 112);
    while at < frames_end {
        let frame = frame(&file, at, salt);
        assert_eq!(frame.synced_len, 0);
        for (sequence, record) in numbered(&frame) {
            let Some(sequence) = sequence else {
                runs.push((found.len(), record.header, record.content));
                continue;
            };
            found.push(sequence);
            let place = usize::try_from(whole[usize::try_from(sequence).unwrap()].offset).unwrap();
            let was = record_at(&original, place);
            assert_eq!(record.header, was.header);
            if is_erased(sequence) {
                assert_eq!((record.state, record.content), (1, &blake3(&[was.content])[..]));
            } else {
                assert_eq!((record.state, record.content), (0, was.content));
            }
        }
        at = frame.end;
    }
    assert_eq!(found, expected);

    let mut gone = Vec::new();
    for (place, mark, content) in runs {
        let mut fields = Fields(mark);
        let entity = fields.text();
        let (first, last, last_sequence) = (fields.varint(), fields.varint(), fields.varint());
        assert!(fields.0.is_empty());
        let receipt = &receipts[usize::try_from(last_sequence).unwrap()];
        assert_eq!(receipt.version.get(), last);
        let of_stream = |version: u64| {
            (0_u64..)
                .zip(&whole)
                .find(|(_, event)| event.entity == entity && event.version == version)
        };
        let before = first.checked_sub(1).and_then(of_stream);
        let prev_hash = before.map_or([0; 32], |(sequence, _)| {
            *receipts[usize::try_from(sequence).unwrap()].event_hash.as_bytes()
        });
        assert_eq!(content, [&prev_hash[..], receipt.event_hash.as_bytes()].concat());
        let next = of_stream(last + 1).map(|(sequence, _)| sequence);
        assert_eq!(found.get(place).copied(), next, "a mark stands before the stream's next event");
        gone.extend((first..=last).map(|version| (entity.to_owned(), version)));
    }
    gone.sort_unstable();
    let dropped = (0..).zip(&whole).filter(|(sequence, _)| !left(*sequence));
    let dropped = distinct(dropped.map(|(_, event)| (event.entity.clone(), event.version)));
    assert_eq!(gone, dropped);

    let events = expected.len();
    let columns = columns(&file[frames_end..frames_end + index_len], salt, events);
    let column = |column: Column| &columns[column as usize];
    let heads = lists(column(Column::PrunedNameStarts), column(Column::PrunedNames));
    let newest_of = |entity: &str| {
        let last = whole.iter().rposition(|event| event.entity == entity).unwrap();
        last as u64
    };
    let entities = distinct(whole.iter().map(|event| event.entity.clone()));
    let headless = entities.into_iter().filter(|entity| !left(newest_of(entity)));
    assert_eq!(heads.into_iter().map(text).collect::<Vec<_>>(), headless.collect::<Vec<_>>());
    for (number, last) in column(Column::PrunedSequences).iter().enumerate() {
        let receipt = &receipts[usize::try_from(*last).unwrap()];
        assert_eq!(column(Column::PrunedVersions)[number], receipt.version.get());
        let hash = receipt.event_hash.as_bytes().map(u64::from);
        assert_eq!(column(Column::PrunedHashes)[number * 32..number * 32 + 32], hash);
    }
}

/// Compacts all that is sealed.
fn compact(log: &mut Log<MemoryStorage, Regular>, strategy: CompactionStrategy) {
    let config = CompactionConfig::new(strategy);
    let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
    let compacted = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
    log.finish_compaction(&compacted).unwrap();
}
