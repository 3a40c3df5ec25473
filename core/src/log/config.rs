//! What a log is told when it is opened, and what it needs of its host.

use crate::log::StoreError;
use crate::model::{LimitError, PAYLOAD_LEN_MAX};
use core::num::NonZeroU32;

/// What the core takes from the program that it runs in: time and randomness.
pub trait Host {
    /// Microseconds since 1970 by the wall clock. It may go back.
    fn now_us(&self) -> i64;
    /// Fills `buffer` with random bytes that nobody can guess.
    fn fill_random(&self, buffer: &mut [u8]);
}

impl<H: Host + ?Sized> Host for &H {
    fn now_us(&self) -> i64 {
        (**self).now_us()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        (**self).fill_random(buffer);
    }
}

/// When an append is put on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Before it is acknowledged: it survives a power cut.
    #[default]
    Durable,
    /// After every so many events: those before survive a power cut, all survive the end of the
    /// process.
    EveryN(NonZeroU32),
    /// When `sync` is called, a segment is full or the store closes.
    OnSync,
}

/// How a log is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogConfig {
    /// Bytes of frames after which a segment is sealed and the next begun.
    pub segment_max_bytes: u64,
    /// Bytes of memory for pages of sealed indexes, and, an eighth of it, for heads of streams in
    /// them. Filters are not in it: of each segment that was asked for an id or an entity, 9 bits
    /// for each of those.
    pub index_cache_bytes: usize,
    /// When an append is put on stable storage.
    pub durability: Durability,
    /// A segment of at least so many bytes is sealed when the log closes, so that opening it
    /// again reads its footer and not its events.
    pub seal_on_close_bytes: u64,
    /// A commit that is synced writes so many bytes of zeros behind it, once a quarter of that is
    /// written and where few are left: most syncs then change no metadata of the file. 0 for none.
    /// They are given back when the segment is sealed or the log closes.
    pub zeros_ahead_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_max_bytes: 64 * 1024 * 1024,
            index_cache_bytes: 64 * 1024 * 1024,
            durability: Durability::Durable,
            seal_on_close_bytes: 4 * 1024 * 1024,
            zeros_ahead_bytes: 0,
        }
    }
}

/// The least that `segment_max_bytes` may be.
pub(super) const SEGMENT_LEN_MIN: u64 = 4 * 1024;
/// The most that `segment_max_bytes` may be, so that offsets fit 32 bits.
pub(super) const SEGMENT_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// What a frame may take up besides its payloads.
const FRAME_OVERHEAD_MAX: u64 = 1024 * 1024;

impl LogConfig {
    /// Sets `segment_max_bytes`.
    #[must_use]
    pub fn with_segment_max_bytes(mut self, bytes: u64) -> Self {
        self.segment_max_bytes = bytes;
        self
    }

    /// Sets `index_cache_bytes`.
    #[must_use]
    pub fn with_index_cache_bytes(mut self, bytes: usize) -> Self {
        self.index_cache_bytes = bytes;
        self
    }

    /// Sets `durability`.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets `seal_on_close_bytes`.
    #[must_use]
    pub fn with_seal_on_close_bytes(mut self, bytes: u64) -> Self {
        self.seal_on_close_bytes = bytes;
        self
    }

    /// Sets `zeros_ahead_bytes`.
    #[must_use]
    pub fn with_zeros_ahead_bytes(mut self, bytes: u64) -> Self {
        self.zeros_ahead_bytes = bytes;
        self
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if (SEGMENT_LEN_MIN..=SEGMENT_LEN_MAX).contains(&self.segment_max_bytes) {
            return Ok(());
        }
        let limit_max = if self.segment_max_bytes < SEGMENT_LEN_MIN {
            SEGMENT_LEN_MIN
        } else {
            SEGMENT_LEN_MAX
        };
        let limit = "segment_max_bytes (4 KiB to 1 GiB)";
        Err(LimitError { limit, limit_max, actual: self.segment_max_bytes }.into())
    }

    /// The most bytes that one batch may take up in the file.
    pub(super) fn frame_len_max(&self) -> u64 {
        self.segment_max_bytes.max(PAYLOAD_LEN_MAX as u64 + FRAME_OVERHEAD_MAX)
    }
}
