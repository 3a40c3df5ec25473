//! A place in a region of the log, read ahead a little, that never loses anything.

use crate::store::follow::FollowError;
use crate::store::follow::steps::Source;
use crate::store::signal::{Feed, Signal};
use annals_core::{Cursor, Event, Reader, Region, Sequence, Storage, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;

/// So many events, or bytes of payloads, are read in one go.
const AHEAD_EVENTS_MAX: usize = 256;
const AHEAD_BYTES_MAX: usize = 1024 * 1024;

/// See the module.
pub(super) struct Tail<S: Storage> {
    pub(super) feed: Feed<S>,
    pub(super) cursor: Cursor,
    /// Events before the cursor that were not given yet.
    pub(super) ahead: VecDeque<Event>,
}

/// Why a read was cut short.
enum Cut {
    Full,
    Failed(StoreError),
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Cut::Failed(error)
    }
}

impl<S: Storage> Tail<S> {
    pub(super) fn new(feed: Feed<S>, region: Region, after: Option<Sequence>) -> Self {
        Tail { feed, cursor: Cursor::at(region, after), ahead: VecDeque::new() }
    }

    /// The last sequence that is done with, given or not of the region.
    pub(super) fn position(&self) -> Option<Sequence> {
        match self.ahead.front() {
            Some(event) => event.sequence().checked_prev(),
            None => self.cursor.position(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Event>, StoreError> {
        if self.ahead.is_empty() {
            let reader = self.feed.reader();
            self.read_ahead(&reader, AHEAD_EVENTS_MAX)?;
        }
        Ok(self.ahead.pop_front())
    }

    /// Reads the next events, `max` at most.
    pub(super) fn read_ahead(
        &mut self,
        reader: &Reader<Arc<S>>,
        max: usize,
    ) -> Result<(), StoreError> {
        let mut bytes = 0;
        let Tail { cursor, ahead, .. } = self;
        let polled = cursor.poll_with(reader, max.min(AHEAD_EVENTS_MAX), |event| {
            if bytes > AHEAD_BYTES_MAX {
                return Err(Cut::Full);
            }
            bytes += event.payload().map_or(0, <[u8]>::len);
            ahead.push_back(event.to_owned());
            Ok(())
        });
        match polled {
            // What was read before a failure comes first; the next read meets it again.
            Err(Cut::Failed(error)) if ahead.is_empty() => Err(error),
            _ => Ok(()),
        }
    }
}

impl<S: Storage> Source for Tail<S> {
    fn signal(&self) -> &Arc<Signal> {
        &self.feed.signal
    }

    fn next_event(&mut self) -> Result<Option<Event>, FollowError> {
        Ok(self.next()?)
    }
}
