//! Sealing: the active segment gets its index and its footer, and changes no more.

use crate::format::segment::{SegmentFooter, chain_hash};
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::heads::{Head, KnownHead};
use crate::log::segments::{ActiveSegment, SealedSegment, View};
use crate::log::writer::Log;
use crate::model::Hash;
use crate::storage::{Storage, StorageError, StorageFile};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// BLAKE3 over the frames of the active segment, as they are written.
#[derive(Debug)]
pub(super) struct FramesHasher {
    hasher: blake3::Hasher,
    /// Bytes of the file that the hasher has seen.
    hashed_to: u64,
    /// Written but not hashed yet: BLAKE3 is fast on large inputs only.
    pending: Vec<u8>,
    /// Whether frames were there before this writer: those are read when the segment is sealed.
    behind: bool,
}

/// How much is hashed in one go.
const CHUNK_LEN: usize = 64 * 1024;

impl FramesHasher {
    /// For a segment without frames.
    pub(super) fn new(header_len: usize) -> Self {
        let hashed_to = header_len as u64;
        FramesHasher {
            hasher: blake3::Hasher::new(),
            hashed_to,
            pending: Vec::new(),
            behind: false,
        }
    }

    /// For a segment that may have frames already.
    pub(super) fn behind(header_len: usize) -> Self {
        FramesHasher { behind: true, ..FramesHasher::new(header_len) }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.behind {
            return;
        }
        if self.pending.len() + bytes.len() < CHUNK_LEN {
            self.pending.extend_from_slice(bytes);
            return;
        }
        self.hasher.update(&self.pending);
        self.hasher.update(bytes);
        self.hashed_to += (self.pending.len() + bytes.len()) as u64;
        self.pending.clear();
    }

    /// The hash of all frames before `end`.
    fn finish<F: StorageFile>(&mut self, file: &F, end: u64) -> Result<Hash, StorageError> {
        self.hasher.update(&self.pending);
        self.hashed_to += self.pending.len() as u64;
        self.pending.clear();
        let mut chunk = Vec::new();
        while self.hashed_to < end {
            let left = usize::try_from(end - self.hashed_to).unwrap_or(usize::MAX);
            chunk.resize(left.min(16 * CHUNK_LEN), 0);
            file.read_exact_at(&mut chunk, self.hashed_to)?;
            self.hasher.update(&chunk);
            self.hashed_to += chunk.len() as u64;
        }
        self.behind = false;
        Ok(Hash::from_bytes(*self.hasher.finalize().as_bytes()))
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Seals the active segment, if there is one with events. The next append begins another.
    ///
    /// # Errors
    ///
    /// A storage error: the segment stays active then, and sealing is tried again.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        self.commit(|_, _| {})?;
        self.sync()?;
        let Some(active) = self.reader.view.active.clone() else { return Ok(()) };
        if active.index.read().event_count() == 0 {
            return Ok(());
        }
        let frames_end = self.tail.offset;
        let frames_hash = self.frames.finish(&*active.file, frames_end)?;
        let block = active.index.read().encode(active.header.salt);
        let footer = self.footer(&active, frames_hash, block.len() as u64);
        self.make_close_sure()?;
        self.clean_tail(&active)?;
        let footer_at = frames_end + block.len() as u64;
        self.write_seal(&active, |file| file.write_all_at(&block, frames_end))?;
        // A footer speaks of an index that is there: without this, a power cut could keep the
        // footer and tear the index, which would be rebuilt in memory at each opening.
        active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        self.write_seal(&active, |file| {
            let footer = footer.encode();
            file.write_all_at(&footer, footer_at)?;
            file.set_len(footer_at + footer.len() as u64)
        })?;
        active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        let header = active.header.clone();
        let file = Arc::clone(&active.file);
        let sealed = SealedSegment::new(header, footer, file, Arc::clone(&active.life));
        let mut all = self.reader.view.sealed.clone();
        all.push(Arc::new(sealed));
        self.set_view(View { sealed: all, active: None });
        self.hand_over_heads(&active);
        Ok(())
    }

    /// Keeps the heads of the streams in a segment that was sealed, as far as there is room: the
    /// next append to them neither searches its index nor reads and hashes the event.
    fn hand_over_heads(&self, active: &ActiveSegment<S>) {
        let (heads, hasher) = (&self.shared.heads, self.shared.hasher);
        let border = self.reader.end;
        // What came last is most likely to go on.
        let index = active.index.read();
        for (entity, version, sequence, hash) in index.heads().rev().take(heads.len_max()) {
            let head = Head { version, sequence, hash };
            let key = heads.key(entity, hasher.name(entity));
            heads.put(key, KnownHead { head, border });
        }
    }

    /// Writes a part of what closes a segment.
    fn write_seal(
        &mut self,
        active: &ActiveSegment<S>,
        write: impl FnOnce(&S::File) -> Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        let Err(error) = write(&active.file) else { return Ok(()) };
        // A footer that was written all the same must not be found behind later frames. It
        // is tried again before the next write if this fails.
        self.soiled = true;
        let _ = self.clean_tail(active);
        Err(error.into())
    }

    fn footer(
        &self,
        active: &ActiveSegment<S>,
        frames_hash: Hash,
        index_len: u64,
    ) -> SegmentFooter {
        let index = active.index.read();
        let (time_min_us, time_max_us) = index.time_range_us().unwrap_or_default();
        let (id_min, id_max) = index.id_range();
        SegmentFooter {
            number: active.header.number,
            frames_end: self.tail.offset,
            index_len,
            first_sequence: active.header.base_sequence,
            end_sequence: self.reader.end,
            event_count: u64::from(index.event_count()),
            time_min_us,
            time_max_us,
            last_hlc: self.hlc,
            id_min,
            id_max,
            frames_hash,
            chain_hash: chain_hash(&active.header.prev_chain_hash, &frames_hash),
            newest_loss: None,
        }
    }
}
