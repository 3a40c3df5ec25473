//! From a region to the ordinals of one segment that may match it, a bounded step at a time.
//!
//! The most selective list of postings drives and the columns filter; where no list is shorter
//! than the range that is left, the range itself drives. A step looks at a bounded number of
//! candidates and tells what is left, so that a lock is held briefly and memory stays constant.

use super::{Ordinal, PostingKey, PostingList, SegmentIndex};
use crate::model::{EntityFilter, EventKind, KindFilter, Region, Span, Version};
use alloc::vec::Vec;
use core::ops::Range;

/// Which way results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// More lists than this are not merged; the columns filter instead.
const LISTS_MAX: u32 = 64;

/// How many candidates one step looks at.
const STEP: u32 = 16 * 1024;

/// Going through so many ordinals takes about as long as searching a list for where they begin.
const SEARCH: u32 = 16;

/// How many postings are taken at least where the columns may refuse some of them.
const CANDIDATES_MIN: usize = 64;

#[derive(Debug)]
enum EntityTest {
    Any,
    One(u32),
    Sorted { exact: Option<u32>, range: Range<u32> },
    ByName(EntityFilter),
}

/// What lists of postings prove of an event that is in one of them, so that its columns need not
/// be looked at for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proves {
    Entity,
    Scope,
    Kind,
    Nothing,
}

/// What may match: lists that are merged, and single ordinals besides.
#[derive(Debug)]
struct Driver {
    proves: Proves,
    lists: Vec<PostingList>,
    single: Vec<Ordinal>,
}

impl Driver {
    fn new(proves: Proves, lists: impl IntoIterator<Item = PostingList>) -> Self {
        Driver { proves, lists: lists.into_iter().collect(), single: Vec::new() }
    }

    fn len(&self) -> u64 {
        let lists: u64 = self.lists.iter().map(|list| u64::from(list.len)).sum();
        lists + self.single.len() as u64
    }

    /// Whether to go through the lists is less work than to go through a range of ordinals. Of one
    /// list, no more than the range is within it, however long it is besides.
    fn is_shorter_than(&self, range: &Range<Ordinal>) -> bool {
        let len = range.end - range.start;
        let one = self.lists.len() == 1 && self.single.is_empty();
        self.len() < u64::from(len) || (one && len > SEARCH)
    }
}

/// A region resolved against the names of one segment.
#[derive(Debug)]
pub(crate) struct Plan {
    entity: EntityTest,
    scope: Option<u32>,
    kinds: Option<KindFilter>,
    versions: Option<Span<Version>>,
    times_us: Option<Span<i64>>,
    driver: Option<Driver>,
}

impl Plan {
    /// `None` where nothing in the segment can match.
    pub(crate) fn new<I: SegmentIndex>(
        index: &mut I,
        region: &Region,
    ) -> Result<Option<Self>, I::Error> {
        let mut drivers = Vec::new();
        let Some(entity) = entity_test(index, region.entity_filter(), &mut drivers)? else {
            return Ok(None);
        };
        let mut scope = None;
        if let Some(name) = region.scope_filter() {
            let Some(number) = index.scope(name)? else { return Ok(None) };
            scope = Some(number);
            let list = index.postings(PostingKey::Scope(number))?;
            drivers.extend(list.map(|list| Driver::new(Proves::Scope, [list])));
        }
        let kinds = region.kind_filter().cloned();
        if let Some(KindFilter::Set(set)) = &kinds {
            drivers.extend(kind_driver(index, set)?);
        }
        if let Some(id) = region.correlation_filter() {
            let list = index.postings(PostingKey::Correlation(id))?;
            let mut driver = Driver::new(Proves::Nothing, list);
            index.candidates_of_id(id, &mut |ordinal| driver.single.push(ordinal))?;
            drivers.push(driver);
        }
        if let Some(id) = region.causation_filter() {
            let list = index.postings(PostingKey::Causation(id))?;
            drivers.push(Driver::new(Proves::Nothing, list));
        }
        let driver = drivers.into_iter().min_by_key(Driver::len);
        if driver.as_ref().is_some_and(|driver| driver.len() == 0) {
            return Ok(None);
        }
        Ok(Some(Plan {
            entity,
            scope,
            kinds,
            versions: region.version_span(),
            times_us: region.time_span_us(),
            driver,
        }))
    }

    /// Appends at most `max` ordinals of `range` that may match to `out`, in `direction`, and
    /// returns what is left of the range; `None` when nothing is.
    pub(crate) fn select<I: SegmentIndex>(
        &self,
        index: &mut I,
        range: Range<Ordinal>,
        direction: Direction,
        max: usize,
        out: &mut Vec<Ordinal>,
    ) -> Result<Option<Range<Ordinal>>, I::Error> {
        if range.is_empty() {
            return Ok(None);
        }
        let by_list = self.driver.as_ref().filter(|driver| driver.is_shorter_than(&range));
        let proven = by_list.map_or(Proves::Nothing, |driver| driver.proves);
        let (candidates, covered) = match by_list {
            Some(driver) => {
                // Where all that is given matches, no more is asked for than is wanted.
                let max = if self.is_proven_by(proven) { max } else { max.max(CANDIDATES_MIN) };
                driver.candidates(index, &range, direction, max)?
            }
            None => (None, step_of(&range, direction)),
        };
        let mut covered = covered;
        if candidates.is_none() && self.takes_all() {
            let max = u32::try_from(max).unwrap_or(u32::MAX);
            match direction {
                Direction::Forward => {
                    covered.end = covered.end.min(covered.start.saturating_add(max));
                    out.extend(covered.clone());
                }
                Direction::Backward => {
                    covered.start = covered.start.max(covered.end.saturating_sub(max));
                    out.extend(covered.clone().rev());
                }
            }
            return Ok(left_of(&range, &covered, direction));
        }
        let room = out.len() + max;
        let mut visit = |index: &mut I, ordinal: Ordinal| -> Result<bool, I::Error> {
            if self.may_match(index, ordinal, proven)? {
                out.push(ordinal);
            }
            Ok(out.len() < room)
        };
        let mut stopped = None;
        match (&candidates, direction) {
            (Some(list), Direction::Forward) => {
                stopped = walk(index, list.iter().copied(), &mut visit)?;
            }
            (Some(list), Direction::Backward) => {
                stopped = walk(index, list.iter().rev().copied(), &mut visit)?;
            }
            (None, Direction::Forward) => {
                stopped = walk(index, covered.clone(), &mut visit)?.or(stopped);
            }
            (None, Direction::Backward) => {
                stopped = walk(index, covered.clone().rev(), &mut visit)?.or(stopped);
            }
        }
        if let Some(last) = stopped {
            match direction {
                Direction::Forward => covered.end = last + 1,
                Direction::Backward => covered.start = last,
            }
        }
        Ok(left_of(&range, &covered, direction))
    }

    /// Whether there is nothing to look at in an event.
    fn takes_all(&self) -> bool {
        matches!(self.entity, EntityTest::Any)
            && self.scope.is_none()
            && self.kinds.is_none()
            && self.versions.is_none()
            && self.times_us.is_none()
            && self.driver.is_none()
    }

    /// Whether `proven` says all that the columns could.
    fn is_proven_by(&self, proven: Proves) -> bool {
        (proven == Proves::Entity || matches!(self.entity, EntityTest::Any))
            && (proven == Proves::Scope || self.scope.is_none())
            && (proven == Proves::Kind || self.kinds.is_none())
            && proven != Proves::Nothing
            && self.versions.is_none()
            && self.times_us.is_none()
    }

    fn may_match<I: SegmentIndex>(
        &self,
        index: &mut I,
        ordinal: Ordinal,
        proven: Proves,
    ) -> Result<bool, I::Error> {
        let by_entity = proven != Proves::Entity && !matches!(self.entity, EntityTest::Any);
        let scope = self.scope.filter(|_| proven != Proves::Scope);
        if by_entity || scope.is_some() {
            let (entity, found) = index.coordinate_at(ordinal)?;
            let entity_fits = match &self.entity {
                _ if !by_entity => true,
                EntityTest::Any => true,
                EntityTest::One(number) => entity == *number,
                EntityTest::Sorted { exact, range } => {
                    *exact == Some(entity) || range.contains(&entity)
                }
                EntityTest::ByName(filter) => index.entity_matches(entity, filter)?,
            };
            if !entity_fits || scope.is_some_and(|wanted| wanted != found) {
                return Ok(false);
            }
        }
        if let Some(kinds) = &self.kinds
            && proven != Proves::Kind
            && !kinds.matches(index.kind_at(ordinal)?)
        {
            return Ok(false);
        }
        if let Some(versions) = &self.versions
            && !versions.contains(&index.version_at(ordinal)?)
        {
            return Ok(false);
        }
        match &self.times_us {
            Some(times) => Ok(times.contains(&index.time_us_at(ordinal)?)),
            None => Ok(true),
        }
    }
}

impl Driver {
    /// The next candidates, ascending, and the part of `range` that they stand for.
    #[expect(clippy::type_complexity, reason = "a pair of what and where, named by the summary")]
    fn candidates<I: SegmentIndex>(
        &self,
        index: &mut I,
        range: &Range<Ordinal>,
        direction: Direction,
        max: usize,
    ) -> Result<(Option<Vec<Ordinal>>, Range<Ordinal>), I::Error> {
        let take = u32::try_from(max).unwrap_or(u32::MAX);
        let mut found: Vec<Ordinal> =
            self.single.iter().copied().filter(|ordinal| range.contains(ordinal)).collect();
        let mut covered = range.clone();
        for list in &self.lists {
            let low = index.postings_below(list, range.start)?;
            let high = index.postings_below(list, range.end)?;
            let part = match direction {
                Direction::Forward => low..high.min(low.saturating_add(take)),
                Direction::Backward => low.max(high.saturating_sub(take))..high,
            };
            index.postings_in(list, part.clone(), &mut found)?;
            // A list that was cut speaks only for the range up to its last element taken.
            match direction {
                Direction::Forward if part.end < high => {
                    covered.end = covered.end.min(index.posting(list, part.end)?);
                }
                Direction::Backward if part.start > low => {
                    covered.start = covered.start.max(index.posting(list, part.start)?);
                }
                _ => {}
            }
        }
        if self.lists.len() + self.single.len() > 1 {
            found.retain(|ordinal| covered.contains(ordinal));
            found.sort_unstable();
            found.dedup();
        }
        Ok((Some(found), covered))
    }
}

fn entity_test<I: SegmentIndex>(
    index: &mut I,
    filter: Option<&EntityFilter>,
    drivers: &mut Vec<Driver>,
) -> Result<Option<EntityTest>, I::Error> {
    let (exact, prefix) = match filter {
        None => return Ok(Some(EntityTest::Any)),
        Some(EntityFilter::Exact(name)) => {
            let Some(number) = index.entity(name)? else { return Ok(None) };
            let list = index.postings(PostingKey::Entity(number))?;
            drivers.extend(list.map(|list| Driver::new(Proves::Entity, [list])));
            return Ok(Some(EntityTest::One(number)));
        }
        Some(EntityFilter::Namespace(name)) => (index.entity(name)?, alloc::format!("{name}:")),
        Some(EntityFilter::Prefix(prefix)) => (None, prefix.as_str().into()),
    };
    let Some(range) = index.entities_with_prefix(&prefix)? else {
        return Ok(filter.cloned().map(EntityTest::ByName));
    };
    let entities = range.clone().count() + usize::from(exact.is_some());
    if entities == 0 {
        return Ok(None);
    }
    if range.end - range.start < LISTS_MAX {
        let mut driver = Driver::new(Proves::Entity, []);
        for number in exact.into_iter().chain(range.clone()) {
            driver.lists.extend(index.postings(PostingKey::Entity(number))?);
        }
        drivers.push(driver);
    }
    Ok(Some(EntityTest::Sorted { exact, range }))
}

fn kind_driver<I: SegmentIndex>(
    index: &mut I,
    set: &[EventKind],
) -> Result<Option<Driver>, I::Error> {
    if set.len() as u64 > u64::from(LISTS_MAX) {
        return Ok(None);
    }
    let mut driver = Driver::new(Proves::Kind, []);
    for kind in set {
        driver.lists.extend(index.postings(PostingKey::Kind(*kind))?);
    }
    Ok(Some(driver))
}

fn step_of(range: &Range<Ordinal>, direction: Direction) -> Range<Ordinal> {
    match direction {
        Direction::Forward => range.start..range.end.min(range.start.saturating_add(STEP)),
        Direction::Backward => range.start.max(range.end.saturating_sub(STEP))..range.end,
    }
}

/// What of a range is left behind the part that was looked at; `None` where nothing is.
fn left_of(
    range: &Range<Ordinal>,
    covered: &Range<Ordinal>,
    direction: Direction,
) -> Option<Range<Ordinal>> {
    let left = match direction {
        Direction::Forward => covered.end..range.end,
        Direction::Backward => range.start..covered.start,
    };
    (!left.is_empty()).then_some(left)
}

/// Shows `visit` each ordinal until it says stop, and returns the one where it did.
fn walk<I: SegmentIndex>(
    index: &mut I,
    ordinals: impl Iterator<Item = Ordinal>,
    visit: &mut impl FnMut(&mut I, Ordinal) -> Result<bool, I::Error>,
) -> Result<Option<Ordinal>, I::Error> {
    for ordinal in ordinals {
        if !visit(index, ordinal)? {
            return Ok(Some(ordinal));
        }
    }
    Ok(None)
}
