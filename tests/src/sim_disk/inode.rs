//! One file's bytes: what the process sees, what is stable, and the changes in between.
//!
//! Invariant: without a failed sync, the cached bytes are the stable ones with all pending
//! changes applied in order. A failed sync drops pending changes, as Linux marks pages clean
//! that it could not write: they can be read, and no later sync writes them.

use std::sync::Arc;

use super::pages::Pages;

/// A file without its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) cached: Pages,
    pub(super) stable: Pages,
    pub(super) pending: Vec<Change>,
    pub(super) sync_failed: bool,
}

/// A change that no sync has covered.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetLen(u64),
}

impl Inode {
    pub(super) const fn len(&self) -> u64 {
        self.cached.len()
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if !bytes.is_empty() {
            self.cached.write(bytes, offset);
            self.pending.push(Change::Write { offset, bytes: bytes.into() });
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.cached.set_len(len);
        self.pending.push(Change::SetLen(len));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.stable);
        }
    }

    /// What is read once the kernel has forgotten every clean page.
    pub(super) fn reload(&mut self) {
        self.cached = self.stable.clone();
        for change in &self.pending {
            change.apply(&mut self.cached);
        }
    }
}

impl Change {
    pub(super) fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write { offset, bytes } => pages.write(bytes, *offset),
            Self::SetLen(len) => pages.set_len(*len),
        }
    }
}
