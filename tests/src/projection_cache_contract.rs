//! What every projection cache must do, and a cache that does it badly on purpose.
//!
//! The contract runs on any cache through the public API: on those of the core, on in-store
//! checkpoints, and on databases. [`FaultyCache`] wraps one and fails, forgets and lies.

use crate::fixture::{MemoryLog, append_payload, compact, open_small};
use annals_core::{
    CacheError, CheckpointCache, CodecError, CompactionStrategy, EventKind, EventRef, EventSourced,
    MemoryStorage, Payload, ProjectionCache, ProjectionKey, Projector, Reader, Region, SourceEvent,
};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// How long a cache remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Not at all.
    Nothing,
    /// As long as it is held.
    WhileOpen,
    /// After it was opened again, too.
    Durable,
}

/// Checks the contract on caches that `open` opens; each time the same one if it is durable. An
/// entry of up to `entry_bytes_max` bytes is kept.
///
/// # Panics
///
/// If the cache breaks it.
pub fn projection_cache_contract<C: ProjectionCache>(
    memory: Memory,
    entry_bytes_max: usize,
    open: impl Fn() -> C,
) {
    let cache = open();
    keys_are_apart(&cache, memory);
    an_entry_is_replaced_and_removed(&cache, memory);
    entries_of_any_bytes_come_back(&cache, memory, entry_bytes_max);
    drop(cache);
    what_is_durable_outlives_the_cache(memory, &open);
    faults_cost_time_never_correctness(&open);
}

macro_rules! projections {
    ($($type:ident $name:literal $version:literal,)*) => {$(
        #[derive(Default)]
        struct $type;

        impl EventSourced for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;

            fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
                Ok(())
            }
        }
    )*};
}

projections! {
    Total "total" 1,
    TotalV2 "total" 2,
    Tota "tota" 1,
    Empty "" 1,
}

/// Keys that differ in one part alone, or whose parts joined are the same.
fn keys() -> Vec<ProjectionKey> {
    let long = "e".repeat(1024);
    let mut keys = Vec::new();
    for entity in ["order:5", "order:50", "l", "lorder:5", "ördér", &long] {
        keys.push(ProjectionKey::entity::<Total>(entity));
        keys.push(ProjectionKey::entity::<TotalV2>(entity));
        keys.push(ProjectionKey::entity::<Tota>(entity));
        keys.push(ProjectionKey::entity::<Empty>(entity));
        keys.push(ProjectionKey::region::<Total>(&Region::stream(entity)));
        keys.push(ProjectionKey::region::<Total>(&Region::entity(entity)));
    }
    keys
}

fn check(memory: Memory, found: Option<Vec<u8>>, expected: &[u8], what: &str) {
    match found {
        Some(found) => assert_eq!(found, expected, "{what}"),
        None => assert_eq!(memory, Memory::Nothing, "{what} was forgotten"),
    }
}

fn keys_are_apart(cache: &impl ProjectionCache, memory: Memory) {
    let keys = keys();
    for key in &keys {
        assert_eq!(cache.get(key).expect("get"), None, "a new cache holds nothing");
    }
    for (at, key) in keys.iter().enumerate() {
        cache.put(key, format!("entry {at}").as_bytes()).expect("put");
    }
    for (at, key) in keys.iter().enumerate() {
        let expected = format!("entry {at}");
        check(memory, cache.get(key).expect("get"), expected.as_bytes(), "one of many keys");
    }
}

fn an_entry_is_replaced_and_removed(cache: &impl ProjectionCache, memory: Memory) {
    let (key, other) = (&keys()[0], &keys()[1]);
    cache.put(key, b"a longer entry than the next").expect("put");
    cache.put(key, b"new").expect("put");
    cache.put(other, b"other").expect("put");
    check(memory, cache.get(key).expect("get"), b"new", "the newest entry");
    cache.remove(key).expect("remove");
    cache.remove(key).expect("to remove what is gone is no error");
    assert_eq!(cache.get(key).expect("get"), None, "what was removed is gone");
    check(memory, cache.get(other).expect("get"), b"other", "the entry beside it");
}

fn entries_of_any_bytes_come_back(
    cache: &impl ProjectionCache,
    memory: Memory,
    entry_bytes_max: usize,
) {
    let key = &keys()[2];
    let all_bytes: Vec<u8> = (0..=255).collect();
    for entry in [&[][..], &[0], &all_bytes, &vec![7; entry_bytes_max]] {
        cache.put(key, entry).expect("put");
        check(memory, cache.get(key).expect("get"), entry, "the bytes");
    }
    let larger = vec![8; entry_bytes_max + 1];
    cache.put(key, &larger).expect("one that is too large is forgotten");
    let found = cache.get(key).expect("get");
    assert!(found.is_none_or(|found| found == larger), "the one before it is not served");
    cache.remove(key).expect("remove");
}

fn what_is_durable_outlives_the_cache<C: ProjectionCache>(memory: Memory, open: &impl Fn() -> C) {
    let (kept, removed) = (&keys()[3], &keys()[4]);
    let cache = open();
    cache.put(kept, b"kept").expect("put");
    cache.put(removed, b"removed").expect("put");
    cache.remove(removed).expect("remove");
    drop(cache);
    let cache = open();
    let found = cache.get(kept).expect("get");
    if memory == Memory::Durable {
        assert_eq!(found.as_deref(), Some(&b"kept"[..]), "it outlives the cache");
        assert_eq!(cache.get(removed).expect("get"), None, "and what was removed does not");
    }
}

const NOTED: EventKind = EventKind::new(1, 7);

/// Depends on the order of the events as well as on their number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Trail {
    hash: u64,
    events: u64,
    payload_bytes: u64,
}

impl EventSourced for Trail {
    const NAME: &'static str = "trail";

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.hash = self.hash.wrapping_mul(31).wrapping_add(event.sequence().get());
        self.events += 1;
        self.payload_bytes += event.payload().map_or(0, <[u8]>::len) as u64;
        Ok(())
    }
}

/// A log that grows, loses events and starts again, and a cache of it that fails, lies and starts
/// again too: every answer is that of a replay.
fn faults_cost_time_never_correctness<C: ProjectionCache>(open: &impl Fn() -> C) {
    for (seed, faults_percent) in [(1, 0), (2, 20), (3, 60)] {
        let storage = MemoryStorage::new();
        let mut log = open_small(&storage, seed);
        let mut cache = FaultyCache::new(open(), seed, faults_percent);
        for step in 0..300_u64 {
            let entity = format!("e:{}", cache.random(4));
            match cache.random(24) {
                0 => {
                    drop(log);
                    log = open_small(&storage, 1_000 * seed + step);
                }
                1 => {
                    let FaultyCache { inner, random, before, .. } = cache;
                    drop(inner);
                    cache = FaultyCache { inner: open(), random, faults_percent, before };
                }
                2 => lose_or_merge(&mut log, cache.random(3)),
                3..9 => assert_is_replay(&log.reader(), &cache, &entity),
                _ => {
                    append_payload(&mut log, &entity, "s", NOTED, Payload::raw("a few bytes"));
                }
            }
        }
        for entity in ["e:0", "e:1", "e:2", "e:3", "e:9"] {
            assert_is_replay(&log.reader(), &cache, entity);
        }
    }
}

fn lose_or_merge(log: &mut MemoryLog, which: usize) {
    let third = |event: &EventRef<'_>| event.sequence().get().is_multiple_of(3);
    compact(
        log,
        match which {
            0 => CompactionStrategy::Merge,
            1 => CompactionStrategy::Retention(Arc::new(move |event| !third(event))),
            _ => CompactionStrategy::Erase(Arc::new(third)),
        },
    );
}

fn assert_is_replay(reader: &Reader<MemoryStorage>, cache: &dyn ProjectionCache, entity: &str) {
    let found = Projector::new(reader).with_cache(cache, 0).project_cached::<Trail>(entity);
    let replayed = reader.project::<Trail>(entity).expect("a replay");
    assert_eq!(found.expect("a projection"), replayed, "{entity}");
}

/// A cache that now and then fails, forgets, damages what it gives, or gives what it had before
/// or what belongs to another key.
#[derive(Debug)]
pub struct FaultyCache<C> {
    inner: C,
    random: Cell<u64>,
    /// Of 100 calls, so many go wrong.
    faults_percent: u64,
    before: RefCell<Vec<Vec<u8>>>,
}

impl<C> FaultyCache<C> {
    /// Wraps a cache.
    #[must_use]
    pub fn new(inner: C, seed: u64, faults_percent: u64) -> Self {
        let random = Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        FaultyCache { inner, random, faults_percent, before: RefCell::default() }
    }

    fn random(&self, below: usize) -> usize {
        let mut word = self.random.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        self.random.set(word);
        usize::try_from((word >> 20) % below.max(1) as u64).expect("below a usize")
    }

    fn goes_wrong(&self) -> bool {
        (self.random(100) as u64) < self.faults_percent
    }
}

impl<C: ProjectionCache> ProjectionCache for FaultyCache<C> {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        let entry = self.inner.get(key)?;
        if !self.goes_wrong() {
            return Ok(entry);
        }
        let mut entry = entry.unwrap_or_default();
        let before = self.before.borrow();
        match self.random(6) {
            0 => return Err(CacheError::new("injected")),
            1 => return Ok(None),
            2 => entry.truncate(self.random(entry.len() + 1)),
            3 if !entry.is_empty() => {
                let at = self.random(entry.len());
                entry[at] ^= 1 << self.random(8);
            }
            4 => entry = (0..self.random(200)).map(|at| at.to_le_bytes()[0]).collect(),
            _ => entry = before.get(self.random(before.len())).cloned().unwrap_or_default(),
        }
        Ok(Some(entry))
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        self.before.borrow_mut().push(entry.to_vec());
        if self.goes_wrong() {
            return match self.random(2) {
                0 => Err(CacheError::new("injected")),
                _ => Ok(()),
            };
        }
        self.inner.put(key, entry)
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        if self.goes_wrong() { Ok(()) } else { self.inner.remove(key) }
    }

    fn as_checkpoints(&self) -> Option<&CheckpointCache> {
        self.inner.as_checkpoints()
    }
}
