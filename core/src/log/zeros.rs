//! Zeros ahead of the tail, so that a durable append syncs data only.
//!
//! An append into bytes that the file already has changes neither its length nor its blocks, and a
//! sync of data alone is enough for it. The zeros share the sync of the commit that comes near
//! their end, so they cost one write once in a while. They serve only to make appends fast: where
//! there is no space for them, the file grows as it is written. Sealing and closing give them back.

use crate::log::config::Host;
use crate::log::segments::{ActiveSegment, View};
use crate::log::writer::Log;
use crate::storage::{Storage, StorageError, StorageFile};
use alloc::vec;

impl<S: Storage, H: Host> Log<S, H> {
    /// Writes zeros behind `end`, where what was written ends, if those that are there would not do
    /// for `len` bytes more. To be called before a sync.
    pub(super) fn write_zeros(&mut self, active: &ActiveSegment<S>, end: u64, len: u64) {
        let ahead = self.config.zeros_ahead_bytes;
        // A small segment stays small. And what a large group writes costs more than its metadata.
        if end < ahead / 4 || len >= ahead / 2 || end + len <= self.filled_to {
            return;
        }
        let from = end.max(self.filled_to);
        let to = (end + ahead).min(self.config.segment_max_bytes);
        let Ok(missing) = usize::try_from(to.saturating_sub(from)) else { return };
        if missing == 0 {
            return;
        }
        if active.file.write_all_at(&vec![0; missing], from).is_ok() {
            self.filled_to = to;
            return;
        }
        // There is no space, most likely: others may need what was taken. What this leaves behind
        // is zeros, and if the file is unfit altogether, the sync says so.
        let _ = active.file.set_len(end);
        self.filled_to = u64::MAX;
    }

    /// Cuts the file at `len`.
    pub(super) fn cut(&mut self, active: &ActiveSegment<S>, len: u64) -> Result<(), StorageError> {
        active.file.set_len(len)?;
        self.filled_to = len;
        Ok(())
    }
}

/// Where the file of the active segment ends. What recovery has left behind the tail is zeros, and
/// they serve the next writer too.
pub(super) fn filled_to<S: Storage>(view: &View<S>) -> u64 {
    view.active.as_ref().and_then(|active| active.file.len().ok()).unwrap_or(0)
}
