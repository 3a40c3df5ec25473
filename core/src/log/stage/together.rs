//! Hashing events of a batch together, side by side, behind their encoding.
//!
//! Contents wait for nothing. An event waits for the one before it in its stream, whose hash it
//! names. So events are hashed in waves: those that wait for none, then those that wait for them.

use crate::format::record::{self, RECORD_PREFIX_LEN, RecordRef};
use crate::log::staged::{Group, StagedEvent};
use crate::model::Hash;
use crate::model::chain::{Parts, event_hash, event_parts, hash_each};
use alloc::vec::Vec;

/// Gives the group's events from `first` on their hashes, and their records what follows from them:
/// the hashes of the events before, and the CRCs.
pub(super) fn finish_records(group: &mut Group, first: usize, salt: u32) {
    let Group { bytes, events, .. } = group;
    let events = &mut events[first..];
    let content_hashes = content_hashes(bytes, events);
    let depths = depths(events, first);
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|at| depths[*at]);
    let mut hashes = Vec::new();
    for wave in order.chunk_by(|one, other| depths[*one] == depths[*other]) {
        for at in wave {
            let StagedEvent { waits_for, record_at, .. } = events[*at];
            let Some(before) = waits_for else { continue };
            let prev_hash = events[before - first].event_hash;
            let header_at = record_at + RECORD_PREFIX_LEN;
            bytes[header_at..header_at + 32].copy_from_slice(prev_hash.as_bytes());
        }
        if let [at] = wave {
            let header = record_of(bytes, &events[*at]).header;
            events[*at].event_hash = event_hash(header, &content_hashes[*at]);
            continue;
        }
        let input =
            |at: &usize| event_parts(record_of(bytes, &events[*at]).header, &content_hashes[*at]);
        let inputs: Vec<Parts<'_>> = wave.iter().map(input).collect();
        hash_each(&inputs, &mut hashes);
        for (at, hash) in wave.iter().zip(&hashes) {
            events[*at].event_hash = *hash;
        }
    }
    for event in events {
        let len = record_of(bytes, event).len;
        record::seal(&mut bytes[event.record_at..event.record_at + len], salt);
    }
}

fn content_hashes(bytes: &[u8], events: &[StagedEvent]) -> Vec<Hash> {
    let content = |event| [record_of(bytes, event).content, &[], &[]];
    let contents: Vec<Parts<'_>> = events.iter().map(content).collect();
    let mut hashes = Vec::new();
    hash_each(&contents, &mut hashes);
    hashes
}

/// How many events each waits for, one behind the other.
fn depths(events: &[StagedEvent], first: usize) -> Vec<usize> {
    let mut depths = Vec::with_capacity(events.len());
    for event in events {
        let depth = event.waits_for.map_or(0, |before: usize| depths[before - first] + 1);
        depths.push(depth);
    }
    depths
}

fn record_of<'a>(bytes: &'a [u8], event: &StagedEvent) -> RecordRef<'a> {
    RecordRef::parse(&bytes[event.record_at..]).expect("a record that was encoded just now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Append, Batch, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload, Region,
        StoreError, VerifyOptions, verify,
    };
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;
    use core::cell::Cell;
    use core::ops::ControlFlow;
    use hashbrown::HashMap;

    struct Counting(Cell<u64>);

    impl Host for Counting {
        fn now_us(&self) -> i64 {
            1_700_000_000_000_000
        }

        fn fill_random(&self, buffer: &mut [u8]) {
            for byte in buffer {
                self.0.set(self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                *byte = self.0.get().to_be_bytes()[0];
            }
        }
    }

    fn batch(events: usize, entities: usize) -> Batch {
        let event = |number: usize| {
            let coordinate = Coordinate::new(format!("order:{}", number * number % entities), "s");
            let payload = Payload::raw(vec![b'x'; number * 37 % 1_500]);
            Append::new(coordinate.expect("valid"), EventKind::new(1, 1), payload)
        };
        (0..events).map(event).fold(Batch::new(), Batch::push)
    }

    #[test]
    fn events_hashed_together_form_the_chains_that_single_appends_would() -> Result<(), StoreError>
    {
        for entities in [1, 2, 7, 1_000] {
            let host = Counting(Cell::new(1));
            let mut log = Log::open(MemoryStorage::new(), host, LogConfig::default())?;
            let mut receipts = Vec::new();
            for events in [1, 2, 3, 40, 255, 256, 257, 600] {
                receipts.extend(log.append_batch(&batch(events, entities))?);
            }
            let mut heads = HashMap::new();
            let reader = log.reader();
            for (event, receipt) in reader.query(&Region::all()).zip(&receipts) {
                let event = event?;
                // Hashed alone, from the event as a value.
                let hash = event.event_hash();
                assert_eq!(hash, receipt.event_hash, "{}", receipt.sequence);
                let before = heads.insert(event.coordinate.entity().to_string(), hash);
                assert_eq!(event.header.prev_hash, before.unwrap_or_default());
            }
            let proven = verify(&reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
            assert!(proven.is_whole(), "{:?}", proven.faults);
            assert_eq!(proven.events, receipts.len() as u64);
        }
        Ok(())
    }
}
