//! What every projection cache must do, and a cache that does it badly on purpose.
//!
//! The contract runs on any cache through the public API: on those of the core, on in-store
//! checkpoints, and on databases. [`FaultyCache`] wraps one and fails, forgets and lies.

use annals_core::{
    CacheError, CodecError, EventSourced, ProjectionCache, ProjectionKey, Region, SourceEvent,
};
use std::cell::{Cell, RefCell};

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

/// Checks the contract on caches that `open` opens; each time the same one if it is durable.
///
/// # Panics
///
/// If the cache breaks it.
pub fn projection_cache_contract<C: ProjectionCache>(memory: Memory, open: impl Fn() -> C) {
    let cache = open();
    keys_are_apart(&cache, memory);
    an_entry_is_replaced_and_removed(&cache, memory);
    entries_of_any_bytes_come_back(&cache, memory);
    drop(cache);
    what_is_durable_outlives_the_cache(memory, open);
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

fn entries_of_any_bytes_come_back(cache: &impl ProjectionCache, memory: Memory) {
    let key = &keys()[2];
    let all_bytes: Vec<u8> = (0..=255).collect();
    for entry in [&[][..], &[0], &all_bytes, &vec![7; 100_000]] {
        cache.put(key, entry).expect("put");
        check(memory, cache.get(key).expect("get"), entry, "the bytes");
    }
    cache.remove(key).expect("remove");
}

fn what_is_durable_outlives_the_cache<C: ProjectionCache>(memory: Memory, open: impl Fn() -> C) {
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
}
