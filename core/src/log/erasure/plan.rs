//! What is to be erased, and what erasing it would do.

use super::LOOK_STEP;
use crate::log::StoreError;
use crate::log::decode::EventRef;
use crate::log::reader::Reader;
use crate::log::segments::Segment;
use crate::model::{EventId, EventKind, Region, Sequence};
use crate::storage::Storage;
use core::ops::ControlFlow;
use serde::Serialize;

/// What is to be erased: the events of a region, or one event.
///
/// Records of erasures are never erased themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErasureTarget {
    /// All events of a region.
    Region(Region),
    /// The event with this id.
    Event(EventId),
}

impl From<Region> for ErasureTarget {
    fn from(region: Region) -> Self {
        ErasureTarget::Region(region)
    }
}

impl From<&Region> for ErasureTarget {
    fn from(region: &Region) -> Self {
        ErasureTarget::Region(region.clone())
    }
}

impl From<EventId> for ErasureTarget {
    fn from(id: EventId) -> Self {
        ErasureTarget::Event(id)
    }
}

impl ErasureTarget {
    pub(super) fn region<S: Storage>(&self, reader: &Reader<S>) -> Result<Region, StoreError> {
        match self {
            ErasureTarget::Region(region) => Ok(region.clone()),
            ErasureTarget::Event(id) => {
                let found = reader.find(*id, |event| event.sequence())?;
                let sequence = found.ok_or(StoreError::NotFound(*id))?;
                Ok(Region::all().sequences(sequence..=sequence))
            }
        }
    }
}

/// What an erasure would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErasurePlan {
    /// Events whose content would go.
    pub events: u64,
    /// Bytes of their metadata and payloads.
    pub content_bytes: u64,
    /// Events of the target whose content is gone already.
    pub erased_before: u64,
    /// Segments that would be written anew.
    pub segments: u64,
    /// Bytes of their frames.
    pub segment_bytes: u64,
}

/// What an erasure needs to know of an event.
pub(super) struct Seen {
    pub(super) sequence: Sequence,
    pub(super) is_record: bool,
    /// `None` where it is erased.
    pub(super) content_len: Option<u64>,
}

impl Seen {
    pub(super) fn of(event: &EventRef<'_>) -> Self {
        let len = |payload: &[u8]| (payload.len() + event.metadata().map_or(0, <[u8]>::len)) as u64;
        Seen {
            sequence: event.sequence(),
            is_record: event.header().kind() == EventKind::ERASURE,
            content_len: event.payload().map(len),
        }
    }
}

impl<S: Storage> Reader<S> {
    /// What erasing a target would do; nothing is changed. `go_on` is asked now and then whether
    /// to, and with `Break` what was counted so far is returned.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] for an id that no event has; storage errors and corruption.
    pub fn plan_erasure(
        &self,
        target: &ErasureTarget,
        mut go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<ErasurePlan, StoreError> {
        let mut query = self.query(&target.region(self)?);
        let mut plan = ErasurePlan::default();
        let (mut last_place, mut looked) = (None, 0_u64);
        while let Some(seen) = query.next_with(Seen::of)? {
            match seen.content_len {
                None => plan.erased_before += 1,
                Some(_) if seen.is_record => {}
                Some(len) => {
                    plan.events += 1;
                    plan.content_bytes += len;
                    let place = self.view.place_of(seen.sequence);
                    if last_place != Some(place) {
                        last_place = Some(place);
                        plan.segments += 1;
                        plan.segment_bytes += self.view.at(place).map_or(0, |at| frames_len(&at));
                    }
                }
            }
            looked += 1;
            if looked.is_multiple_of(LOOK_STEP) && go_on().is_break() {
                break;
            }
        }
        Ok(plan)
    }
}

fn frames_len<S: Storage>(segment: &Segment<'_, S>) -> u64 {
    let end = match segment {
        Segment::Sealed(sealed) => sealed.footer.frames_end,
        Segment::Active(active) => active.index.read().frames_end(),
    };
    end.saturating_sub(segment.header().encoded_len() as u64)
}
