//! The bytes of a cached state, and the proof that they are good for a reader.
//!
//! ```text
//! format u8 | postcard(EntryHeader) | postcard(state) | XXH3 of key and all before [16]
//! ```
//!
//! An entry names the store, the last event before its position by hash, and the newest compaction
//! that dropped or erased any of what it was made from; a merge changes nothing. An append-only log
//! whose last event is the same has the same events before it, so an entry that passes is the state
//! that a replay would give.

use super::cache::{CacheFault, ProjectionKey};
use super::{CachedState, Projected, Source};
use crate::log::Reader;
use crate::model::{Hash, Sequence, Version};
use crate::storage::Storage;
use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

const FORMAT: u8 = 3;
/// The same but for its checksum, which was BLAKE3.
const FORMAT_BEFORE: u8 = 2;
const CHECKSUM_LEN: usize = 16;
/// What most entries fit in.
const ENTRY_LEN: usize = 256;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct EntryHeader {
    store_id: [u8; 16],
    next: Sequence,
    /// The hash of the event before `next`; none where there is none, or retention dropped it.
    anchor: Option<Hash>,
    /// The newest segment, by number, in whose making events before `next` were dropped or erased.
    newest_loss: u64,
    /// When the state was last known to be up to date.
    checked_us: i64,
    version: Option<Version>,
    sequence: Option<Sequence>,
}

/// A state out of a cache, and when it was last known to be up to date.
pub(super) struct Loaded<T> {
    pub(super) projected: Projected<T>,
    pub(super) checked_us: i64,
}

/// Encodes a state that was brought up to date with `reader` at `now_us`.
pub(super) fn encode<T: CachedState, S: Storage>(
    key: &ProjectionKey,
    reader: &Reader<S>,
    projected: &Projected<T>,
    now_us: i64,
) -> Result<Vec<u8>, CacheFault> {
    let Projected { state, version, sequence, next, .. } = projected;
    let header = EntryHeader {
        store_id: *reader.store_id().as_bytes(),
        next: *next,
        anchor: anchor(reader, *next)?,
        newest_loss: reader.newest_loss_before(*next),
        checked_us: now_us,
        version: *version,
        sequence: *sequence,
    };
    let encode = |bytes, value| postcard::to_extend(value, bytes);
    let mut bytes = Vec::with_capacity(ENTRY_LEN);
    bytes.push(FORMAT);
    let bytes = encode(bytes, &header)
        .and_then(|bytes| postcard::to_extend(state, bytes))
        .map_err(|error| CacheFault::NotEncoded { reason: error.to_string() });
    let mut bytes = bytes?;
    let checksum = checksum(key, &bytes);
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
}

/// The state in an entry, if it is one that `reader` would have come to.
pub(super) fn decode<T: CachedState, S: Storage>(
    key: &ProjectionKey,
    reader: &Reader<S>,
    source: Source,
    entry: &[u8],
) -> Result<Loaded<T>, CacheFault> {
    let (body, stored) = entry.split_last_chunk::<CHECKSUM_LEN>().ok_or(CacheFault::Damaged)?;
    let (format, rest) = body.split_first().ok_or(CacheFault::Damaged)?;
    if checksum(key, body) != *stored || *format != FORMAT {
        return Err(CacheFault::Damaged);
    }
    let header = postcard::take_from_bytes(rest);
    let (header, state): (EntryHeader, _) = header.map_err(|_| CacheFault::Damaged)?;
    check(&header, reader)?;
    let (state, rest) = postcard::take_from_bytes(state).map_err(|_| CacheFault::OtherState)?;
    if !rest.is_empty() {
        return Err(CacheFault::OtherState);
    }
    let EntryHeader { next, checked_us, version, sequence, .. } = header;
    let projected = Projected { state, version, sequence, source, next };
    Ok(Loaded { projected, checked_us })
}

/// Whether an entry was made from events that a log has dropped or erased since, or from those of
/// another store: such a one may hold what must be nowhere any more. Bytes that are no entry hold
/// nothing.
pub(super) fn is_lost<S: Storage>(entry: &[u8], reader: &Reader<S>) -> bool {
    let Some((&(FORMAT | FORMAT_BEFORE), header)) = entry.split_first() else { return false };
    let Ok((header, _)) = postcard::take_from_bytes::<EntryHeader>(header) else { return false };
    header.store_id != *reader.store_id().as_bytes()
        || header.newest_loss != reader.newest_loss_before(header.next)
}

fn check<S: Storage>(header: &EntryHeader, reader: &Reader<S>) -> Result<(), CacheFault> {
    if header.store_id != *reader.store_id().as_bytes() {
        Err(CacheFault::OtherStore)
    } else if header.next > reader.end() {
        Err(CacheFault::Ahead)
    } else if header.newest_loss != reader.newest_loss_before(header.next) {
        Err(CacheFault::Rewritten)
    } else if header.anchor != anchor(reader, header.next)? {
        Err(CacheFault::OtherHistory)
    } else {
        Ok(())
    }
}

/// The hash of the event before a sequence.
fn anchor<S: Storage>(reader: &Reader<S>, next: Sequence) -> Result<Option<Hash>, CacheFault> {
    let Some(last) = next.checked_prev() else { return Ok(None) };
    reader.known_event_hash(last).map_err(|_| CacheFault::OtherHistory)
}

/// It tells damage and mistaken keys, not forgery: who can write to a cache can make any entry.
fn checksum(key: &ProjectionKey, body: &[u8]) -> [u8; CHECKSUM_LEN] {
    xxh3_128_with_seed(body, xxh3_64_with_seed(key.as_bytes(), 0)).to_le_bytes()
}
