//! A sealed segment: its footer, its index, its filter.

use std::ops::Range;

use annals_core::format::index_block::Column;
use annals_core::{AppendReceipt, MemoryStorage};

use crate::fields::{Fields, blake3, crc32};
use crate::fixture::{EVENTS, fill, open, segment};
use crate::index::{Stored, columns, distinct, lists, may_hold, stored_events, text};

#[test]
fn a_sealed_segment_is_read_by_the_tables_of_the_page() {
    let storage = MemoryStorage::new();
    let receipts = fill(&mut open(&storage));
    let file = segment(&storage, 1);
    let salt = Fields(&file[56..]).array();
    let Footer { frames_end, index } = assert_footer(&file, &receipts);
    let events = stored_events(&file, frames_end);
    assert_eq!(events.len() as u64, EVENTS);
    let columns = columns(&file[index], salt, events.len());
    let column = |column: Column| &columns[column as usize];
    let by_ordinal = |take: fn(&Stored) -> u64| events.iter().map(take).collect::<Vec<_>>();

    assert_eq!(*column(Column::Offsets), by_ordinal(|event| event.offset));
    assert_eq!((column(Column::RunOrdinals), column(Column::RunSequences)), (&vec![0], &vec![0]));
    let times = by_ordinal(|event| event.time_us.cast_unsigned() ^ 1 << 63);
    assert_eq!(*column(Column::Times), times);
    assert_eq!(*column(Column::Versions), by_ordinal(|event| event.version));

    let kinds = distinct(events.iter().map(|event| event.kind));
    assert_eq!(*column(Column::Kinds), kinds);
    let kind_lists = lists(column(Column::KindPostingStarts), column(Column::KindPostings));
    for (kind, list) in kinds.iter().zip(kind_lists) {
        assert_eq!(list, ordinals(&events, |event| event.kind == *kind));
    }
    let named: Vec<u64> =
        column(Column::KindIndexes).iter().map(|at| kinds[usize::try_from(*at).unwrap()]).collect();
    assert_eq!(named, by_ordinal(|event| event.kind));

    let names = |starts, names| -> Vec<String> {
        lists(column(starts), column(names)).into_iter().map(text).collect()
    };
    let entities = names(Column::EntityNameStarts, Column::EntityNames);
    assert_eq!(entities, distinct(events.iter().map(|event| event.entity.clone())));
    let entity_lists = lists(column(Column::EntityPostingStarts), column(Column::EntityPostings));
    for (entity, list) in entities.iter().zip(entity_lists) {
        assert_eq!(list, ordinals(&events, |event| event.entity == *entity));
    }
    let scopes = names(Column::ScopeNameStarts, Column::ScopeNames);
    assert_eq!(scopes, distinct(events.iter().map(|event| event.scope.clone())));
    let scope_lists = lists(column(Column::ScopePostingStarts), column(Column::ScopePostings));
    for (scope, list) in scopes.iter().zip(scope_lists) {
        assert_eq!(list, ordinals(&events, |event| event.scope == *scope));
    }

    let coordinates: Vec<(String, String)> = column(Column::CoordinateEntities)
        .iter()
        .zip(column(Column::CoordinateScopes))
        .map(|(entity, scope)| {
            let [entity, scope] = [entity, scope].map(|at| usize::try_from(*at).unwrap());
            (entities[entity].clone(), scopes[scope].clone())
        })
        .collect();
    let addresses = events.iter().map(|event| (event.entity.clone(), event.scope.clone()));
    assert_eq!(coordinates, distinct(addresses.clone()));
    for (at, address) in column(Column::Coordinates).iter().zip(addresses) {
        assert_eq!(coordinates[usize::try_from(*at).unwrap()], address);
    }

    type Link = fn(&Stored) -> Option<[u8; 16]>;
    let links: [(Link, [Column; 3]); 2] = [
        (
            |event| event.correlation,
            [
                Column::CorrelationKeys,
                Column::CorrelationPostingStarts,
                Column::CorrelationPostings,
            ],
        ),
        (
            |event| event.causation,
            [Column::CausationKeys, Column::CausationPostingStarts, Column::CausationPostings],
        ),
    ];
    for (link, [keys, starts, postings]) in links {
        let found = distinct(events.iter().filter_map(link));
        let flat: Vec<u64> = found.iter().flatten().map(|byte| u64::from(*byte)).collect();
        assert_eq!(*column(keys), flat);
        for (key, list) in found.iter().zip(lists(column(starts), column(postings))) {
            assert_eq!(list, ordinals(&events, |event| link(event) == Some(*key)));
        }
    }

    let seed = Fields(&file[16..]).u64();
    let hash = |id: &[u8; 16]| xxhash_rust::xxh3::xxh3_64_with_seed(id, seed) >> 32;
    let buckets = EVENTS / 8;
    let bits = 64 - EVENTS.leading_zeros();
    let id_lists = lists(column(Column::IdBucketStarts), column(Column::IdEntries));
    assert_eq!(id_lists.len() as u64, buckets);
    assert!(id_lists.iter().all(|list| list.is_sorted()));
    for (ordinal, event) in (0_u64..).zip(&events) {
        let hash = hash(&event.id);
        let entry = (hash & 0xFFFF) << bits | ordinal;
        assert!(id_lists[usize::try_from((hash * buckets) >> 32).unwrap()].contains(&entry));
    }

    let bytes = |at| column(at).iter().map(|byte| u8::try_from(*byte).unwrap()).collect::<Vec<_>>();
    let (descriptor, prints) = (bytes(Column::FilterDescriptor), bytes(Column::FilterFingerprints));
    let name = |name: &String| xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed);
    let keys = events.iter().map(|event| hash(&event.id)).chain(entities.iter().map(name));
    assert!(keys.clone().all(|key| may_hold(&descriptor, &prints, key)));
    let strangers = (0..1000_u64).filter(|n| may_hold(&descriptor, &prints, n << 40)).count();
    assert!(strangers < 30, "{strangers} of 1000 keys that are not there");
}

/// What the page says about a footer.
struct Footer {
    frames_end: usize,
    index: Range<usize>,
}

fn assert_footer(file: &[u8], receipts: &[AppendReceipt]) -> Footer {
    let at = file.len() - 256;
    let mut fields = Fields(&file[at..]);
    assert_eq!(fields.take(8), b"ANNALEND");
    assert_eq!(fields.u64(), 1, "number");
    let frames_end = usize::try_from(fields.u64()).unwrap();
    let index_len = usize::try_from(fields.u64()).unwrap();
    assert_eq!(frames_end + index_len, at);
    assert_eq!((fields.u64(), fields.u64(), fields.u64()), (0, EVENTS, EVENTS));
    let times = || receipts.iter().map(|receipt| receipt.timestamp_us);
    assert_eq!((Some(fields.i64()), Some(fields.i64())), (times().min(), times().max()));
    let last = receipts.last().unwrap();
    assert_eq!((fields.u64(), fields.u32()), (last.hlc.wall_ms, last.hlc.counter));
    assert_eq!(fields.u32(), 0);
    let ids = || receipts.iter().map(|receipt| *receipt.id.as_bytes());
    assert_eq!((Some(fields.array()), Some(fields.array())), (ids().min(), ids().max()));
    let frames_hash: [u8; 32] = fields.array();
    assert_eq!(frames_hash, blake3(&[&file[104..frames_end]]));
    assert_eq!(fields.array(), blake3(&[&[0; 32], &frames_hash]), "chain hash");
    assert_eq!(fields.u64(), 0, "newest loss: no output of a compaction");
    assert!(fields.take(60).iter().all(|byte| *byte == 0));
    assert_eq!(fields.u32(), crc32(&[&file[at..at + 252]]));
    Footer { frames_end, index: frames_end..at }
}

/// The ordinals of the events that `holds` for.
fn ordinals(events: &[Stored], holds: impl Fn(&Stored) -> bool) -> Vec<u64> {
    (0..).zip(events).filter(|(_, event)| holds(event)).map(|(ordinal, _)| ordinal).collect()
}
