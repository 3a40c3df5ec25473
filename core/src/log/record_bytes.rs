//! The bytes of one event as they stand in its file, for those who look at a store.

use crate::log::fetch::Span;
use crate::log::{Reader, StoreError};
use crate::model::Sequence;
use crate::storage::{FileId, Storage};
use alloc::vec::Vec;

/// One event's record, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordBytes {
    /// The file.
    pub file: FileId,
    /// Where the record begins in the file, in bytes.
    pub offset: u64,
    /// The record: its CRC, its lengths, its header, its content.
    pub bytes: Vec<u8>,
}

impl<S: Storage> Reader<S> {
    /// The bytes of the event at a sequence, its CRC checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::SequenceNotFound`] where there is none: behind the end, or pruned; storage
    /// errors and corruption.
    ///
    /// # Examples
    ///
    /// ```
    /// # use annals_core::{Append, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload};
    /// # struct Fixed;
    /// # impl Host for Fixed {
    /// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
    /// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
    /// # }
    /// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
    /// # let order = Coordinate::new("order:5", "shop")?;
    /// let append = Append::new(order, EventKind::new(1, 1), Payload::raw("apples"));
    /// let receipt = log.append(&append)?;
    ///
    /// let record = log.reader().record_bytes(receipt.sequence)?;
    /// assert!(record.bytes.ends_with(b"apples"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_bytes(&self, sequence: Sequence) -> Result<RecordBytes, StoreError> {
        let missing = StoreError::SequenceNotFound(sequence);
        let located = if sequence < self.end() { self.locate(sequence)? } else { None };
        let Some((at, place)) = located else { return Err(missing) };
        let Some(segment) = self.view.at(at) else { return Err(missing) };
        let mut span = Span::default();
        span.load(&segment, &[place])?;
        let bytes = span.record_bytes(&segment, &place)?.to_vec();
        Ok(RecordBytes { file: segment.file_id(), offset: place.offset, bytes })
    }
}
