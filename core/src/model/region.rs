//! The region: the one predicate over events, for queries, cursors, subscriptions and conditions.
//!
//! A region is the AND of its filters, and without any it takes in every event. What it means is
//! decided here alone; an index may find candidates sooner, but never more or less.

use alloc::string::String;
use core::ops::RangeBounds;

use serde::{Deserialize, Serialize};

use super::coordinate::Coordinate;
use super::event::Event;
use super::header::EventHeader;
use super::id::EventId;
use super::kind::EventKind;
use super::numbers::{Sequence, Version};
use super::region_filter::{EntityFilter, KindFilter, Span, span_of};
use super::wire::HeaderRef;

/// Which events: those that pass every filter that was set.
///
/// Setting a filter again replaces it. Ranges may be of any form; `..=` includes both ends.
///
/// ```
/// # use annals_core::{EventKind, Region, Sequence};
/// let region = Region::entity("order:5")
///     .scope("shop")
///     .kinds([EventKind::new(1, 1), EventKind::new(1, 2)])
///     .sequences(Sequence::new(100)..);
/// assert_eq!(region.scope_filter(), Some("shop"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Region {
    entity: Option<EntityFilter>,
    scope: Option<String>,
    kinds: Option<KindFilter>,
    versions: Option<Span<Version>>,
    sequences: Option<Span<Sequence>>,
    times_us: Option<Span<i64>>,
    correlation: Option<EventId>,
    causation: Option<EventId>,
}

/// Making regions.
impl Region {
    /// Every event.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            entity: None,
            scope: None,
            kinds: None,
            versions: None,
            sequences: None,
            times_us: None,
            correlation: None,
            causation: None,
        }
    }

    /// The events of an entity and of all entities within it.
    ///
    /// `order:5` takes in `order:5` and `order:5:line:1`, but not `order:50`.
    #[must_use]
    pub fn entity(namespace: impl Into<String>) -> Self {
        Self::all().with_entity(namespace)
    }

    /// The events of one entity alone.
    #[must_use]
    pub fn entity_exact(entity: impl Into<String>) -> Self {
        Self::all().with_entity_exact(entity)
    }

    /// The events of one stream: the same as [`Region::entity_exact`].
    #[must_use]
    pub fn stream(entity: impl Into<String>) -> Self {
        Self::entity_exact(entity)
    }

    /// The events of every entity that begins with these characters.
    #[must_use]
    pub fn entity_prefix(prefix: impl Into<String>) -> Self {
        Self::all().with_entity_prefix(prefix)
    }

    /// Only an entity and all entities within it.
    #[must_use]
    pub fn with_entity(mut self, namespace: impl Into<String>) -> Self {
        self.entity = Some(EntityFilter::Namespace(namespace.into()));
        self
    }

    /// Only one entity.
    #[must_use]
    pub fn with_entity_exact(mut self, entity: impl Into<String>) -> Self {
        self.entity = Some(EntityFilter::Exact(entity.into()));
        self
    }

    /// Only entities that begin with these characters.
    #[must_use]
    pub fn with_entity_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.entity = Some(EntityFilter::Prefix(prefix.into()));
        self
    }

    /// Only events of this scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Only events of this kind.
    #[must_use]
    pub fn kind(self, kind: EventKind) -> Self {
        self.kinds([kind])
    }

    /// Only events of any of these kinds; of no kind, no events.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.kinds = Some(KindFilter::set(kinds));
        self
    }

    /// Only events whose kind has this category.
    #[must_use]
    pub fn category(mut self, category: u8) -> Self {
        self.kinds = Some(KindFilter::Category(category));
        self
    }

    /// Only events with these places in their streams.
    #[must_use]
    pub fn versions(mut self, range: impl RangeBounds<Version>) -> Self {
        self.versions = Some(span_of(&range));
        self
    }

    /// Only events with these places in the store.
    #[must_use]
    pub fn sequences(mut self, range: impl RangeBounds<Sequence>) -> Self {
        self.sequences = Some(span_of(&range));
        self
    }

    /// Only events whose wall clock read these microseconds since 1970.
    #[must_use]
    pub fn times_us(mut self, range: impl RangeBounds<i64>) -> Self {
        self.times_us = Some(span_of(&range));
        self
    }

    /// Only events that belong to this one.
    #[must_use]
    pub const fn correlation(mut self, id: EventId) -> Self {
        self.correlation = Some(id);
        self
    }

    /// Only events that this one caused.
    #[must_use]
    pub const fn causation(mut self, id: EventId) -> Self {
        self.causation = Some(id);
        self
    }
}

/// Asking whether an event is in.
impl Region {
    /// Whether an event passes every filter.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.matches_header(&event.coordinate, &event.header)
    }

    /// Whether an event with this address and this header passes every filter.
    #[must_use]
    pub fn matches_header(&self, coordinate: &Coordinate, header: &EventHeader) -> bool {
        self.numbers_match(header.sequence(), header.version(), header.timestamp_us)
            && self.kind_matches(header.kind)
            && self.ids_match(header.correlation, header.causation)
            && self.address_matches(coordinate.entity(), coordinate.scope())
    }

    /// Whether the event at this sequence passes every filter, by its header as stored.
    #[must_use]
    pub fn matches_ref(&self, sequence: Sequence, header: &HeaderRef<'_>) -> bool {
        self.numbers_match(sequence, header.version(), header.timestamp_us())
            && self.kind_matches(header.kind())
            && self.correlation.is_none_or(|id| id == header.correlation())
            && self.causation.is_none_or(|id| Some(id) == header.causation())
            && self.scope.as_ref().is_none_or(|wanted| wanted == header.scope())
            && self.entity.as_ref().is_none_or(|filter| filter.matches(header.entity()))
    }

    fn numbers_match(&self, sequence: Sequence, version: Version, timestamp_us: i64) -> bool {
        self.sequences.is_none_or(|span| span.contains(&sequence))
            && self.versions.is_none_or(|span| span.contains(&version))
            && self.times_us.is_none_or(|span| span.contains(&timestamp_us))
    }

    fn kind_matches(&self, kind: EventKind) -> bool {
        self.kinds.as_ref().is_none_or(|filter| filter.matches(kind))
    }

    fn ids_match(&self, correlation: EventId, causation: Option<EventId>) -> bool {
        self.correlation.is_none_or(|id| id == correlation)
            && self.causation.is_none_or(|id| Some(id) == causation)
    }

    fn address_matches(&self, entity: &str, scope: &str) -> bool {
        self.scope.as_ref().is_none_or(|wanted| wanted == scope)
            && self.entity.as_ref().is_none_or(|filter| filter.matches(entity))
    }
}

/// What a planner sees.
impl Region {
    /// The filter of entities.
    #[must_use]
    pub const fn entity_filter(&self) -> Option<&EntityFilter> {
        self.entity.as_ref()
    }

    /// The scope asked for.
    #[must_use]
    pub fn scope_filter(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The filter of kinds.
    #[must_use]
    pub const fn kind_filter(&self) -> Option<&KindFilter> {
        self.kinds.as_ref()
    }

    /// The versions asked for.
    #[must_use]
    pub const fn version_span(&self) -> Option<Span<Version>> {
        self.versions
    }

    /// The sequences asked for.
    #[must_use]
    pub const fn sequence_span(&self) -> Option<Span<Sequence>> {
        self.sequences
    }

    /// The times asked for, in microseconds since 1970.
    #[must_use]
    pub const fn time_span_us(&self) -> Option<Span<i64>> {
        self.times_us
    }

    /// The correlation asked for.
    #[must_use]
    pub const fn correlation_filter(&self) -> Option<EventId> {
        self.correlation
    }

    /// The cause asked for.
    #[must_use]
    pub const fn causation_filter(&self) -> Option<EventId> {
        self.causation
    }

    /// Whether the region can be told at once to take in nothing: an empty range or set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_some_and(|span| span.is_empty())
            || self.sequences.is_some_and(|span| span.is_empty())
            || self.times_us.is_some_and(|span| span.is_empty())
            || matches!(&self.kinds, Some(KindFilter::Set(kinds)) if kinds.is_empty())
            || matches!(&self.kinds, Some(KindFilter::Category(category)) if *category > 0xF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::tests::event;
    use crate::model::wire;
    use alloc::vec::Vec;

    const KIND: EventKind = EventKind::new(1, 1);

    fn with_address(entity: &str, scope: &str) -> Event {
        Event { coordinate: Coordinate::new(entity, scope).unwrap(), ..event() }
    }

    /// Asks both ways, by the owned header and by the stored one, which must agree.
    fn is_in(region: &Region, event: &Event) -> bool {
        let mut bytes = Vec::new();
        let (format, version) = (event.payload.format(), event.payload.version());
        wire::encode_header(&mut bytes, &event.coordinate, &event.header, format, version);
        let stored = wire::decode_header(&bytes).unwrap();
        let matches = region.matches(event);
        assert_eq!(region.matches_ref(event.sequence(), &stored), matches);
        matches
    }

    #[test]
    fn b16_an_entity_region_ends_at_a_namespace_border() {
        let region = Region::entity("order:5");
        for (entity, expected) in [
            ("order:5", true),
            ("order:5:line:1", true),
            ("order:5:", true),
            ("order:50", false),
            ("order", false),
            ("order:5é", false),
            ("xorder:5", false),
        ] {
            assert_eq!(is_in(&region, &with_address(entity, "s")), expected, "{entity}");
        }
    }

    #[test]
    fn b16_an_exact_region_is_one_stream_and_a_prefix_is_raw() {
        let (exact, prefix) = (Region::stream("order:5"), Region::entity_prefix("order:5"));
        assert_eq!(exact, Region::entity_exact("order:5"));
        for (entity, in_exact, in_prefix) in [
            ("order:5", true, true),
            ("order:5:line:1", false, true),
            ("order:50", false, true),
            ("order:", false, false),
        ] {
            let event = with_address(entity, "s");
            assert_eq!(is_in(&exact, &event), in_exact, "{entity}");
            assert_eq!(is_in(&prefix, &event), in_prefix, "{entity}");
        }
    }

    #[test]
    fn b17_a_scope_takes_in_only_its_own_events() {
        let region = Region::entity("order:5").scope("shop");
        assert!(is_in(&region, &with_address("order:5", "shop")));
        assert!(!is_in(&region, &with_address("order:5", "depot")));
        assert!(!is_in(&region, &with_address("order:5", "shop:a")));
    }

    #[test]
    fn b18_kinds_are_filtered_exactly_by_set_and_by_category() {
        let event = event();
        assert_eq!(event.kind(), KIND);
        let other = EventKind::new(1, 2);
        assert!(is_in(&Region::all(), &event));
        assert!(is_in(&Region::all().kind(KIND), &event));
        assert!(!is_in(&Region::all().kind(other), &event));
        assert!(is_in(&Region::all().kinds([EventKind::new(2, 1), other, KIND]), &event));
        assert!(!is_in(&Region::all().kinds([]), &event));
        assert!(is_in(&Region::all().category(1), &event));
        assert!(!is_in(&Region::all().category(2), &event));
        let mut erasure = event;
        erasure.header.kind = EventKind::ERASURE;
        assert!(is_in(&Region::all().kind(EventKind::ERASURE), &erasure));
        assert!(is_in(&Region::all().category(0xD), &erasure));
    }

    #[test]
    fn b18_version_sequence_and_time_ranges_include_both_ends() {
        let event = event();
        let (version, sequence) = (event.version().get(), event.sequence().get());
        let time_us = event.header.timestamp_us;
        for (from, to, expected) in
            [(0, 0, true), (-1, 0, true), (0, 1, true), (1, 2, false), (-2, -1, false)]
        {
            let shift = |number: u64, by: i64| number.checked_add_signed(by).unwrap();
            let versions = Version::new(shift(version, from))..=Version::new(shift(version, to));
            assert_eq!(is_in(&Region::all().versions(versions), &event), expected);
            let (first, last) = (shift(sequence, from), shift(sequence, to));
            let sequences = Sequence::new(first)..=Sequence::new(last);
            assert_eq!(is_in(&Region::all().sequences(sequences), &event), expected);
            let times_us = time_us + from..=time_us + to;
            assert_eq!(is_in(&Region::all().times_us(times_us), &event), expected);
        }
    }

    #[test]
    fn a_region_by_cause_or_correlation_takes_in_what_names_it() {
        let mut event = event();
        let (cause, root) = (EventId::from_bytes([1; 16]), EventId::from_bytes([2; 16]));
        assert!(is_in(&Region::all().correlation(event.id()), &event));
        assert!(!is_in(&Region::all().causation(cause), &event));
        event.header.causation = Some(cause);
        event.header.correlation = root;
        assert!(is_in(&Region::all().causation(cause).correlation(root), &event));
        assert!(!is_in(&Region::all().correlation(event.id()), &event));
    }

    #[test]
    fn b18_filters_and_together() {
        let event = event();
        let all = Region::entity("order")
            .scope("shop")
            .kind(KIND)
            .versions(Version::ZERO..)
            .sequences(..=Sequence::new(12))
            .times_us(0..)
            .correlation(event.id());
        assert!(is_in(&all, &event));
        for one_wrong in [
            all.clone().with_entity("orde"),
            all.clone().with_entity_exact("order"),
            all.clone().with_entity_prefix("ordeR"),
            all.clone().scope("sho"),
            all.clone().category(3),
            all.clone().versions(..Version::new(3)),
            all.clone().sequences(..Sequence::new(12)),
            all.clone().times_us(..0),
            all.clone().correlation(EventId::from_bytes([0; 16])),
            all.clone().causation(event.id()),
        ] {
            assert!(!is_in(&one_wrong, &event), "{one_wrong:?}");
        }
    }

    #[test]
    fn a_region_shows_its_filters_to_a_planner() {
        let region = Region::entity_prefix("o").kinds([EventKind::new(2, 1), KIND, KIND]);
        assert_eq!(region.entity_filter(), Some(&EntityFilter::Prefix("o".into())));
        assert_eq!(region.entity_filter().unwrap().text(), "o");
        let set = KindFilter::Set([KIND, EventKind::new(2, 1)].into());
        assert_eq!(region.kind_filter(), Some(&set));
        let span = Region::all().sequences(Sequence::new(4)..).sequence_span();
        assert_eq!(span, Some(Span { first: Sequence::new(4), last: Sequence::MAX }));
        assert!(!region.is_empty() && !Region::all().is_empty());
        assert!(Region::all().kinds([]).is_empty());
        assert!(Region::all().category(16).is_empty());
        assert!(Region::all().times_us(5..5).is_empty());
    }

    #[test]
    fn a_region_round_trips() {
        let id = EventId::from_bytes([9; 16]);
        let full = Region::entity("order:5")
            .scope("shop")
            .kinds([KIND])
            .versions(Version::ZERO..=Version::new(3))
            .sequences(Sequence::new(5)..)
            .times_us(..=-5)
            .correlation(id)
            .causation(id);
        for region in [full, Region::all(), Region::stream("a").category(7)] {
            let json = serde_json::to_string(&region).unwrap();
            assert_eq!(serde_json::from_str::<Region>(&json).unwrap(), region);
            let bytes = postcard::to_allocvec(&region).unwrap();
            assert_eq!(postcard::from_bytes::<Region>(&bytes).unwrap(), region);
        }
        assert_eq!(serde_json::from_str::<Region>("{}").unwrap(), Region::all());
        let unsorted = r#"{"kinds":{"set":[8193,4097,8193]}}"#;
        let sorted = Region::all().kinds([KIND, EventKind::new(2, 1)]);
        assert_eq!(serde_json::from_str::<Region>(unsorted).unwrap(), sorted);
    }

    #[test]
    fn a_misspelt_filter_or_a_reserved_kind_is_not_deserialized() {
        assert!(serde_json::from_str::<Region>(r#"{"scopes":"shop"}"#).is_err());
        assert!(serde_json::from_str::<Region>(r#"{"kinds":{"set":[53249]}}"#).is_err());
        let bytes = postcard::to_allocvec(&Region::all().kind(EventKind::ERASURE)).unwrap();
        assert!(postcard::from_bytes::<Region>(&bytes).is_err());
    }
}
