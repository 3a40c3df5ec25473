//! The end of the active segment: where it begins, where frames go on, and how it is left.
//!
//! Nothing is written behind bytes that may be those of a write that failed, nor behind a close
//! that may be on no disk.

use crate::format::frame::{self, FRAME_ALIGN};
use crate::format::segment::SEGMENT_FOOTER_LEN;
use crate::format::segment::SegmentHeader;
use crate::index::GrowingIndex;
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::MetaLog;
use crate::log::recovery::{Tail, rewrite};
use crate::log::seal::FramesHasher;
use crate::log::segments::{ActiveSegment, Life, View};
use crate::log::writer::Log;
use crate::storage::{FileId, Storage, StorageError, StorageFile};
use crate::sync::RwLock;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl<S: Storage, H: Host> Log<S, H> {
    /// Closes the store so that it opens fast: all is synced, a large segment is sealed, a small
    /// one ends with a frame that vouches for it.
    ///
    /// # Errors
    ///
    /// Storage errors. Nothing acknowledged is lost then; opening recovers.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.close_in_place()
    }

    /// As [`close`](Log::close), for owners that can't give the log away. Appending afterwards
    /// is fine.
    ///
    /// # Errors
    ///
    /// As [`close`](Log::close).
    pub fn close_in_place(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.close_segments()?;
        self.note_end()?;
        self.with_meta(MetaLog::close)
    }

    fn close_segments(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else { return Ok(()) };
        self.clean_tail(&active)?;
        if self.tail.offset >= self.config.seal_on_close_bytes.max(self.header_len() + 1)
            && active.index.read().event_count() > 0
        {
            return self.seal();
        }
        if !self.tail.vouched {
            self.write_vouching_frame(&active)?;
        }
        // Gives back what was preallocated.
        if active.file.len()? > self.tail.offset {
            self.cut(&active, self.tail.offset)?;
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        }
        Ok(())
    }

    fn write_vouching_frame(&mut self, active: &ActiveSegment<S>) -> Result<(), StoreError> {
        self.make_close_sure()?;
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        let synced_len = self.tail.offset;
        frame::finish(&mut bytes, start, self.reader.end, synced_len, 0, active.header.salt);
        if let Err(error) = active.file.write_all_at(&bytes, self.tail.offset) {
            self.soiled = true;
            return Err(error.into());
        }
        active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        self.frames.extend(&bytes);
        self.tail.offset += bytes.len() as u64;
        self.tail = Tail { synced_len: self.tail.offset, vouched: true, ..self.tail };
        active.index.write().set_frames_end(self.tail.offset);
        Ok(())
    }

    /// Whether a batch of this many bytes would have to wait for a new segment, so that what is
    /// staged should be committed first.
    fn overflows(&self, bound: usize) -> bool {
        let end = self.tail.offset + self.group.bytes.len() as u64 + bound as u64;
        let begun = self.tail.offset > self.header_len() || !self.group.is_empty();
        begun && end > self.config.segment_max_bytes
    }

    /// Sees to it that a frame of at most `bound` bytes fits the active segment; `false` where
    /// what is staged must be committed first.
    pub(in crate::log) fn make_room(&mut self, bound: usize) -> Result<bool, StoreError> {
        if self.overflows(bound) {
            if !self.group.is_empty() || self.is_committing() {
                return Ok(false);
            }
            self.seal()?;
        }
        if self.reader.view.active.is_none() {
            self.begin_segment()?;
        }
        Ok(true)
    }

    fn begin_segment(&mut self) -> Result<(), StoreError> {
        self.make_close_sure()?;
        let mut salt = [0; 4];
        self.host.fill_random(&mut salt);
        let header = SegmentHeader {
            store_id: self.shared.store_id,
            number: self.next_number,
            base_sequence: self.reader.end,
            created_us: self.host.now_us(),
            salt: u32::from_le_bytes(salt),
            prev_chain_hash: self.last_chain_hash(),
            replaces: Vec::new(),
        };
        let id = FileId::segment(header.number);
        let file = self.storage.create(id)?;
        self.next_number += 1;
        if let Err(error) = write_header(&file, &header) {
            // Opening removes it otherwise: it has no frame.
            let _ = self.storage.remove(id);
            return Err(error.into());
        }
        if let Err(error) = file.sync_data().and_then(|()| self.storage.sync_dir()) {
            return Err(self.poisoned_by(error));
        }
        let len = header.encoded_len();
        self.tail = Tail { offset: len as u64, synced_len: len as u64, vouched: false };
        self.filled_to = file.len()?;
        self.soiled = false;
        self.frames = FramesHasher::new(len);
        let index = RwLock::new(GrowingIndex::new(self.shared.hasher));
        let life = Life::new(header.number, &self.storage);
        let active = ActiveSegment { header, file: Arc::new(file), life, index };
        let sealed = self.reader.view.sealed.clone();
        self.set_view(View { sealed, active: Some(Arc::new(active)) });
        self.announce();
        Ok(())
    }

    /// Removes the active segment if it holds no event.
    pub(in crate::log) fn drop_eventless_segment(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else { return Ok(()) };
        if active.index.read().event_count() > 0 {
            return Ok(());
        }
        self.storage.remove(FileId::segment(active.header.number))?;
        self.storage.sync_dir().map_err(|error| self.poisoned_by(error))?;
        let sealed = self.reader.view.sealed.clone();
        self.set_view(View { sealed, active: None });
        Ok(())
    }

    /// Writes and syncs once more what closed the store: the frame that vouches, or the seal. The
    /// sync of it may have failed or never happened, and nothing may stand behind it that is
    /// more durable. To be called before anything is written behind it.
    pub(in crate::log) fn make_close_sure(&mut self) -> Result<(), StoreError> {
        if !self.close_unsure {
            return Ok(());
        }
        let view = Arc::clone(&self.reader.view);
        let (file, from, to) = match (&view.active, view.sealed.last()) {
            (Some(active), _) => (&active.file, self.tail.synced_len, self.tail.offset),
            (None, Some(sealed)) => {
                sealed.mend_index(self.shared.hasher)?;
                let from = sealed.footer.frames_end;
                let footer_at = from.saturating_add(sealed.footer.index_len);
                (&sealed.file, from, footer_at.saturating_add(SEGMENT_FOOTER_LEN as u64))
            }
            (None, None) => return Ok(()),
        };
        rewrite(&**file, from, to)?;
        file.sync_data().map_err(|error| self.poisoned_by(error))?;
        if view.active.is_some() {
            self.tail.synced_len = to;
        }
        self.close_unsure = false;
        Ok(())
    }

    /// Cuts off what a failed write may have left, so that no stale frame or footer is ever found
    /// there. The cut is synced before anything is written in its place: else a power cut could
    /// undo the cut and keep the new bytes, with stale frames right behind them.
    pub(in crate::log) fn clean_tail(
        &mut self,
        active: &ActiveSegment<S>,
    ) -> Result<(), StoreError> {
        if self.soiled {
            self.cut(active, self.tail.offset)?;
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
            self.soiled = false;
        }
        Ok(())
    }
}

fn write_header<F: StorageFile>(file: &F, header: &SegmentHeader) -> Result<(), StorageError> {
    let bytes = header.encode();
    assert!(bytes.len().is_multiple_of(FRAME_ALIGN), "frames start aligned");
    file.write_all_at(&bytes, 0)
}
