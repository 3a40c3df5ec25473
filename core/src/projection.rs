//! States made from events, by replay, and kept up to date by the new events alone.
//!
//! A projection is a pure function of the events that it takes in. What a cache gives back is
//! proven before it is used; whatever is wrong with it, the answer is the one that a replay gives.

mod cache;
mod checkpoints;
mod entry;
mod memory;
mod projector;

pub use cache::{CacheError, CacheFault, NoCache, ProjectionCache, ProjectionKey};
pub use checkpoints::CheckpointCache;
pub use memory::MemoryCache;
pub use projector::{Freshness, Projector};

use crate::log::{EventRef, Reader, StoreError};
use crate::model::{
    AppendCondition, CodecError, EventKind, EventPayload, ExpectedVersion, Region, Sequence,
    Upcasts, Version,
};
use crate::storage::Storage;
use alloc::boxed::Box;
use core::ops::Deref;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A state that events make: begins as its default and takes in one event after the other.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, Host, Log, LogConfig, MemoryStorage};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// use annals_core::{CodecError, EventKind, EventPayload, EventSourced, SourceEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct ItemAdded {
///     cents: u64,
/// }
///
/// impl EventPayload for ItemAdded {
///     const KIND: EventKind = EventKind::new(1, 1);
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct OrderTotal {
///     cents: u64,
/// }
///
/// impl EventSourced for OrderTotal {
///     const NAME: &'static str = "order-total";
///     const KINDS: Option<&'static [EventKind]> = Some(&[ItemAdded::KIND]);
///
///     fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
///         self.cents += event.decode::<ItemAdded>()?.cents;
///         Ok(())
///     }
/// }
///
/// let order = Coordinate::new("order:5", "shop")?;
/// let added = ItemAdded { cents: 995 }.to_payload()?;
/// log.append(&Append::new(order, ItemAdded::KIND, added))?;
/// let total = log.reader().project::<OrderTotal>("order:5")?.expect("the order is known");
/// assert_eq!(total.state.cents, 995);
/// assert!(log.reader().project::<OrderTotal>("order:6")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait EventSourced: Default {
    /// The projection's name, unique among the projections that share a cache.
    const NAME: &'static str;

    /// The version of the state and of what `apply` does, to be raised when either changes: what
    /// caches hold of other versions is not used.
    const VERSION: u32 = 1;

    /// The kinds that matter; events of others are not read. `None` for all.
    const KINDS: Option<&'static [EventKind]> = None;

    /// Takes in the next event. Kinds that it does not know, it leaves alone.
    ///
    /// # Errors
    ///
    /// What decoding the payload says. The state must be as it was then.
    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError>;
}

/// A projection whose state a cache can keep: any that serde can write and read.
pub trait CachedState: EventSourced + Serialize + DeserializeOwned {}

impl<T: EventSourced + Serialize + DeserializeOwned> CachedState for T {}

/// An event on its way into a projection. All of [`EventRef`] is there by dereference.
#[derive(Debug, Clone, Copy)]
pub struct SourceEvent<'a> {
    event: EventRef<'a>,
    upcasts: &'a Upcasts,
}

impl SourceEvent<'_> {
    /// The event's kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.event.header().kind()
    }

    /// Decodes the payload as the newest version of its type, lifting an older one.
    ///
    /// # Errors
    ///
    /// As [`EventRef::decode_as`].
    pub fn decode<T: EventPayload>(&self) -> Result<T, CodecError> {
        self.event.decode_as(self.upcasts)
    }
}

impl<'a> Deref for SourceEvent<'a> {
    type Target = EventRef<'a>;

    fn deref(&self) -> &EventRef<'a> {
        &self.event
    }
}

/// A state, and up to where in the log it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Projected<T> {
    /// The state.
    pub state: T,
    /// The version of the entity's newest event, relevant to the projection or not; `None` for
    /// the state of a region.
    pub version: Option<Version>,
    /// The sequence of the newest event of the entity, or of the region's newest that was taken
    /// in; `None` where there is none.
    pub sequence: Option<Sequence>,
    source: Source,
    /// Everything before it was looked at.
    next: Sequence,
}

/// What a state is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    /// The events that are taken in.
    region: Region,
    /// The stream whose versions count.
    entity: Option<Box<str>>,
}

impl Source {
    fn entity<T: EventSourced>(entity: &str) -> Self {
        let region = relevant::<T>(Region::stream(entity));
        Source { region, entity: Some(entity.into()) }
    }

    fn region<T: EventSourced>(region: &Region) -> Self {
        Source { region: relevant::<T>(region.clone()), entity: None }
    }
}

/// The part of a region that a projection takes in.
fn relevant<T: EventSourced>(region: Region) -> Region {
    let Some(kinds) = T::KINDS else { return region };
    let wanted = region.kind_filter().cloned();
    let both = kinds.iter().copied();
    region.kinds(both.filter(|kind| wanted.as_ref().is_none_or(|filter| filter.matches(*kind))))
}

impl<T: EventSourced> Projected<T> {
    fn blank(source: Source) -> Self {
        let state = T::default();
        Projected { state, version: None, sequence: None, source, next: Sequence::ZERO }
    }

    /// The last sequence that was looked at; `None` where the log had none.
    #[must_use]
    pub const fn position(&self) -> Option<Sequence> {
        self.next.checked_prev()
    }

    /// How many events of the log, relevant or not, `reader` sees that were not looked at.
    #[must_use]
    pub fn lag<S: Storage>(&self, reader: &Reader<S>) -> u64 {
        reader.end().get().saturating_sub(self.next.get())
    }

    /// What an append to the entity's stream expects that rests on this state. For the state of a
    /// region it is `Any`: take [`condition`](Projected::condition) there.
    #[must_use]
    pub fn expected_version(&self) -> ExpectedVersion {
        self.version.map_or(ExpectedVersion::Any, ExpectedVersion::Exact)
    }

    /// The condition of an append that rests on this state: no relevant event since.
    #[must_use]
    pub fn condition(&self) -> AppendCondition {
        AppendCondition::new(self.source.region.clone(), self.position())
    }

    /// Takes in what `reader` sees and the state does not know yet, reading nothing else, and
    /// says whether any event was taken in. An older reader changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Projection`] where an event can't be taken in, storage errors and
    /// corruption. The state is true up to the event before then, and may go on from there.
    pub fn advance<S: Storage>(&mut self, reader: &Reader<S>) -> Result<bool, StoreError> {
        self.advance_with(reader, &Upcasts::new())
    }

    /// As [`advance`](Projected::advance), lifting older payloads.
    ///
    /// # Errors
    ///
    /// As [`advance`](Projected::advance).
    pub fn advance_with<S: Storage>(
        &mut self,
        reader: &Reader<S>,
        upcasts: &Upcasts,
    ) -> Result<bool, StoreError> {
        if self.next >= reader.end() {
            return Ok(false);
        }
        let newest = self.newest(reader)?;
        let mut changed = false;
        if self.source.entity.is_none() || newest.is_some() {
            changed = self.take_in(reader, upcasts)?;
        }
        if let Some((version, sequence)) = newest {
            (self.version, self.sequence) = (Some(version), Some(sequence));
        }
        self.next = reader.end();
        Ok(changed)
    }

    /// The newest event of the entity's stream, if it was not looked at before.
    fn newest<S: Storage>(
        &self,
        reader: &Reader<S>,
    ) -> Result<Option<(Version, Sequence)>, StoreError> {
        let Some(entity) = &self.source.entity else { return Ok(None) };
        let head = reader.head_since(entity, self.next)?;
        Ok(head.map(|head| (head.version, head.sequence)))
    }

    fn take_in<S: Storage>(
        &mut self,
        reader: &Reader<S>,
        upcasts: &Upcasts,
    ) -> Result<bool, StoreError> {
        let mut query = reader.query(&self.source.region).starting_at(self.next);
        let mut changed = false;
        loop {
            let state = &mut self.state;
            let taken = query.next_with(|event| {
                let (sequence, version) = (event.sequence(), event.header().version());
                let taken = state.apply(&SourceEvent { event: *event, upcasts });
                let taken = taken.map(|()| (sequence, version));
                let projection = T::NAME;
                taken.map_err(|cause| StoreError::Projection { projection, sequence, cause })
            })?;
            let Some((sequence, version)) = taken.transpose()? else { return Ok(changed) };
            self.next = sequence.checked_next().unwrap_or(Sequence::MAX);
            self.sequence = Some(sequence);
            self.version = self.source.entity.is_some().then_some(version);
            changed = true;
        }
    }
}

impl<S: Storage> Reader<S> {
    /// The state that the events of one entity make; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Projection`] where an event can't be taken in, storage errors and
    /// corruption.
    pub fn project<T: EventSourced>(
        &self,
        entity: &str,
    ) -> Result<Option<Projected<T>>, StoreError> {
        Projector::new(self).project(entity)
    }

    /// The state that the events of a region make: the default where there are none.
    ///
    /// # Errors
    ///
    /// As [`project`](Reader::project).
    pub fn project_region<T: EventSourced>(
        &self,
        region: &Region,
    ) -> Result<Projected<T>, StoreError> {
        Projector::new(self).project_region(region)
    }
}
