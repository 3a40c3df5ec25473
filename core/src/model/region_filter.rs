//! The filters that a region is made of, in the forms that a query planner works from.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::{Bound, RangeBounds};

use serde::{Deserialize, Deserializer, Serialize};

use super::kind::EventKind;
use super::numbers::{Sequence, Version};
use crate::order::ascending;

/// Which entities a region takes in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntityFilter {
    /// This entity alone.
    Exact(String),
    /// This entity and all within it: `order:5` takes in `order:5:line:1`, not `order:50`.
    Namespace(String),
    /// Every entity that begins with these characters.
    Prefix(String),
}

impl EntityFilter {
    /// Whether the filter takes in an entity.
    #[must_use]
    pub fn matches(&self, entity: &str) -> bool {
        match self {
            Self::Exact(exact) => entity == exact,
            Self::Prefix(prefix) => entity.starts_with(prefix.as_str()),
            Self::Namespace(namespace) => entity
                .strip_prefix(namespace.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':')),
        }
    }

    /// The text that every matching entity begins with.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Namespace(text) | Self::Prefix(text) => text,
        }
    }
}

/// Which kinds a region takes in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KindFilter {
    /// Any of these kinds, ascending and each once. None of them takes in nothing.
    Set(#[serde(deserialize_with = "deserialize_set")] Vec<EventKind>),
    /// Every kind of this category.
    Category(u8),
}

impl KindFilter {
    /// Any of these kinds.
    pub(crate) fn set(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        let mut kinds = ascending(kinds);
        kinds.dedup();
        Self::Set(kinds)
    }

    /// Whether the filter takes in a kind.
    #[must_use]
    pub fn matches(&self, kind: EventKind) -> bool {
        match self {
            Self::Set(kinds) => kinds.binary_search(&kind).is_ok(),
            Self::Category(category) => kind.category() == *category,
        }
    }
}

fn deserialize_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EventKind>, D::Error> {
    let mut kinds = ascending(Vec::deserialize(deserializer)?);
    kinds.dedup();
    Ok(kinds)
}

/// The numbers from `first` to `last`, both included. Empty if `first` is after `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span<T> {
    /// The least number.
    pub first: T,
    /// The greatest number.
    pub last: T,
}

impl<T: PartialOrd> Span<T> {
    /// Whether a number lies within.
    #[must_use]
    pub fn contains(&self, number: &T) -> bool {
        self.first <= *number && *number <= self.last
    }

    /// Whether no number lies within.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// The numbers of any range: `3..=5`, `3..`, `..5`.
pub(crate) fn span_of<T: Ordinal>(range: &impl RangeBounds<T>) -> Span<T> {
    let first = match range.start_bound() {
        Bound::Included(&first) => Some(first),
        Bound::Excluded(&before) => before.successor(),
        Bound::Unbounded => Some(T::FIRST),
    };
    let last = match range.end_bound() {
        Bound::Included(&last) => Some(last),
        Bound::Excluded(&end) => end.predecessor(),
        Bound::Unbounded => Some(T::LAST),
    };
    match (first, last) {
        (Some(first), Some(last)) => Span { first, last },
        _ => Span { first: T::LAST, last: T::FIRST },
    }
}

/// Whole numbers that have a first, a last, and neighbours in between.
pub(crate) trait Ordinal: Copy + PartialOrd {
    const FIRST: Self;
    const LAST: Self;
    fn successor(self) -> Option<Self>;
    fn predecessor(self) -> Option<Self>;
}

impl Ordinal for i64 {
    const FIRST: Self = Self::MIN;
    const LAST: Self = Self::MAX;

    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn predecessor(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

macro_rules! ordinal {
    ($name:ident) => {
        impl Ordinal for $name {
            const FIRST: Self = Self::ZERO;
            const LAST: Self = Self::MAX;

            fn successor(self) -> Option<Self> {
                self.checked_next()
            }

            fn predecessor(self) -> Option<Self> {
                self.checked_prev()
            }
        }
    };
}

ordinal!(Sequence);
ordinal!(Version);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_range_becomes_its_inclusive_span() {
        let span = |first, last| Span { first, last };
        assert_eq!(span_of(&(3..=5)), span(3, 5));
        assert_eq!(span_of(&(3..5)), span(3, 4));
        assert_eq!(span_of(&(3..)), span(3, i64::MAX));
        assert_eq!(span_of(&(..=5)), span(i64::MIN, 5));
        assert_eq!(span_of::<i64>(&..), span(i64::MIN, i64::MAX));
        assert_eq!(span_of(&(Bound::Excluded(3), Bound::Unbounded)), span(4, i64::MAX));
    }

    #[test]
    fn a_range_without_numbers_is_an_empty_span() {
        assert!(span_of(&(..Sequence::ZERO)).is_empty());
        assert!(span_of(&(Version::new(5)..Version::new(5))).is_empty());
        assert!(span_of(&(Bound::Excluded(i64::MAX), Bound::Unbounded)).is_empty());
        assert!(!span_of(&(..Sequence::ZERO)).contains(&Sequence::ZERO));
    }
}
