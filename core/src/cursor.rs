//! Following a region of the log from a position on.
//!
//! A cursor is a region and the sequence that comes next, nothing more: it holds no reader, no
//! file and no lock. Since sequences never change, its position is good for as long as the store
//! is, through reopening and compaction.

use crate::log::{EventRef, Reader, StoreError};
use crate::model::{Event, Region, Sequence};
use crate::storage::Storage;
use alloc::vec::Vec;

/// A place in the events of a region: each poll goes on where the last one ended.
///
/// Every event of the region is delivered once, in sequence order, and so are the ones that are
/// appended later. A poll seeks: it costs O(log n) and what it delivers, however many events the
/// region does not take in.
///
/// # Examples
///
/// ```
/// # use annals_core::{Host, Log, LogConfig, MemoryStorage};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// use annals_core::{Append, Coordinate, Cursor, EventKind, Payload, Region};
///
/// const PLACED: EventKind = EventKind::new(1, 1);
/// let mut cursor = Cursor::new(Region::all().scope("shop"));
/// assert_eq!(cursor.poll(&log.reader(), 10)?, []);
///
/// let order = Coordinate::new("order:5", "shop")?;
/// log.append(&Append::new(order, PLACED, Payload::raw("two apples")))?;
/// assert_eq!(cursor.poll(&log.reader(), 10)?.len(), 1);
///
/// // The position is all that must be kept to go on another day.
/// let mut again = Cursor::at(Region::all().scope("shop"), cursor.position());
/// assert_eq!(again.poll(&log.reader(), 10)?, []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    region: Region,
    /// Everything before it is done with.
    next: Sequence,
}

impl Cursor {
    /// At the log's beginning.
    #[must_use]
    pub const fn new(region: Region) -> Self {
        Cursor { region, next: Sequence::ZERO }
    }

    /// Behind an event: `after` is what [`position`](Cursor::position) said, or the sequence of
    /// the last event that is done with.
    #[must_use]
    pub fn at(region: Region, after: Option<Sequence>) -> Self {
        let next = after.map_or(Sequence::ZERO, |after| after.checked_next().unwrap_or(after));
        Cursor { region, next }
    }

    /// Which events it delivers.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The last sequence that is done with, delivered or not of the region; `None` at the log's
    /// beginning.
    #[must_use]
    pub const fn position(&self) -> Option<Sequence> {
        self.next.checked_prev()
    }

    /// How many events of the log, of any region, `reader` sees that are not done with.
    #[must_use]
    pub fn lag<S: Storage>(&self, reader: &Reader<S>) -> u64 {
        reader.end().get().saturating_sub(self.next.get())
    }

    /// The next events of the region that `reader` sees, `max` at most.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption. Events found before the failure are delivered first: then
    /// it is the next poll that fails. The position stays behind the last event delivered.
    pub fn poll<S: Storage>(
        &mut self,
        reader: &Reader<S>,
        max: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        let polled = self.poll_with(reader, max, |event| {
            events.push(event.to_owned());
            Ok::<_, StoreError>(())
        });
        match polled {
            Err(error) if events.is_empty() => Err(error),
            _ => Ok(events),
        }
    }

    /// The next event of the region that `reader` sees.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption; the position is as it was.
    pub fn next<S: Storage>(&mut self, reader: &Reader<S>) -> Result<Option<Event>, StoreError> {
        Ok(self.poll(reader, 1)?.pop())
    }

    /// Shows the next events of the region to `take`, `max` at most, borrowed from the bytes that
    /// were read, and returns how many there were.
    ///
    /// The position moves behind each event once `take` has returned `Ok`: an event that it
    /// refuses is the first of the next poll.
    ///
    /// # Errors
    ///
    /// What `take` returns, storage errors and corruption. The position stays behind the last
    /// event that was taken.
    pub fn poll_with<S: Storage, E: From<StoreError>>(
        &mut self,
        reader: &Reader<S>,
        max: usize,
        mut take: impl FnMut(&EventRef<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        if self.next >= reader.end() {
            return Ok(0);
        }
        let mut query = reader.query(&self.region).starting_at(self.next).limit(max as u64);
        let mut taken = 0;
        while taken < max {
            let next = query.next_with(|event| take(event).map(|()| event.sequence()))?;
            let Some(sequence) = next else {
                // Nothing else matches up to here, so the next poll need not look again.
                self.next = self.next.max(reader.end());
                break;
            };
            self.next = sequence?.checked_next().unwrap_or(Sequence::MAX);
            taken += 1;
        }
        Ok(taken)
    }
}
