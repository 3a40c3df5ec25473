//! Reading single records, and runs of them, from a segment's file.

use crate::format::Crc32;
use crate::format::Fault;
use crate::format::record::RecordRef;
use crate::log::decode::EventRef;
use crate::log::segments::Segment;
use crate::log::{Corruption, StoreError};
use crate::model::{Hash, Sequence};
use crate::storage::{Storage, StorageFile as _};
use alloc::format;
use alloc::vec::Vec;

/// Where a record stands: from `offset` on, and it ends at `bound` at the latest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) sequence: Sequence,
    pub(crate) offset: u64,
    pub(crate) bound: u64,
}

/// How much is read in one go at most, unless a single record is larger.
const SPAN_MAX: u64 = 256 * 1024;

/// A piece of a segment's file, with records in it.
pub(crate) struct Span {
    /// What was read, and behind it what is left of earlier reads: clearing it would cost as much
    /// as reading.
    buffer: Vec<u8>,
    len: usize,
    start: u64,
    /// Of the segment's salt.
    crc: Crc32,
}

impl Default for Span {
    fn default() -> Self {
        Span { buffer: Vec::new(), len: 0, start: 0, crc: Crc32::new() }
    }
}

impl Span {
    /// Makes sure that the first of `places` is at hand, and reads on for those behind it that
    /// are near: they may ascend or descend.
    pub(crate) fn load<S: Storage>(
        &mut self,
        segment: &Segment<'_, S>,
        places: &[Place],
    ) -> Result<(), StoreError> {
        let Some(first) = places.first() else { return Ok(()) };
        if self.holds(first) {
            return Ok(());
        }
        let gap_max = segment.file().read_gap();
        let (mut start, mut end) = (first.offset, first.bound);
        for place in &places[1..] {
            if place.offset == end && place.bound.saturating_sub(start) <= SPAN_MAX {
                // The next record of a frame, as most are.
                end = end.max(place.bound);
                continue;
            }
            let gap = place.offset.saturating_sub(end).max(start.saturating_sub(place.bound));
            let (low, high) = (start.min(place.offset), end.max(place.bound));
            if gap > gap_max || high.saturating_sub(low) > SPAN_MAX {
                break;
            }
            (start, end) = (low, high);
        }
        self.read(segment, start, end)
    }

    /// The event at a place that was loaded. Its fault counts from the record's start.
    #[inline(always)]
    pub(crate) fn event(&self, place: &Place) -> Result<EventRef<'_>, Fault> {
        EventRef::new(self.record(place)?, place.sequence)
    }

    /// The hash of the event at a place that was loaded.
    pub(crate) fn event_hash<S: Storage>(
        &self,
        segment: &Segment<'_, S>,
        place: &Place,
    ) -> Result<Hash, StoreError> {
        let hash = self.record(place).and_then(|record| record.event_hash());
        hash.map_err(|fault| segment.corruption(place, fault))
    }

    /// The bytes of the record at a place that was loaded.
    pub(crate) fn record_bytes<S: Storage>(
        &self,
        segment: &Segment<'_, S>,
        place: &Place,
    ) -> Result<&[u8], StoreError> {
        let len = self.record(place).map_err(|fault| segment.corruption(place, fault))?.len;
        let from = usize::try_from(place.offset - self.start).unwrap_or(usize::MAX);
        Ok(&self.buffer[from..from + len])
    }

    #[inline(always)]
    fn record(&self, place: &Place) -> Result<RecordRef<'_>, Fault> {
        let from = usize::try_from(place.offset - self.start).unwrap_or(usize::MAX);
        let bytes = self.buffer[..self.len].get(from..).unwrap_or_default();
        RecordRef::parse_behind(bytes, &self.crc)
    }

    /// Whether all that may be the record at a place is at hand.
    #[inline(always)]
    pub(crate) fn holds(&self, place: &Place) -> bool {
        place.offset >= self.start && place.bound <= self.start + self.len as u64
    }

    fn read<S: Storage>(
        &mut self,
        segment: &Segment<'_, S>,
        start: u64,
        end: u64,
    ) -> Result<(), StoreError> {
        let (file, allowed) = (segment.file_id(), segment.record_bytes());
        // An index may lie though its checksums are right: nothing is allocated on its word.
        if start < allowed.start || end > allowed.end || start > end {
            let expected = format!("an index of bytes {} to {}", allowed.start, allowed.end);
            let found = format!("one that leads to {start} to {end}");
            return Err(Corruption::new(file, allowed.end, expected, found).into());
        }
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        (self.start, self.len) = (start, 0);
        self.crc = Crc32::of_salt(segment.header().salt);
        segment.read_records(&mut self.buffer[..len], start)?;
        self.len = len;
        Ok(())
    }

    /// Forgets what is held: the next places are in another segment.
    pub(crate) fn clear(&mut self) {
        (self.start, self.len) = (0, 0);
    }
}
