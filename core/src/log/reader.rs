//! What readers see: one prefix of the log, for as long as they hold it.

use crate::format::segment::StoreId;
use crate::index::{Ordinal, PostingKey, PrunedHead, SegmentIndex};
use crate::log::StoreError;
use crate::log::decode::EventRef;
use crate::log::fetch::{Place, Span};
use crate::log::heads::{Head, HeadKey, KnownHead};
use crate::log::query::Query;
use crate::log::segments::{ActiveSegment, Segment, View};
use crate::log::shared::Shared;
use crate::model::{Event, EventId, Hash, Region, Sequence, Version};
use crate::storage::Storage;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A consistent prefix of the log. Cheap to clone; `Send` and `Sync` where the storage's files
/// are.
///
/// It sees the same events for as long as it is held, through appends, rotation and compaction;
/// [`Reader::refresh`] moves it on.
pub struct Reader<S: Storage> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) view: Arc<View<S>>,
    pub(crate) end: Sequence,
}

impl<S: Storage> Clone for Reader<S> {
    fn clone(&self) -> Self {
        let Reader { shared, view, end } = self;
        Reader { shared: Arc::clone(shared), view: Arc::clone(view), end: *end }
    }
}

impl<S: Storage> core::fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Reader").field("end", &self.end).finish_non_exhaustive()
    }
}

/// Gives out readers of what is visible at the time.
///
/// Unlike a reader it keeps no segment that a compaction has replaced, so it may be held for as
/// long as anybody likes. It outlives the log: what was visible last stays readable. Cheap to
/// clone.
pub struct Readers<S: Storage> {
    shared: Arc<Shared<S>>,
}

impl<S: Storage> Clone for Readers<S> {
    fn clone(&self) -> Self {
        Readers { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Storage> core::fmt::Debug for Readers<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Readers").field("end", &self.end()).finish_non_exhaustive()
    }
}

impl<S: Storage> Readers<S> {
    pub(crate) fn new(shared: &Arc<Shared<S>>) -> Self {
        Readers { shared: Arc::clone(shared) }
    }

    /// A reader of everything committed so far.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        Reader::new(&self.shared)
    }

    /// The sequence behind the last event committed so far.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.shared.ends().0
    }
}

/// The newest event of a stream, as far as an index tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamHead {
    /// Its place in the stream.
    pub version: Version,
    /// Its place in the store.
    pub sequence: Sequence,
}

impl<S: Storage> Reader<S> {
    pub(crate) fn new(shared: &Arc<Shared<S>>) -> Self {
        let published = shared.published();
        Reader { shared: Arc::clone(shared), view: published.view, end: published.end }
    }

    /// The sequence behind the last event that this reader sees.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.end
    }

    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.shared.store_id
    }

    /// Moves on to what is visible now.
    pub fn refresh(&mut self) {
        *self = Reader::new(&self.shared);
    }

    /// The event with an id; an erased one comes with [`Payload::Erased`](crate::Payload::Erased).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where there is none; storage errors and corruption.
    pub fn get(&self, id: EventId) -> Result<Event, StoreError> {
        let found = self.find(id, |event| event.to_owned())?;
        found.ok_or(StoreError::NotFound(id))
    }

    /// Shows the event with an id to `take`, borrowed from the bytes that were read; `None` where
    /// there is none.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn get_with<T>(
        &self,
        id: EventId,
        take: impl FnMut(&EventRef<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        self.find(id, take)
    }

    /// The event at a sequence.
    ///
    /// # Errors
    ///
    /// [`StoreError::SequenceNotFound`] where there is none: behind the end, or pruned; storage
    /// errors and corruption.
    pub fn get_at(&self, sequence: Sequence) -> Result<Event, StoreError> {
        let missing = StoreError::SequenceNotFound(sequence);
        let located = if sequence < self.end { self.locate(sequence)? } else { None };
        let Some((place_in_view, place)) = located else { return Err(missing) };
        let Some(segment) = self.view.at(place_in_view) else { return Err(missing) };
        self.read(&segment, place, |event| event.to_owned())
    }

    /// The events of a region, in sequence order, lazily.
    #[must_use]
    pub fn query(&self, region: &Region) -> Query<S> {
        Query::new(self.clone(), region.clone())
    }

    /// The events of one entity, exactly, by version.
    #[must_use]
    pub fn stream(&self, entity: &str) -> Query<S> {
        self.query(&Region::stream(entity))
    }

    /// The newest event of a stream; `None` where it never had one. Retention may have dropped the
    /// event itself: the stream's versions go on behind it.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn head(&self, entity: &str) -> Result<Option<StreamHead>, StoreError> {
        self.head_since(entity, Sequence::ZERO)
    }

    /// As [`head`](Reader::head), of the segments that reach behind `first` alone.
    pub(crate) fn head_since(
        &self,
        entity: &str,
        first: Sequence,
    ) -> Result<Option<StreamHead>, StoreError> {
        let head = match self.active_head(entity)? {
            Some(head) => Some(head),
            None => self.sealed_head(entity, first)?.map(|known| known.head),
        };
        let head = head.map(|Head { version, sequence, .. }| StreamHead { version, sequence });
        Ok(head.filter(|head| head.sequence >= first))
    }

    /// The newest version of a stream and the hash that its next event will name.
    pub(crate) fn head_hash(&self, entity: &str) -> Result<Option<(Version, Hash)>, StoreError> {
        if let Some(head) = self.active_head(entity)? {
            let hash = self.event_hash_at(head.sequence)?;
            return Ok(hash.map(|hash| (head.version, hash)));
        }
        let Some(mut known) = self.sealed_head(entity, Sequence::ZERO)? else { return Ok(None) };
        if let Some(hash) = known.head.hash {
            return Ok(Some((known.head.version, hash)));
        }
        let hash = match self.event_hash_at(known.head.sequence)? {
            Some(hash) => Some(hash),
            // Retention has dropped the event since; its mark has the hash.
            None => self.search_head(entity, Sequence::ZERO)?.and_then(|head| head.hash),
        };
        known.head.hash = hash;
        self.shared.heads.put(self.head_key(entity), known);
        Ok(hash.map(|hash| (known.head.version, hash)))
    }

    /// The hash of the event at a sequence; `None` where retention has dropped it, or where there
    /// is none.
    pub(crate) fn event_hash_at(&self, sequence: Sequence) -> Result<Option<Hash>, StoreError> {
        let located = if sequence < self.end { self.locate(sequence)? } else { None };
        let Some((at, place)) = located else { return Ok(None) };
        let Some(segment) = self.view.at(at) else { return Ok(None) };
        let mut span = Span::default();
        span.load(&segment, &[place])?;
        span.event_hash(&segment, &place).map(Some)
    }

    /// As [`event_hash_at`](Reader::event_hash_at), from memory where it was asked for lately, or
    /// where the event is the newest of its stream and in the active segment.
    pub(crate) fn known_event_hash(&self, sequence: Sequence) -> Result<Option<Hash>, StoreError> {
        if sequence >= self.end {
            return Ok(None);
        }
        if let Some(hash) = self.shared.hashes.get(sequence) {
            return Ok(Some(hash));
        }
        let hash = match self.active_head_hash(sequence) {
            Some(hash) => Some(hash),
            None => self.event_hash_at(sequence)?,
        };
        if let Some(hash) = hash {
            self.shared.hashes.put(sequence, hash);
        }
        Ok(hash)
    }

    /// What the active segment's index knows of an event's hash without looking at the event.
    fn active_head_hash(&self, sequence: Sequence) -> Option<Hash> {
        let active = self.view.active.as_ref()?;
        let first = active.header.base_sequence.get();
        let ordinal = u32::try_from(sequence.get().checked_sub(first)?).ok()?;
        active.index.read().head_hash_of(ordinal, sequence)
    }

    /// The number of the newest segment in whose making a compaction dropped or erased events
    /// before `end`; 0 where there is none. It changes whenever any of them is lost, and not when
    /// segments are merged.
    pub(crate) fn newest_loss_before(&self, end: Sequence) -> u64 {
        let sealed = self.view.sealed.iter();
        let before = sealed.take_while(|sealed| sealed.header.base_sequence < end);
        before.map(|sealed| sealed.newest_loss()).max().unwrap_or(0)
    }

    /// Runs `take` on the event with an id.
    pub(crate) fn find<T>(
        &self,
        id: EventId,
        mut take: impl FnMut(&EventRef<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        for at in (0..self.view.len()).rev() {
            if let Some(found) = self.find_in(at, id, &mut take)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// As [`find`](Reader::find), in one segment of the view alone.
    pub(crate) fn find_in<T>(
        &self,
        at: usize,
        id: EventId,
        mut take: impl FnMut(&EventRef<'_>) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(segment) = self.view.at(at) else { return Ok(None) };
        let (first, more) = self.candidates(&segment, id)?;
        for place in first.into_iter().chain(more) {
            let matching = |event: &EventRef<'_>| (event.header().id() == id).then(|| take(event));
            if let Some(found) = self.read(&segment, place, matching)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Where the events stand that may carry `id`, few and mostly none or one.
    fn candidates(&self, segment: &Segment<'_, S>, id: EventId) -> Result<Candidates, StoreError> {
        match segment {
            Segment::Active(active) => {
                let index = active.index.read();
                let end = self.active_end(active);
                Ok(places_of_id(&mut &*index, id, end, index.frames_end())?)
            }
            Segment::Sealed(sealed) => {
                let footer = &sealed.footer;
                if id < footer.id_min || id > footer.id_max {
                    return Ok(Candidates::default());
                }
                let key = self.shared.hasher.id_filter_key(id);
                if !sealed.may_contain(&self.shared, key)? {
                    return Ok(Candidates::default());
                }
                let frames_end = footer.frames_end;
                sealed.with_index(&self.shared, |index| {
                    places_of_id(index, id, index.event_count(), frames_end)
                })
            }
        }
    }

    /// A stream's newest event in the active segment, as far as this reader sees.
    fn active_head(&self, entity: &str) -> Result<Option<Head>, StoreError> {
        let Some(active) = &self.view.active else { return Ok(None) };
        let index = active.index.read();
        let mut view = &*index;
        let Some(number) = view.entity(entity)? else { return Ok(None) };
        let Some(list) = view.postings(PostingKey::Entity(number))? else {
            return Ok(None);
        };
        let seen = view.postings_below(&list, self.active_end(active))?;
        let Some(last) = seen.checked_sub(1) else { return Ok(None) };
        let ordinal = view.posting(&list, last)?;
        let (version, sequence) = (view.version_at(ordinal)?, view.sequence_at(ordinal)?);
        Ok(Some(Head { version, sequence, hash: None }))
    }

    /// A stream's newest event in the sealed segments, if a segment has it that reaches behind
    /// `first`: the known one, or one in the segments that are newer than what is known.
    fn sealed_head(&self, entity: &str, first: Sequence) -> Result<Option<KnownHead>, StoreError> {
        let Some(newest) = self.view.sealed.last() else { return Ok(None) };
        let border = newest.footer.end_sequence;
        let key = self.head_key(entity);
        let known = self.shared.heads.get(key, border);
        let searched_to = known.map_or(Sequence::ZERO, |known| known.border);
        if searched_to >= border {
            return Ok(known);
        }
        let found = self.search_head(entity, first.max(searched_to))?;
        // A search that did not go back far enough says nothing about older events.
        let head = found.or_else(|| known.map(|known| known.head));
        let complete = found.is_some() || first <= searched_to;
        let Some(head) = head.filter(|_| complete) else { return Ok(None) };
        let known = KnownHead { head, border };
        self.shared.heads.put(key, known);
        Ok(Some(known))
    }

    fn head_key(&self, entity: &str) -> HeadKey {
        self.shared.heads.key(entity, self.shared.hasher.name(entity))
    }

    /// A stream's newest event in those of the sealed segments that reach behind `first`.
    fn search_head(&self, entity: &str, first: Sequence) -> Result<Option<Head>, StoreError> {
        let hash = self.shared.hasher.name(entity);
        let newest_first = self.view.sealed.iter().rev();
        for sealed in newest_first.take_while(|sealed| sealed.footer.end_sequence > first) {
            if !sealed.may_contain(&self.shared, hash)? {
                continue;
            }
            let found = sealed.with_index(&self.shared, |index| {
                if let Some(PrunedHead { version, sequence, hash }) = index.pruned_head(entity)? {
                    return Ok(Some(Head { version, sequence, hash: Some(hash) }));
                }
                let Some((version, ordinal)) = index.head(entity)? else { return Ok(None) };
                let sequence = index.sequence_at(ordinal)?;
                Ok(Some(Head { version, sequence, hash: None }))
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The segment's place in the view and the record's place in the segment.
    pub(crate) fn locate(&self, sequence: Sequence) -> Result<Option<(usize, Place)>, StoreError> {
        let at = self.view.place_of(sequence);
        let place = match self.view.at(at) {
            None => None,
            Some(Segment::Active(active)) => {
                let index = active.index.read();
                let mut view = &*index;
                let ordinal = view.ordinal_from(sequence)?;
                let seen = ordinal < self.active_end(active);
                if seen { Some(place_at(&mut view, ordinal, index.frames_end())?) } else { None }
            }
            Some(Segment::Sealed(sealed)) => sealed.with_index(&self.shared, |index| {
                let ordinal = index.ordinal_from(sequence)?;
                if ordinal >= index.event_count() {
                    return Ok(None);
                }
                place_at(index, ordinal, sealed.footer.frames_end).map(Some)
            })?,
        };
        Ok(place.filter(|place| place.sequence == sequence).map(|place| (at, place)))
    }

    /// How many of the active segment's events this reader sees.
    pub(crate) fn active_end(&self, active: &ActiveSegment<S>) -> u32 {
        let seen = self.end.get().saturating_sub(active.header.base_sequence.get());
        u32::try_from(seen).unwrap_or(u32::MAX)
    }

    /// Where in the active segment's file the frames end that this reader sees.
    pub(crate) fn active_frames_end(&self, active: &ActiveSegment<S>) -> Result<u64, StoreError> {
        let index = active.index.read();
        let seen = self.active_end(active);
        if seen >= index.event_count() {
            return Ok(index.frames_end());
        }
        // A batch is seen whole or not, so the first event that is not is the first of a frame.
        let mut view = &*index;
        Ok(view.offset_at(seen)? - crate::format::frame::FRAME_HEADER_LEN as u64)
    }

    /// Reads one event and runs `take` on it.
    pub(crate) fn read<T>(
        &self,
        segment: &Segment<'_, S>,
        place: Place,
        take: impl FnOnce(&EventRef<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut span = Span::default();
        span.load(segment, &[place])?;
        match span.event(&place) {
            Ok(ref event) => Ok(take(event)),
            Err(fault) => Err(segment.corruption(&place, fault)),
        }
    }
}

/// The first place that may be an id's, and the others; there is nearly never more than one.
type Candidates = (Option<Place>, Vec<Place>);

/// Where the events stand below `end` that may carry `id`.
fn places_of_id<I: SegmentIndex>(
    index: &mut I,
    id: EventId,
    end: Ordinal,
    frames_end: u64,
) -> Result<Candidates, I::Error> {
    let (mut first, mut more) = (None, Vec::new());
    index.candidates_of_id(id, &mut |ordinal| match first {
        _ if ordinal >= end => {}
        None => first = Some(ordinal),
        Some(_) => more.push(ordinal),
    })?;
    let mut place = |ordinal| place_at(index, ordinal, frames_end);
    let first = first.map(&mut place).transpose()?;
    Ok((first, more.into_iter().map(place).collect::<Result<_, _>>()?))
}

/// Where the event with an ordinal stands, and where it ends at the latest.
pub(crate) fn place_at<I: SegmentIndex>(
    index: &mut I,
    ordinal: Ordinal,
    frames_end: u64,
) -> Result<Place, I::Error> {
    let bound = index.end_at(ordinal, frames_end)?;
    Ok(Place { sequence: index.sequence_at(ordinal)?, offset: index.offset_at(ordinal)?, bound })
}
