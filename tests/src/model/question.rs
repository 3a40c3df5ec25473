//! A region in the model's own words, and which events it takes in.

use annals_core::{EventId, EventKind, Region, Sequence, Version};

use super::Fact;

/// How a question names entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityWish {
    /// This one.
    Exact(String),
    /// This one and those behind it and a colon.
    Namespace(String),
    /// Those whose names start so.
    Prefix(String),
}

/// How a question names kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindWish {
    /// One of these.
    AnyOf(Vec<EventKind>),
    /// All of a category.
    Category(u8),
}

/// See the module. Ranges are first and last, both included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the region's filter of that name")]
pub struct Question {
    pub entity: Option<EntityWish>,
    pub scope: Option<String>,
    pub kinds: Option<KindWish>,
    pub versions: Option<(u64, u64)>,
    pub sequences: Option<(u64, u64)>,
    pub times_us: Option<(i64, i64)>,
    pub correlation: Option<EventId>,
    pub causation: Option<EventId>,
}

impl Question {
    /// Whether an event belongs to the answer.
    #[must_use]
    pub fn takes(&self, fact: &Fact) -> bool {
        let name = fact.coordinate.entity();
        let entity = match &self.entity {
            None => true,
            Some(EntityWish::Exact(wish)) => name == wish,
            Some(EntityWish::Namespace(wish)) => {
                name == wish || name.starts_with(&format!("{wish}:"))
            }
            Some(EntityWish::Prefix(wish)) => name.starts_with(wish.as_str()),
        };
        let kind = match &self.kinds {
            None => true,
            Some(KindWish::AnyOf(kinds)) => kinds.contains(&fact.kind),
            Some(KindWish::Category(category)) => fact.kind.as_u16() >> 12 == u16::from(*category),
        };
        entity
            && kind
            && self.scope.as_ref().is_none_or(|scope| fact.coordinate.scope() == scope)
            && within(self.versions, fact.version)
            && within(self.sequences, fact.sequence)
            && within(self.times_us, fact.timestamp_us)
            && self.correlation.is_none_or(|id| id == fact.correlation)
            && self.causation.is_none_or(|id| Some(id) == fact.causation)
    }

    /// The same question as the store takes it.
    #[must_use]
    pub fn region(&self) -> Region {
        let mut region = Region::all();
        region = match &self.entity {
            None => region,
            Some(EntityWish::Exact(name)) => region.with_entity_exact(name),
            Some(EntityWish::Namespace(name)) => region.with_entity(name),
            Some(EntityWish::Prefix(name)) => region.with_entity_prefix(name),
        };
        region = match &self.kinds {
            None => region,
            Some(KindWish::AnyOf(kinds)) => region.kinds(kinds.iter().copied()),
            Some(KindWish::Category(category)) => region.category(*category),
        };
        if let Some(scope) = &self.scope {
            region = region.scope(scope);
        }
        if let Some((first, last)) = self.versions {
            region = region.versions(Version::new(first)..=Version::new(last));
        }
        if let Some((first, last)) = self.sequences {
            region = region.sequences(Sequence::new(first)..=Sequence::new(last));
        }
        if let Some((first, last)) = self.times_us {
            region = region.times_us(first..=last);
        }
        if let Some(id) = self.correlation {
            region = region.correlation(id);
        }
        if let Some(id) = self.causation {
            region = region.causation(id);
        }
        region
    }
}

fn within<T: Copy + PartialOrd>(range: Option<(T, T)>, number: T) -> bool {
    range.is_none_or(|(first, last)| first <= number && number <= last)
}
