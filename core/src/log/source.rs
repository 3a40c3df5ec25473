//! A file as a source of bytes for the scan: one window, read ahead.

use crate::format::scan::Source;
use crate::storage::{StorageError, StorageFile};
use alloc::vec::Vec;

/// How much is read in one go at least. Most of what opening a small store takes would else be spent
/// on memory that nobody has touched yet.
const WINDOW_LEN: usize = 256 * 1024;

/// See the module.
pub(crate) struct FileSource<F> {
    file: F,
    len: u64,
    /// What was read, and behind it what is left of earlier reads: clearing it would cost as much
    /// as reading.
    window: Vec<u8>,
    held: usize,
    window_at: u64,
}

impl<F: StorageFile> FileSource<F> {
    /// The bytes of `file` before `len`.
    pub(crate) fn new(file: F, len: u64) -> Self {
        FileSource { file, len, window: Vec::new(), held: 0, window_at: 0 }
    }

    fn held(&self, offset: u64) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.window_at)?).ok()?;
        self.window[..self.held].get(from..)
    }
}

impl<F: StorageFile> Source for FileSource<F> {
    type Error = StorageError;

    fn len(&self) -> u64 {
        self.len
    }

    fn bytes_at(&mut self, offset: u64, needed: usize) -> Result<&[u8], StorageError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let needed = needed.min(left);
        if self.held(offset).is_none_or(|held| held.len() < needed) {
            // Where one frame was longer, so are others.
            let take = needed.max(WINDOW_LEN).max(self.window.len()).min(left);
            if self.window.len() < take {
                self.window.resize(take, 0);
            }
            (self.held, self.window_at) = (0, offset);
            self.file.read_exact_at(&mut self.window[..take], offset)?;
            self.held = take;
        }
        Ok(self.held(offset).unwrap_or_default())
    }
}
