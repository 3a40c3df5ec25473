//! How a group gets into the log: written with one call, synced, published, answered.

use crate::format::frame;
use crate::log::StoreError;
use crate::log::config::{Durability, Host};
use crate::log::staged::{CommitInfo, Group, Staged};
use crate::log::writer::Log;
use crate::model::{Append, AppendCondition, AppendReceipt, Batch, Sequence};
use crate::storage::{Storage, StorageError, StorageFile};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

impl<S: Storage, H: Host> Log<S, H> {
    /// Appends one event.
    ///
    /// # Errors
    ///
    /// As [`stage`](Log::stage) and [`commit`](Log::commit).
    pub fn append(&mut self, append: &Append) -> Result<AppendReceipt, StoreError> {
        let receipts = self.append_items(core::slice::from_ref(append), None)?;
        Ok(receipts.into_iter().next().expect("one receipt for one event"))
    }

    /// Appends a batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// As [`stage`](Log::stage) and [`commit`](Log::commit).
    pub fn append_batch(&mut self, batch: &Batch) -> Result<Vec<AppendReceipt>, StoreError> {
        self.append_items(batch.items(), batch.condition())
    }

    fn append_items(
        &mut self,
        items: &[Append],
        condition: Option<&AppendCondition>,
    ) -> Result<Vec<AppendReceipt>, StoreError> {
        // What somebody else has staged goes its own way first.
        self.commit(|_, _| {})?;
        let staged = self.stage(items, condition)?;
        self.commit_staged(staged)
    }

    /// Appends an event of the store's own, whose kind nobody else may append.
    pub(in crate::log) fn append_own(
        &mut self,
        append: &Append,
    ) -> Result<AppendReceipt, StoreError> {
        self.commit(|_, _| {})?;
        let staged = self.stage_any(core::slice::from_ref(append), None)?;
        let receipts = self.commit_staged(staged)?;
        Ok(receipts.into_iter().next().expect("one receipt for one event"))
    }

    /// Commits a batch that was staged just now, alone.
    fn commit_staged(&mut self, staged: Staged) -> Result<Vec<AppendReceipt>, StoreError> {
        match staged {
            Staged::Known(receipts) => Ok(receipts),
            Staged::Full => unreachable!("nothing is staged"),
            Staged::Group(range) => {
                let mut receipts = Vec::with_capacity(range.len());
                self.commit(|log, info| receipts.extend(log.receipts(range.clone(), info)))?;
                Ok(receipts)
            }
        }
    }

    /// The receipts of staged events; to be asked for from within [`commit`](Log::commit).
    pub fn receipts(
        &self,
        range: Range<usize>,
        info: CommitInfo,
    ) -> impl Iterator<Item = AppendReceipt> {
        let events = self.group.events.get(range).unwrap_or_default();
        events.iter().map(move |event| event.receipt(info.durable))
    }

    /// Whether anything is staged.
    #[must_use]
    pub fn has_staged(&self) -> bool {
        !self.group.is_empty()
    }

    /// Bytes that the next commit will write.
    #[must_use]
    pub fn staged_bytes(&self) -> usize {
        self.group.bytes.len()
    }

    /// Writes all that is staged, in one go, syncs it if the durability asks for that, makes it
    /// visible, and lets `answer` take its receipts.
    ///
    /// # Errors
    ///
    /// A storage error: nothing that was staged is visible, and appending may be tried again.
    /// After a failed sync every later append answers [`StoreError::Poisoned`].
    pub fn commit(&mut self, answer: impl FnOnce(&Self, CommitInfo)) -> Result<(), StoreError> {
        self.take_in_written();
        if self.group.is_empty() {
            return Ok(());
        }
        let sync = self.sync_is_due();
        self.write_group(sync)?;
        if sync {
            let active = self.reader.view.active.as_ref().expect("written to just now");
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        }
        let group = mem::take(&mut self.group);
        self.take_in(&group);
        self.group = group;
        if sync {
            self.tail.synced_len = self.tail.offset;
            self.durable_end = self.reader.end;
        }
        self.publish_ends(self.reader.end);
        answer(self, CommitInfo { durable: sync });
        self.group.clear();
        Ok(())
    }

    /// As [`commit`](Log::commit), but leaves the sync to the caller, where the durability asks for
    /// one: [`PendingSync::run`], then [`finish_sync`](Log::finish_sync), which makes the group
    /// visible. The receipts that `answer` takes hold from then on.
    ///
    /// Meanwhile the next group may be staged, in view of this one. Whatever was staged so is
    /// forgotten if the sync fails. A batch that needs a new segment is
    /// [`Full`](crate::Staged::Full) meanwhile, and one that was appended before may be of the
    /// group that is not visible yet. Everything else is for after the sync.
    ///
    /// # Errors
    ///
    /// As [`commit`](Log::commit).
    pub fn begin_commit(
        &mut self,
        answer: impl FnOnce(&Self, CommitInfo),
    ) -> Result<Option<PendingSync<S>>, StoreError> {
        if self.group.is_empty() || !self.sync_is_due() {
            return self.commit(answer).map(|()| None);
        }
        self.write_group(true)?;
        answer(self, CommitInfo { durable: true });
        let active = self.reader.view.active.as_ref().expect("written to just now");
        let sync = PendingSync {
            file: Arc::clone(&active.file),
            number: active.header.number,
            len: self.tail.offset + self.group.bytes.len() as u64,
            end: self.staged_end(),
        };
        self.committed_hlc = self.hlc;
        mem::swap(&mut self.group, &mut self.written);
        Ok(Some(sync))
    }

    /// Whether the durability asks for a sync with what is staged.
    fn sync_is_due(&self) -> bool {
        let unsynced_events = self.staged_end().get() - self.durable_end.get();
        match self.config.durability {
            Durability::Durable => true,
            Durability::EveryN(n) => unsynced_events >= u64::from(n.get()),
            Durability::OnSync => false,
        }
    }

    /// Forgets all that is staged.
    pub fn discard(&mut self) {
        self.group.clear();
        self.hlc = self.committed_hlc;
    }

    /// Writes all that is staged; where that fails, it is forgotten.
    fn write_group(&mut self, sync: bool) -> Result<(), StoreError> {
        let written = self.try_to_write_group(sync);
        if written.is_err() {
            self.discard();
        }
        written
    }

    fn try_to_write_group(&mut self, sync: bool) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else {
            unreachable!("staging makes the active segment")
        };
        self.make_close_sure()?;
        self.clean_tail(&active)?;
        // A sync may have ended since these were staged, and no other frame vouches for what it synced.
        let (synced_len, salt) = (self.tail.synced_len, self.salt());
        frame::vouch(&mut self.group.bytes, synced_len, salt);
        if let Err(error) = active.file.write_all_at(&self.group.bytes, self.tail.offset) {
            self.soiled = true;
            // It is tried again before the next write if this fails.
            let _ = self.clean_tail(&active);
            return Err(error.into());
        }
        if sync {
            let len = self.group.bytes.len() as u64;
            self.write_zeros(&active, self.tail.offset + len, len);
        }
        Ok(())
    }

    /// Goes on behind the group that was written and waits for its sync, if that is still to be done.
    /// Whoever syncs does it afterwards, unless somebody stages meanwhile: then it costs no time
    /// between two syncs.
    fn take_in_written(&mut self) {
        if !self.written.is_empty() {
            let group = mem::take(&mut self.written);
            self.take_in(&group);
            self.written = group;
            self.written.clear();
        }
    }

    /// To be called before anything is staged: what is staged goes on behind what was written.
    pub(in crate::log) fn go_on_behind_written(&mut self) {
        let len = self.written.bytes.len() as u64;
        if len > 0 {
            self.take_in_written();
            if let Some(active) = self.reader.view.active.clone() {
                // For the next group and the one behind it, so that the next writes none itself.
                self.write_zeros(&active, self.tail.offset, 2 * len);
            }
        }
    }

    /// Goes on behind a group that was written, which nobody else sees yet.
    fn take_in(&mut self, group: &Group) {
        let view = Arc::clone(&self.reader.view);
        let active = view.active.as_ref().expect("written to just now");
        let base = self.tail.offset;
        self.tail.offset += group.bytes.len() as u64;
        self.tail.vouched = false;
        self.frames.extend(&group.bytes);
        let mut index = active.index.write();
        for event in &group.events {
            let pushed = index.push(&event.index_entry(base));
            pushed.expect("staging keeps sequences and versions rising");
        }
        index.set_frames_end(self.tail.offset);
        drop(index);
        self.reader.end = group.events.last().map_or(self.reader.end, |last| last.sequence.next());
        self.committed_hlc = self.hlc;
    }

    fn publish_ends(&mut self, end: Sequence) {
        let durable_end = self.durable_end;
        self.shared.publish(|published| {
            published.end = published.end.max(end);
            published.durable_end = durable_end;
        });
    }

    /// Whether a group waits for its sync to become visible.
    pub(in crate::log) fn is_committing(&self) -> bool {
        !self.written.is_empty() || self.shared.ends().0 < self.reader.end
    }

    /// Puts everything appended so far on stable storage and returns the sequence behind it.
    ///
    /// # Errors
    ///
    /// A storage error, after which the writer is poisoned.
    pub fn sync(&mut self) -> Result<Sequence, StoreError> {
        self.check_healthy()?;
        self.take_in_written();
        if let Some(pending) = self.begin_sync() {
            let done = pending.run();
            self.finish_sync(&pending, done)?;
        }
        Ok(self.durable_end)
    }

    /// What a sync has to cover now; `None` where everything is on stable storage, or where a
    /// sync failed and no other may be tried.
    ///
    /// The sync itself may run beside appends: [`PendingSync::run`], then
    /// [`finish_sync`](Log::finish_sync).
    pub fn begin_sync(&self) -> Option<PendingSync<S>> {
        let active = self.reader.view.active.as_ref()?;
        let due = self.poison.is_none() && self.durable_end < self.reader.end;
        due.then(|| PendingSync {
            file: Arc::clone(&active.file),
            number: active.header.number,
            len: self.tail.offset,
            end: self.reader.end,
        })
    }

    /// Notes how a sync ended. Where it was that of a [commit](Log::begin_commit), its group is
    /// visible from now on.
    ///
    /// # Errors
    ///
    /// The sync's own, after which the writer is poisoned.
    pub fn finish_sync(
        &mut self,
        pending: &PendingSync<S>,
        done: Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        if let Err(error) = done {
            return Err(self.poisoned_by(error));
        }
        // Beside a sync that failed, one that succeeded proves nothing.
        self.check_healthy()?;
        self.take_in_written();
        if self.active_number() == Some(pending.number) {
            self.tail.synced_len = self.tail.synced_len.max(pending.len);
        }
        self.note_durable(pending.end);
        Ok(())
    }

    /// What is on stable storage, everybody may see.
    pub(in crate::log) fn note_durable(&mut self, end: Sequence) {
        self.durable_end = self.durable_end.max(end);
        self.publish_ends(self.durable_end);
    }

    /// The sequence behind the last event known to be on stable storage.
    #[must_use]
    pub fn durable_end(&self) -> Sequence {
        self.durable_end
    }

    /// The sequence behind the last staged event.
    pub(in crate::log) fn staged_end(&self) -> Sequence {
        self.group.events.last().map_or(self.reader.end, |event| event.sequence.next())
    }
}

/// A sync that may run while appends go on.
pub struct PendingSync<S: Storage> {
    file: Arc<S::File>,
    number: u64,
    len: u64,
    end: Sequence,
}

impl<S: Storage> core::fmt::Debug for PendingSync<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PendingSync").field("end", &self.end).finish_non_exhaustive()
    }
}

impl<S: Storage> PendingSync<S> {
    /// Syncs. To be given to [`Log::finish_sync`].
    ///
    /// # Errors
    ///
    /// The storage's.
    pub fn run(&self) -> Result<(), StorageError> {
        self.file.sync_data()
    }
}
