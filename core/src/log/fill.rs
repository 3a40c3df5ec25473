//! Zeros ahead of the tail, so that a durable append syncs data only.
//!
//! An append into bytes that the file already has changes neither its length nor its blocks, and
//! a sync of data alone is enough for it. The zeros are written ahead of time, by a thread of the
//! host's, never in the path of an append. The two never write the same byte: the filler owns
//! what lies behind `filled_to`, the writer what lies before, and the writer moves that border
//! under the lock before it passes it.

use crate::log::config::{Durability, Host};
use crate::log::segments::ActiveSegment;
use crate::log::writer::Log;
use crate::storage::{Storage, StorageError, StorageFile};
use alloc::sync::Arc;
use alloc::vec;

/// Smaller segments are left alone: a small store should stay small.
const FROM_LEN: u64 = 64 * 1024;
const STEP_MIN: u64 = 256 * 1024;
const STEP_MAX: u64 = 4 * 1024 * 1024;

/// The border between the writer and the filler.
#[derive(Debug)]
pub(crate) struct Fill {
    /// Where the zeros end, in bytes of the file.
    filled_to: u64,
    /// Whether the segment may still be filled.
    open: bool,
}

impl Fill {
    pub(crate) fn new(len: u64) -> Self {
        Fill { filled_to: len, open: true }
    }
}

/// Zeros to be written ahead. To be run beside appends.
pub struct FillAhead<S: Storage> {
    active: Arc<ActiveSegment<S>>,
    step: u64,
    end_max: u64,
}

impl<S: Storage> core::fmt::Debug for FillAhead<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FillAhead").field("step", &self.step).finish_non_exhaustive()
    }
}

impl<S: Storage> FillAhead<S> {
    /// Writes and syncs the zeros. Does nothing where the segment was sealed meanwhile.
    ///
    /// # Errors
    ///
    /// The storage's. Where there is no space appends go on as without zeros; after a failed sync
    /// the next append finds the file unfit and says so.
    pub fn run(&self) -> Result<(), StorageError> {
        let mut fill = self.active.fill.lock();
        let end = (fill.filled_to + self.step).min(self.end_max);
        if !fill.open || end <= fill.filled_to {
            return Ok(());
        }
        let len = usize::try_from(end - fill.filled_to).unwrap_or(0);
        if let Err(error) = self.active.file.write_all_at(&vec![0; len], fill.filled_to) {
            fill.open = false;
            return Err(error);
        }
        if let Err(error) = self.active.file.sync_data() {
            fill.open = false;
            return Err(error);
        }
        fill.filled_to = end;
        Ok(())
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Zeros that are due to be written ahead of the tail, if any are.
    pub fn fill_ahead(&mut self) -> Option<FillAhead<S>> {
        let offset = self.tail.offset;
        let step = (offset / 2).clamp(STEP_MIN, STEP_MAX);
        let due = offset >= FROM_LEN && self.filled_to < offset + step / 2;
        if !due || self.config.durability != Durability::Durable {
            return None;
        }
        let active = Arc::clone(self.reader.view.active.as_ref()?);
        // Locked means that a filler is at work.
        let filled_to = active.fill.try_lock().filter(|fill| fill.open)?.filled_to;
        self.filled_to = filled_to;
        let end_max = self.config.segment_max_bytes;
        let due = filled_to < offset + step / 2 && filled_to < end_max;
        due.then_some(FillAhead { active, step, end_max })
    }

    /// Moves the border so that the filler stays behind `end`.
    pub(super) fn claim(&mut self, active: &ActiveSegment<S>, end: u64) {
        if end > self.filled_to {
            let mut fill = active.fill.lock();
            fill.filled_to = fill.filled_to.max(end);
            self.filled_to = fill.filled_to;
        }
    }

    /// Cuts the file at `len`, the filler kept out.
    pub(super) fn cut(&mut self, active: &ActiveSegment<S>, len: u64) -> Result<(), StorageError> {
        let mut fill = active.fill.lock();
        active.file.set_len(len)?;
        fill.filled_to = len;
        self.filled_to = len;
        Ok(())
    }

    /// Keeps the filler out from now on, or lets it in again.
    pub(super) fn allow_fill(active: &ActiveSegment<S>, open: bool) {
        active.fill.lock().open = open;
    }
}
