//! The events of a region, in sequence order, forward or backward, lazily.
//!
//! Segments are asked one after the other, in bounded steps; the events that a step finds are
//! read in spans and checked against the region whole, so that an answer never rests on an index
//! alone. Memory is constant however many events match.

use crate::index::{Direction, Ordinal, Plan, Rank, SegmentIndex};
use crate::log::StoreError;
use crate::log::decode::EventRef;
use crate::log::fetch::{Place, Span};
use crate::log::reader::{Reader, place_at};
use crate::log::segments::{SealedSegment, Segment};
use crate::model::{Event, Region, Sequence};
use crate::storage::Storage;
use alloc::vec::Vec;
use core::ops::Range;

/// The first step finds few, so that a limit of one reads one; each next one finds more.
const STEP_MIN: usize = 16;
const STEP_MAX: usize = 1024;

/// See the module. An [`Iterator`] over `Result<Event, StoreError>`; it ends after an error.
pub struct Query<S: Storage> {
    reader: Reader<S>,
    region: Region,
    /// Whether every event matches, as far as is known: looked at where a segment is entered.
    takes_all: bool,
    direction: Direction,
    /// The sequences that are still to be asked for.
    left: Range<Sequence>,
    limit: u64,
    step: usize,
    /// The segment that is being asked, and what of it is left.
    segment: Option<(usize, Range<u32>)>,
    /// What to ask a sealed segment that is being asked, and whether its index was a rebuilt one.
    plan: Option<(bool, Plan)>,
    /// Where in the last sealed segment that had it the entity stands.
    rank: Option<Rank>,
    places: Vec<Place>,
    next_place: usize,
    span: Span,
}

/// Matches that a query has passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// How many.
    pub events: u64,
    /// Where the last of them stands; `None` where there were none.
    pub last: Option<Sequence>,
}

impl<S: Storage> core::fmt::Debug for Query<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Query")
            .field("region", &self.region)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Query<S> {
    pub(crate) fn new(reader: Reader<S>, region: Region) -> Self {
        let mut left = Sequence::ZERO..reader.end;
        if let Some(span) = region.sequence_span() {
            left.start = left.start.max(span.first);
            left.end = left.end.min(span.last.checked_next().unwrap_or(Sequence::MAX));
        }
        if region.is_empty() {
            left.end = left.start;
        }
        Query {
            reader,
            takes_all: false,
            region,
            direction: Direction::Forward,
            left,
            limit: u64::MAX,
            step: STEP_MIN,
            segment: None,
            plan: None,
            rank: None,
            places: Vec::new(),
            next_place: 0,
            span: Span::default(),
        }
    }

    /// Newest first. To be said before the first event is taken.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Only events from this sequence on, found by seek. To be said before the first event is
    /// taken.
    #[must_use]
    pub fn starting_at(mut self, first: Sequence) -> Self {
        self.left.start = self.left.start.max(first);
        self
    }

    /// At most so many events.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Shows the next event to `take`, borrowed from the bytes that were read.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption. The query is at its end then.
    pub fn next_with<T>(
        &mut self,
        take: impl FnOnce(&EventRef<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        let found = self.find_next(take);
        if found.is_err() {
            self.limit = 0;
        }
        found
    }

    /// Passes over the next events, `max` at most, and says how many there were and where the last
    /// one stood. Where the index alone can tell what matches, no event is read for that; causes
    /// and correlations are looked up on the events.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption. The query is at its end then.
    pub fn skip_matches(&mut self, max: u64) -> Result<Skipped, StoreError> {
        let skipped = self.skip(max);
        if skipped.is_err() {
            self.limit = 0;
        }
        skipped
    }

    fn skip(&mut self, max: u64) -> Result<Skipped, StoreError> {
        let by_id = self.region.correlation_filter().or(self.region.causation_filter()).is_some();
        let mut skipped = Skipped::default();
        while skipped.events < max {
            let sequence =
                if by_id { self.find_next(|event| event.sequence())? } else { self.skip_next()? };
            let Some(sequence) = sequence else { break };
            skipped.events += 1;
            skipped.last = Some(sequence);
        }
        Ok(skipped)
    }

    /// The next match, as the columns of the index tell it.
    fn skip_next(&mut self) -> Result<Option<Sequence>, StoreError> {
        if self.limit == 0 {
            return Ok(None);
        }
        loop {
            if let Some(place) = self.places.get(self.next_place) {
                self.next_place += 1;
                self.limit -= 1;
                return Ok(Some(place.sequence));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    fn find_next<T>(
        &mut self,
        take: impl FnOnce(&EventRef<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        if self.limit == 0 {
            return Ok(None);
        }
        loop {
            while let Some(place) = self.places.get(self.next_place) {
                if !self.span.holds(place) {
                    let segment = asked(&self.reader, self.segment.as_ref());
                    self.span.load(&segment, &self.places[self.next_place..])?;
                }
                self.next_place += 1;
                // Looked at where it was put: an event is large to move about.
                match self.span.event(place) {
                    Ok(ref event)
                        if self.takes_all
                            || self.region.matches_ref(place.sequence, event.header()) =>
                    {
                        self.limit -= 1;
                        return Ok(Some(take(event)));
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        let segment = asked(&self.reader, self.segment.as_ref());
                        return Err(segment.corruption(place, fault));
                    }
                }
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// Asks for the next places; `false` where there are none any more.
    fn refill(&mut self) -> Result<bool, StoreError> {
        self.places.clear();
        self.next_place = 0;
        loop {
            // Of a segment that is done with only the places were left.
            let segment = self.segment.take().filter(|(_, ordinals)| !ordinals.is_empty());
            let Some((at, ordinals)) = segment else {
                if !self.enter_segment()? {
                    return Ok(false);
                }
                continue;
            };
            let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX).min(self.step);
            let rest = self.select(at, ordinals, wanted)?;
            self.step = (self.step * 2).min(STEP_MAX);
            // An empty range of ordinals stays to say which segment the places are of.
            let done = rest.is_none();
            self.segment = (!done || !self.places.is_empty()).then(|| (at, rest.unwrap_or(0..0)));
            if !self.places.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Turns to the next segment that has sequences left; `false` where none has.
    fn enter_segment(&mut self) -> Result<bool, StoreError> {
        self.span.clear();
        self.plan = None;
        while self.left.start < self.left.end {
            let at = match self.direction {
                Direction::Forward => self.reader.view.place_of(self.left.start),
                Direction::Backward => {
                    let last = self.left.end.checked_prev().unwrap_or(Sequence::ZERO);
                    self.reader.view.place_of(last)
                }
            };
            let Some(segment) = self.reader.view.at(at) else {
                self.left.end = self.left.start;
                return Ok(false);
            };
            let asked = self.left.clone();
            let (first, end) = match &segment {
                Segment::Active(active) => (active.header.base_sequence, self.reader.end),
                Segment::Sealed(sealed) => {
                    (sealed.footer.first_sequence, sealed.footer.end_sequence)
                }
            };
            match self.direction {
                Direction::Forward => self.left.start = end.min(self.left.end).max(self.left.start),
                Direction::Backward => self.left.end = first.max(self.left.start),
            }
            if let Some(ordinals) = self.ordinals(&segment, &asked)? {
                self.segment = Some((at, ordinals));
                self.takes_all = self.region == Region::all();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The ordinals of a segment within a range of sequences; `None` where it can't hold a match.
    fn ordinals(
        &self,
        segment: &Segment<'_, S>,
        asked: &Range<Sequence>,
    ) -> Result<Option<Range<u32>>, StoreError> {
        let ordinals = match segment {
            Segment::Active(active) => {
                let index = active.index.read();
                let mut index = &*index;
                let end = index.ordinal_from(asked.end)?.min(self.reader.active_end(active));
                index.ordinal_from(asked.start)?..end
            }
            Segment::Sealed(sealed) => {
                if !self.may_match(sealed)? {
                    return Ok(None);
                }
                let footer = &sealed.footer;
                let dense =
                    footer.event_count == footer.end_sequence.get() - footer.first_sequence.get();
                if dense && asked.start <= footer.first_sequence && asked.end >= footer.end_sequence
                {
                    0..u32::try_from(footer.event_count).unwrap_or(u32::MAX)
                } else {
                    sealed.with_index(&self.reader.shared, |index| {
                        Ok(index.ordinal_from(asked.start)?..index.ordinal_from(asked.end)?)
                    })?
                }
            }
        };
        Ok((!ordinals.is_empty()).then_some(ordinals))
    }

    /// What the footer and the filter of a sealed segment say.
    fn may_match(&self, sealed: &SealedSegment<S>) -> Result<bool, StoreError> {
        if let Some(times) = self.region.time_span_us()
            && (times.last < sealed.footer.time_min_us || times.first > sealed.footer.time_max_us)
        {
            return Ok(false);
        }
        match self.region.entity_filter() {
            Some(crate::model::EntityFilter::Exact(name)) => {
                sealed.may_contain(&self.reader.shared, self.reader.shared.hasher.name(name))
            }
            _ => Ok(true),
        }
    }

    /// Asks a segment's index for at most `wanted` places and returns what is left of its range.
    fn select(
        &mut self,
        at: usize,
        ordinals: Range<u32>,
        wanted: usize,
    ) -> Result<Option<Range<u32>>, StoreError> {
        let (region, direction) = (&self.region, self.direction);
        let mut found = Vec::new();
        match self.reader.view.at(at) {
            None => Ok(None),
            Some(Segment::Active(active)) => {
                let index = active.index.read();
                let mut view = &*index;
                let Some(plan) = Plan::new(&mut view, region)? else { return Ok(None) };
                let rest = plan.select(&mut view, ordinals, direction, wanted, &mut found)?;
                place_all(&mut view, &found, index.frames_end(), &mut self.places)?;
                Ok(rest)
            }
            Some(Segment::Sealed(sealed)) => {
                let (places, kept, rank) = (&mut self.places, &mut self.plan, &mut self.rank);
                sealed.with_index(&self.reader.shared, |index| {
                    found.clear();
                    places.clear();
                    let rebuilt = index.is_rebuilt();
                    let plan = match kept.take() {
                        Some((of, plan)) if of == rebuilt => Some(plan),
                        _ => {
                            index.expect_entity(*rank);
                            let plan = Plan::new(index, region)?;
                            *rank = index.entity_rank();
                            plan
                        }
                    };
                    let Some(plan) = plan else { return Ok(None) };
                    let rest =
                        plan.select(index, ordinals.clone(), direction, wanted, &mut found)?;
                    place_all(index, &found, sealed.footer.frames_end, places)?;
                    *kept = Some((rebuilt, plan));
                    Ok(rest)
                })
            }
        }
    }
}

/// The segment that is being asked, while there are places of it.
fn asked<'a, S: Storage>(
    reader: &'a Reader<S>,
    segment: Option<&(usize, Range<u32>)>,
) -> Segment<'a, S> {
    let segment = segment.and_then(|(at, _)| reader.view.at(*at));
    segment.expect("places are of a segment of the view")
}

/// Appends the places of ascending or descending `ordinals`, run by run.
fn place_all<I: SegmentIndex>(
    index: &mut I,
    ordinals: &[Ordinal],
    frames_end: u64,
    places: &mut Vec<Place>,
) -> Result<(), I::Error> {
    places.reserve(ordinals.len());
    let mut offsets = Vec::new();
    for run in ordinals.chunk_by(|before, next| before.checked_add(1) == Some(*next)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        if run.len() == 1 {
            places.push(place_at(index, *first, frames_end)?);
            continue;
        }
        offsets.clear();
        offsets.reserve(run.len() + 1);
        index.offsets_in(*first..*last + 1, &mut offsets)?;
        offsets.push(index.end_at(*last, frames_end)?);
        let (from, to) = (index.sequence_at(*first)?, index.sequence_at(*last)?);
        let dense = to.get().checked_sub(from.get()) == Some(u64::from(*last - *first));
        let bounds = offsets.iter().zip(offsets.iter().skip(1));
        if dense {
            places.extend((from.get()..=to.get()).zip(bounds).map(
                |(sequence, (offset, bound))| Place {
                    sequence: Sequence::new(sequence),
                    offset: *offset,
                    bound: *bound,
                },
            ));
            continue;
        }
        for (ordinal, (offset, bound)) in run.iter().zip(bounds) {
            let sequence = index.sequence_at(*ordinal)?;
            places.push(Place { sequence, offset: *offset, bound: *bound });
        }
    }
    Ok(())
}

impl<S: Storage> Iterator for Query<S> {
    type Item = Result<Event, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Put where it is returned from: an event is large to move about.
        let mut owned = None;
        match self.next_with(|event| owned = Some(Ok(event.to_owned()))) {
            Ok(_) => owned,
            Err(error) => Some(Err(error)),
        }
    }
}
