//! Why something happened: causes, effects and correlations, and the graph that they make.
//!
//! An event names its cause by id, so causes form a forest, unless someone chose ids so that they
//! don't: every walk remembers where it was, ends, and says why. Nothing here reads more than its
//! limit allows.

mod draw;

use crate::log::{EventRef, Reader, StoreError};
use crate::model::{Coordinate, Event, EventId, EventKind, Region, Sequence, Version};
use crate::storage::Storage;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

/// Events found by following causes, effects or a correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CausalWalk {
    /// The events.
    pub events: Vec<Event>,
    /// Why there are no more.
    pub end: CausalEnd,
}

/// Where a walk along causes or effects ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CausalEnd {
    /// There are no more.
    Complete,
    /// At the limit: the walk was cut, and there are more.
    Limit,
    /// At a cause that this store does not have: another system's, or dropped by retention.
    CauseMissing {
        /// The id of the cause.
        id: EventId,
    },
    /// At an event that the walk had passed before: ids were chosen so that causes go in a circle.
    Cycle {
        /// The event.
        id: EventId,
    },
}

impl<S: Storage> Reader<S> {
    /// The causes of an event, the nearest first: what caused it, what caused that, and so on.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where no event has the id, storage errors and corruption.
    pub fn causes(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        let (events, end) = self.causes_with(id, limit, owned)?;
        Ok(CausalWalk { events, end })
    }

    /// The effects of an event, the nearest first: what it caused, then what those caused, and so
    /// on. The cause itself may be another system's.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn effects(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        let (events, end) = self.effects_with(id, limit, owned)?;
        Ok(CausalWalk { events, end })
    }

    /// The events that belong together with an event, itself included, in sequence order. `id` may
    /// also be the correlation itself.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn correlated(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        let region = Region::all().correlation(self.correlation_of(id)?);
        let (events, end) = self.region_with(&region, limit, owned)?;
        Ok(CausalWalk { events, end })
    }

    /// How many events led to this one, each caused by the one before, counted up to `limit`. An
    /// event without a cause has the depth 0. Causes that this store does not have end the count,
    /// and so does a circle, which counts as the limit.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where no event has the id, storage errors and corruption.
    pub fn causal_depth(&self, id: EventId, limit: usize) -> Result<usize, StoreError> {
        let (passed, end) = self.causes_with(id, limit, |_| ())?;
        Ok(if matches!(end, CausalEnd::Cycle { .. }) { limit } else { passed.len() })
    }

    fn correlation_of(&self, id: EventId) -> Result<EventId, StoreError> {
        Ok(self.find(id, |event| event.header().correlation())?.unwrap_or(id))
    }

    fn causes_with<T>(
        &self,
        id: EventId,
        limit: usize,
        take: impl Fn(&EventRef<'_>) -> T,
    ) -> Result<(Vec<T>, CausalEnd), StoreError> {
        let first = self.find(id, |event| event.header().causation())?;
        let mut cause = first.ok_or(StoreError::NotFound(id))?;
        let mut passed: HashSet<EventId> = HashSet::from([id]);
        let mut found = Vec::new();
        while let Some(id) = cause {
            if !passed.insert(id) {
                return Ok((found, CausalEnd::Cycle { id }));
            }
            if found.len() >= limit {
                return Ok((found, CausalEnd::Limit));
            }
            let next = self.find(id, |event| (take(event), event.header().causation()))?;
            let Some((taken, before)) = next else {
                return Ok((found, CausalEnd::CauseMissing { id }));
            };
            found.push(taken);
            cause = before;
        }
        Ok((found, CausalEnd::Complete))
    }

    fn effects_with<T>(
        &self,
        id: EventId,
        limit: usize,
        take: impl Fn(&EventRef<'_>) -> T,
    ) -> Result<(Vec<T>, CausalEnd), StoreError> {
        let mut found = Vec::new();
        let mut passed: HashSet<EventId> = HashSet::from([id]);
        let mut causes = VecDeque::from([id]);
        while let Some(cause) = causes.pop_front() {
            let mut query = self.query(&Region::all().causation(cause));
            while let Some((id, taken)) =
                query.next_with(|event| (event.header().id(), take(event)))?
            {
                // In a circle, an effect has been passed before: it is no new one.
                if passed.contains(&id) {
                    continue;
                }
                if found.len() >= limit {
                    return Ok((found, CausalEnd::Limit));
                }
                passed.insert(id);
                found.push(taken);
                causes.push_back(id);
            }
        }
        Ok((found, CausalEnd::Complete))
    }

    fn region_with<T>(
        &self,
        region: &Region,
        limit: usize,
        take: impl Fn(&EventRef<'_>) -> T,
    ) -> Result<(Vec<T>, CausalEnd), StoreError> {
        let mut query = self.query(region).limit((limit as u64).saturating_add(1));
        let mut found = Vec::new();
        while let Some(taken) = query.next_with(&take)? {
            if found.len() >= limit {
                return Ok((found, CausalEnd::Limit));
            }
            found.push(taken);
        }
        Ok((found, CausalEnd::Complete))
    }
}

fn owned(event: &EventRef<'_>) -> Event {
    event.to_owned()
}

/// An event as the graph knows it: without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CausalNode {
    /// The event's identity.
    pub id: EventId,
    /// Who it happened to, and where.
    pub coordinate: Coordinate,
    /// What kind of event it is.
    pub kind: EventKind,
    /// Its place in the store.
    pub sequence: Sequence,
    /// Its place in its stream.
    pub version: Version,
    /// The wall clock's word, in microseconds since 1970.
    pub timestamp_us: i64,
    /// What it belongs to.
    pub correlation: EventId,
    /// What caused it, which may be outside the graph.
    pub causation: Option<EventId>,
}

impl CausalNode {
    fn of(event: &EventRef<'_>) -> Self {
        let header = event.header();
        CausalNode {
            id: header.id(),
            coordinate: header.coordinate(),
            kind: header.kind(),
            sequence: event.sequence(),
            version: header.version(),
            timestamp_us: header.timestamp_us(),
            correlation: header.correlation(),
            causation: header.causation(),
        }
    }
}

/// Events and which of them caused which.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Batch, Coordinate, Host, Log, LogConfig, MemoryStorage, Payload};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) {
/// #         (0..).zip(buffer).for_each(|(at, byte): (usize, _)| *byte = (at % 251) as u8);
/// #     }
/// # }
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// use annals_core::{CausalGraph, EventKind};
///
/// const PLACED: EventKind = EventKind::new(1, 1);
/// const SENT: EventKind = EventKind::new(1, 2);
/// let order = Coordinate::new("order:5", "shop")?;
/// let batch = Batch::new()
///     .push(Append::new(order.clone(), PLACED, Payload::raw("two apples")))
///     .push(Append::new(order, SENT, Payload::raw("a parcel")).caused_by_item(0));
/// let receipts = log.append_batch(&batch)?;
///
/// let graph = CausalGraph::of_event(&log.reader(), receipts[1].id, 100)?;
/// let name = |kind| (kind == SENT).then(|| "order.sent".to_string());
/// let mermaid = graph.to_mermaid(&name);
/// assert!(mermaid.contains("n1[\"order.sent<br/>order:5@shop<br/>sequence 1\"]"));
/// assert!(mermaid.contains("n0 --> n1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausalGraph {
    nodes: Vec<CausalNode>,
    cut: bool,
}

impl CausalGraph {
    /// An event with its causes and its effects, `limit` events at most: causes first, the nearest
    /// first.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where no event has the id, storage errors and corruption.
    pub fn of_event<S: Storage>(
        reader: &Reader<S>,
        id: EventId,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let event = reader.find(id, CausalNode::of)?.ok_or(StoreError::NotFound(id))?;
        let Some(left) = limit.checked_sub(1) else {
            return Ok(CausalGraph::new(Vec::new(), true));
        };
        let (mut nodes, end) = reader.causes_with(id, left, CausalNode::of)?;
        let left = left - nodes.len();
        let (effects, effects_end) = reader.effects_with(id, left, CausalNode::of)?;
        nodes.push(event);
        nodes.extend(effects);
        Ok(CausalGraph::new(nodes, end == CausalEnd::Limit || effects_end == CausalEnd::Limit))
    }

    /// The events that belong together with an event, or to a correlation, the oldest `limit`.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn of_correlation<S: Storage>(
        reader: &Reader<S>,
        id: EventId,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let correlation = reader.correlation_of(id)?;
        CausalGraph::of_region(reader, &Region::all().correlation(correlation), limit)
    }

    /// The events of a region, the oldest `limit`.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn of_region<S: Storage>(
        reader: &Reader<S>,
        region: &Region,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let (nodes, end) = reader.region_with(region, limit, CausalNode::of)?;
        Ok(CausalGraph::new(nodes, end == CausalEnd::Limit))
    }

    fn new(mut nodes: Vec<CausalNode>, cut: bool) -> Self {
        nodes.sort_unstable_by_key(|node| node.sequence);
        // In a circle, an event is both a cause and an effect.
        nodes.dedup_by_key(|node| node.sequence);
        CausalGraph { nodes, cut }
    }

    /// The events, in sequence order.
    #[must_use]
    pub fn nodes(&self) -> &[CausalNode] {
        &self.nodes
    }

    /// Whether there are more events than the limit allowed.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Cause and effect, by their places among the nodes, in the order of the effects. Causes that
    /// are outside the graph are left out.
    #[must_use]
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let places = self.places();
        let effects = self.nodes.iter().enumerate();
        let edge = |(at, node): (usize, &CausalNode)| Some((*places.get(&node.causation?)?, at));
        effects.filter_map(edge).collect()
    }

    fn places(&self) -> HashMap<EventId, usize> {
        self.nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect()
    }
}
