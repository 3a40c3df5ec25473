//! Where the store ended when it was closed, so that the loss of its newest segment is found.
//!
//! Every other segment is named by the one behind it. A closing store writes down where it ends, as
//! soon as it has several segments or a meta log; one that opens with less has lost something.

use crate::format::read_u64;
use crate::log::config::Host;
use crate::log::meta::{Change, MetaSync, Values};
use crate::log::writer::Log;
use crate::log::{Corruption, StoreError};
use crate::model::Sequence;
use crate::storage::{FileId, Storage};
use alloc::format;
use alloc::vec;

pub(super) const KEY: &[u8] = b"s/end";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownEnd {
    end: Sequence,
    /// The segment that held the last event.
    segment: FileId,
}

impl KnownEnd {
    /// What the meta log says; `None` where it says nothing.
    pub(crate) fn of(values: &Values) -> Option<Self> {
        let value = values.get(KEY)?;
        let (end, number) = (read_u64(value, 0)?, read_u64(value, 8)?);
        Some(KnownEnd { end: Sequence::new(end), segment: FileId::segment(number) })
    }

    fn change(&self) -> Change {
        let value = [self.end.get().to_le_bytes(), self.segment.number.to_le_bytes()].concat();
        Change { key: KEY.to_vec(), value: Some(value) }
    }

    /// What is wrong with a store whose events end at `found`; `offset` is where the last one ends
    /// in the active segment, if that is the one.
    pub(crate) fn missing(
        &self,
        found: Sequence,
        active: Option<(FileId, u64)>,
    ) -> Option<Corruption> {
        if found >= self.end {
            return None;
        }
        let (file, offset) = active.unwrap_or((self.segment, 0));
        let expected = format!("events up to sequence {}, as when the store was closed", self.end);
        let found = format!("none from sequence {found} on");
        Some(Corruption::new(file, offset, expected, found))
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Writes down where the store ends. A storage that refuses is no reason not to close: no event
    /// depends on it, and what was written down before stays true.
    pub(crate) fn note_end(&mut self) -> Result<(), StoreError> {
        let view = &self.reader.view;
        let newest = match (&view.active, view.sealed.last()) {
            (Some(active), _) => active.header.number,
            (None, Some(sealed)) => sealed.header.number,
            (None, None) => return Ok(()),
        };
        let known = KnownEnd { end: self.reader.end, segment: FileId::segment(newest) };
        let before = KnownEnd::of(self.meta.values());
        let is_said = before.is_some_and(|before| before.end == known.end);
        if is_said || (view.len() < 2 && self.meta.stats().file.is_none()) {
            return Ok(());
        }
        match self.write_meta(vec![known.change()], MetaSync::Later) {
            Err(StoreError::Storage(_)) => Ok(()),
            done => done,
        }
    }
}
