//! Committed bytes that were read lately, so that reading them again costs no system call.
//!
//! What is kept is found by where it was read from, not by pages: events of one stream lie far
//! apart, and a page around each would hold little else. The second read from a place is kept, not
//! the first: who reads each event once does not pay for keeping it. A file has a *stamp*, which no
//! other ever has; whatever changes bytes that may be kept gives it another one, after the change.
//! So a read that ran beside the change is kept, if at all, under a stamp that nobody asks for any
//! more.

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use annals_core::FileId;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// Longer reads are not kept: what they cost is the copy, which a cache does not spare.
const READ_LEN_MAX: usize = 4 * 1024;

/// What an entry takes up besides its bytes.
const ENTRY_BYTES: u64 = 96;

/// What an event takes up, about, to size what the cache notes of those that it dropped.
const EVENT_BYTES: usize = 384;

/// What is allocated ahead is as for this many events at most: a limit may be as large as memory.
const EVENTS_AHEAD_MAX: usize = 1 << 18;

type Entries = Cache<Key, Arc<[u8]>, Weight>;

/// See the module. One for all files of a directory.
pub(super) struct KeptReads {
    bytes_max: usize,
    last_stamp: AtomicU64,
    hasher: DefaultHashBuilder,
    /// 16 bits of the hash of each of four reads that were done once, the newest last, at a place
    /// that other bits say. Made with the first read.
    once: OnceLock<Box<[AtomicU64]>>,
    /// Made with the first read that is kept.
    entries: OnceLock<Entries>,
}

/// What is known of one file's reads.
pub(super) struct KeptOfFile {
    stamp: AtomicU64,
    /// Nothing behind this offset is kept.
    end: AtomicU64,
}

/// Where a read was from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    file: u64,
    stamp: u64,
    offset: u64,
}

impl KeptReads {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            last_stamp: AtomicU64::new(0),
            hasher: DefaultHashBuilder::default(),
            once: OnceLock::new(),
            entries: OnceLock::new(),
        }
    }

    /// What a file begins with.
    pub(super) fn of_file(&self) -> KeptOfFile {
        KeptOfFile { stamp: AtomicU64::new(self.next_stamp()), end: AtomicU64::new(0) }
    }

    /// The key of a read; `None` where such reads are not kept. To be had before the bytes are
    /// read.
    pub(super) fn key(
        &self,
        file: FileId,
        of: &KeptOfFile,
        offset: u64,
        len: usize,
    ) -> Option<Key> {
        let kept = len <= READ_LEN_MAX && self.bytes_max > 0;
        let stamp = of.stamp.load(Ordering::SeqCst);
        kept.then_some(Key { file: file.number, stamp, offset })
    }

    /// Fills `buf` where its bytes are kept.
    pub(super) fn read(&self, key: &Key, buf: &mut [u8]) -> bool {
        let kept = self.entries.get().and_then(|entries| entries.get(key));
        let Some(bytes) = kept.as_deref().and_then(|kept| kept.get(..buf.len())) else {
            return false;
        };
        buf.copy_from_slice(bytes);
        true
    }

    /// Keeps what was read, unless it is the first time. The file was told before that read.
    pub(super) fn keep(&self, key: Key, bytes: &[u8]) {
        if !self.was_read_before(&key) {
            return;
        }
        let entries = self.entries.get_or_init(|| entries_of(self.bytes_max));
        entries.insert(key, bytes.into());
    }

    /// Notes that bytes of a file from `offset` on have changed.
    pub(super) fn note_change(&self, of: &KeptOfFile, offset: u64) {
        if offset < of.end.load(Ordering::SeqCst) {
            of.stamp.store(self.next_stamp(), Ordering::SeqCst);
        }
    }

    /// Drops all that is kept of a file.
    pub(super) fn forget(&self, file: FileId) {
        if let Some(entries) = self.entries.get() {
            entries.retain(|key, _| key.file != file.number);
        }
    }

    /// Roughly the bytes that are held.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.get().map_or(0, Cache::weight)
    }

    /// Whether a read was done before, and notes that it was done now. It forgets early where there
    /// are many more reads than can be kept.
    fn was_read_before(&self, key: &Key) -> bool {
        let once = self.once.get_or_init(|| {
            let places = (events_ahead(self.bytes_max) / 2).next_power_of_two();
            (0..places).map(|_| AtomicU64::new(0)).collect()
        });
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash & (once.len() as u64 - 1)).unwrap_or(0);
        let mark = (hash >> 48).max(1);
        let marks = once[place].load(Ordering::Relaxed);
        let known = (0..4).any(|lane| (marks >> (16 * lane)) & 0xFFFF == mark);
        if !known {
            // Of two threads at a time one may go unnoted: its read is kept a time later.
            once[place].store(marks << 16 | mark, Ordering::Relaxed);
        }
        known
    }

    fn next_stamp(&self) -> u64 {
        self.last_stamp.fetch_add(1, Ordering::Relaxed)
    }
}

impl KeptOfFile {
    /// Notes that a read may be kept, before it is done: a change behind that is noted too.
    pub(super) fn reach(&self, key: &Key, len: usize) {
        let end = key.offset.saturating_add(len as u64);
        if self.end.load(Ordering::SeqCst) < end {
            self.end.fetch_max(end, Ordering::SeqCst);
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<[u8]>> for Weight {
    fn weight(&self, _: &Key, bytes: &Arc<[u8]>) -> u64 {
        bytes.len() as u64 + ENTRY_BYTES
    }
}

/// Events that fit into so many bytes, about, to allocate for.
fn events_ahead(bytes_max: usize) -> usize {
    (bytes_max / EVENT_BYTES).clamp(1, EVENTS_AHEAD_MAX)
}

fn entries_of(bytes_max: usize) -> Entries {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(events_ahead(bytes_max))
        .weight_capacity(bytes_max as u64)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
}
