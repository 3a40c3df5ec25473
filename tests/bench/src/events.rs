//! The events that all engines are given, each from its number alone, and the sum over what they
//! answer.
//!
//! An entity has a hundred events, in one of sixteen scopes; kinds are four. Payloads are text that
//! does not compress, since some engines compress and others do not.

use crate::engine::{Id, See};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_64;

pub const STREAM_EVENTS: usize = 100;
pub const SCOPES: usize = 16;
pub const KINDS: usize = 4;
const POOL_BYTES: usize = 1 << 20;

/// One to be appended.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub entity: &'a str,
    pub scope: &'a str,
    pub kind: u16,
    /// The version that it must get, from 0.
    pub version: u64,
    pub payload: &'a [u8],
}

/// One that an engine shows.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub entity: &'a str,
    pub scope: &'a str,
    pub kind: u16,
    pub version: u64,
    pub payload: &'a [u8],
}

/// The names and payloads of so many events.
#[derive(Debug)]
pub struct Events {
    pub count: usize,
    payload_len: usize,
    entities: Vec<String>,
    scopes: Vec<String>,
    pool: &'static [u8],
}

impl Events {
    /// `prefix` tells apart what several producers append.
    pub fn new(prefix: &str, count: usize, payload_len: usize) -> Self {
        let entities = (count / STREAM_EVENTS).max(1);
        Events {
            count,
            payload_len,
            entities: (0..entities).map(|at| format!("{prefix}:{at:08}")).collect(),
            scopes: (0..SCOPES).map(|at| format!("tenant-{at}")).collect(),
            pool: pool(),
        }
    }

    /// The event at a number; numbers behind the count go on.
    pub fn at(&self, number: usize) -> Event<'_> {
        // A prime apart, so that neighbours are of entities that are not.
        let entity = number.wrapping_mul(7_919) % self.entities.len();
        let version = number / self.entities.len();
        let start = mix(number as u64) as usize % (self.pool.len() - self.payload_len);
        Event {
            entity: &self.entities[entity],
            scope: &self.scopes[entity % SCOPES],
            kind: (version % KINDS) as u16 + 1,
            version: version as u64,
            payload: &self.pool[start..start + self.payload_len],
        }
    }

    pub fn range(&self, first: usize, count: usize) -> Vec<Event<'_>> {
        (first..first + count).map(|number| self.at(number)).collect()
    }

    /// So many entities, evenly chosen.
    pub fn sample(&self, count: usize) -> impl Iterator<Item = &str> {
        let step = (self.entities.len() / count).max(1);
        self.entities.iter().step_by(step).take(count).map(String::as_str)
    }

    pub fn scope(&self, at: usize) -> &str {
        &self.scopes[at]
    }
}

/// A sum over events in their order: equal sums, equal answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub events: u64,
    sum: u64,
}

impl Sum {
    /// Cheap, for what is timed: the lengths, and a byte of each payload.
    pub fn glance(&mut self, seen: &Seen<'_>) {
        let last = seen.payload.last().copied().unwrap_or(0);
        let value = u64::from(last) + (seen.payload.len() as u64) * 256 + seen.version;
        self.events += 1;
        self.sum = (self.sum.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Every byte, for what is not timed.
    pub fn whole(&mut self, seen: &Seen<'_>) {
        self.glance(seen);
        for part in [seen.entity.as_bytes(), seen.scope.as_bytes(), seen.payload] {
            self.sum = self.sum.rotate_left(9) ^ xxh3_64(part);
        }
        self.sum ^= u64::from(seen.kind) << 32;
    }

    pub fn value(&self) -> u64 {
        self.sum ^ self.events
    }
}

/// A time-ordered id, as cheap as can be: for engines that make none themselves.
pub fn next_id() -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&ms.to_be_bytes()[10..]);
    id[6..8].copy_from_slice(&((number >> 48) as u16 & 0x0fff | 0x7000).to_be_bytes());
    id[8..].copy_from_slice(&mix(number).to_be_bytes());
    id
}

fn pool() -> &'static [u8] {
    static POOL: OnceLock<Vec<u8>> = OnceLock::new();
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,";
    let letter = |at: usize| LETTERS[mix(at as u64) as usize % LETTERS.len()];
    POOL.get_or_init(|| (0..POOL_BYTES).map(letter).collect())
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An event that nothing else holds.
#[derive(Debug, Clone)]
pub struct Owned {
    entity: String,
    scope: String,
    kind: u16,
    version: u64,
    payload: Vec<u8>,
}

impl Seen<'_> {
    pub fn to_owned(self) -> Owned {
        Owned {
            entity: self.entity.into(),
            scope: self.scope.into(),
            kind: self.kind,
            version: self.version,
            payload: self.payload.into(),
        }
    }
}

impl Owned {
    pub fn show(&self, see: See<'_>) {
        see(&Seen {
            entity: &self.entity,
            scope: &self.scope,
            kind: self.kind,
            version: self.version,
            payload: &self.payload,
        });
    }
}
