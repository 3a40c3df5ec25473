//! The values of the meta log, as they are in memory.
//!
//! Every limit of a change is checked here, before anything is written for it.

use crate::format::meta::{
    META_ENTRY_HEADER_LEN, META_FRAME_LEN_MAX, META_KEY_LEN_MAX, META_VALUE_LEN_MAX, MetaEntry,
    frame_len,
};
use crate::log::meta::{Travelling, is_consumer, travels};
use crate::model::LimitError;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The most bytes that all keys and values may take up, since they are held in memory.
const VALUES_LEN_MAX: usize = 64 * 1024 * 1024;

/// What becomes of a key: a new value, or `None` where it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Change {
    pub(crate) fn entry(&self) -> MetaEntry<'_> {
        MetaEntry { key: &self.key, value: self.value.as_deref() }
    }
}

/// Keys and their values, by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    by_key: BTreeMap<Vec<u8>, Vec<u8>>,
    encoded_len: usize,
}

impl Values {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.by_key.get(key).map(Vec::as_slice)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes that they take up in frames, without what the frames add.
    pub(crate) fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = MetaEntry<'_>> {
        self.by_key.iter().map(|(key, value)| MetaEntry { key, value: Some(value) })
    }

    /// The keys that start with `prefix`, without it, and their values.
    pub(crate) fn behind<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let from = self.by_key.range(prefix.to_vec()..);
        from.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_slice())))
    }

    /// Those that go with the events to another place.
    pub(crate) fn travelling(&self, consumers: bool) -> Travelling {
        let goes = |key: &[u8]| travels(key) && (consumers || !is_consumer(key));
        let all = self.by_key.iter().filter(|(key, _)| goes(key));
        all.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Whether the changes would change nothing.
    pub(crate) fn hold(&self, changes: &[Change]) -> bool {
        changes.iter().all(|change| self.get(&change.key) == change.value.as_deref())
    }

    pub(crate) fn check(&self, changes: &[Change]) -> Result<(), LimitError> {
        let (mut entries_len, mut grown_len) = (0_usize, self.encoded_len);
        for change in changes {
            if change.key.is_empty() {
                return Err(LimitError::new("meta key bytes (at least 1)", META_KEY_LEN_MAX, 0));
            }
            LimitError::check("meta key bytes", META_KEY_LEN_MAX, change.key.len())?;
            let value_len = change.value.as_ref().map_or(0, Vec::len);
            LimitError::check("meta value bytes", META_VALUE_LEN_MAX, value_len)?;
            entries_len += change.entry().encoded_len();
            let old_len = self.get(&change.key).map_or(0, |old| entry_len(&change.key, old));
            let new_len = change.value.as_ref().map_or(0, |new| entry_len(&change.key, new));
            grown_len = (grown_len + new_len).saturating_sub(old_len);
        }
        LimitError::check("bytes of one meta write", META_FRAME_LEN_MAX, frame_len(entries_len))?;
        if grown_len > self.encoded_len {
            LimitError::check("bytes of all meta values", VALUES_LEN_MAX, grown_len)?;
        }
        Ok(())
    }

    pub(crate) fn apply(&mut self, change: Change) {
        let Change { key, value } = change;
        let new_len = value.as_ref().map_or(0, |value| entry_len(&key, value));
        let old_len = self.get(&key).map_or(0, |old| entry_len(&key, old));
        self.encoded_len = self.encoded_len + new_len - old_len;
        match value {
            Some(value) => self.by_key.insert(key, value),
            None => self.by_key.remove(&key),
        };
    }
}

fn entry_len(key: &[u8], value: &[u8]) -> usize {
    META_ENTRY_HEADER_LEN + key.len() + value.len()
}
