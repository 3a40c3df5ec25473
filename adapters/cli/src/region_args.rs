//! The filters of a region as options: the same for every command that takes them.

use crate::failure::Failure;
use crate::kind_names;
use crate::time::{parse_since, parse_until};
use annals::{EventId, FsStorage, Reader, Region, Sequence, Version};
use clap::Args;
use std::ops::Bound;

/// Which events; all filters must hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (an event must pass all)")]
pub(crate) struct RegionArgs {
    /// An entity and all within it: `order:5` takes in `order:5:line:1`, not `order:50`
    #[arg(long, value_name = "ENTITY", group = "entities")]
    entity: Option<String>,
    /// One entity alone
    #[arg(long, value_name = "ENTITY", group = "entities")]
    stream: Option<String>,
    /// Entities that begin with these characters
    #[arg(long, value_name = "TEXT", group = "entities")]
    prefix: Option<String>,
    /// A scope
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// A kind by its name or number; give it more than once for any of several
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// All kinds of a category, 0 to 15
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "kind",
        value_parser = clap::value_parser!(u8).range(..=15)
    )]
    category: Option<u8>,
    /// Places in their streams: `3`, `3..7` with both ends, `3..` or `..7`
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    versions: Option<Range>,
    /// Places in the store, written likewise
    #[arg(long, value_name = "RANGE", value_parser = parse_range)]
    sequences: Option<Range>,
    /// From this time on: RFC 3339, a day in UTC such as 2011-10-11, or a number
    #[arg(long, value_name = "TIME", value_parser = parse_since, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Up to this time, itself included; a day is taken in whole
    #[arg(long, value_name = "TIME", value_parser = parse_until, allow_hyphen_values = true)]
    until: Option<i64>,
    /// What belongs to the event with this id
    #[arg(long, value_name = "ID")]
    correlation: Option<EventId>,
    /// What the event with this id caused
    #[arg(long, value_name = "ID")]
    causation: Option<EventId>,
}

impl RegionArgs {
    /// The correlation that is asked for.
    pub(crate) fn correlation(&self) -> Option<EventId> {
        self.correlation
    }

    /// The region that the options say, with the names of kinds as the store knows them.
    ///
    /// # Errors
    ///
    /// A kind that the store does not know.
    pub(crate) fn region(&self, reader: &Reader<FsStorage>) -> Result<Region, Failure> {
        let mut region = Region::all();
        if let Some(entity) = &self.entity {
            region = region.with_entity(entity);
        }
        if let Some(entity) = &self.stream {
            region = region.with_entity_exact(entity);
        }
        if let Some(prefix) = &self.prefix {
            region = region.with_entity_prefix(prefix);
        }
        if let Some(scope) = &self.scope {
            region = region.scope(scope);
        }
        if !self.kind.is_empty() {
            let kinds = self.kind.iter().map(|text| kind_names::find(reader, text));
            region = region.kinds(kinds.collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(category) = self.category {
            region = region.category(category);
        }
        if let Some(range) = self.versions {
            region = region.versions(range.bounds(Version::new));
        }
        if let Some(range) = self.sequences {
            region = region.sequences(range.bounds(Sequence::new));
        }
        if self.since.is_some() || self.until.is_some() {
            region = region.times_us((from(self.since), to(self.until)));
        }
        if let Some(id) = self.correlation {
            region = region.correlation(id);
        }
        if let Some(id) = self.causation {
            region = region.causation(id);
        }
        Ok(region)
    }
}

/// From a first number to a last one, both included, both optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    first: Option<u64>,
    last: Option<u64>,
}

impl Range {
    fn bounds<T>(self, wrap: impl Fn(u64) -> T) -> (Bound<T>, Bound<T>) {
        (from(self.first.map(&wrap)), to(self.last.map(&wrap)))
    }
}

fn from<T>(first: Option<T>) -> Bound<T> {
    first.map_or(Bound::Unbounded, Bound::Included)
}

fn to<T>(last: Option<T>) -> Bound<T> {
    last.map_or(Bound::Unbounded, Bound::Included)
}

fn parse_range(text: &str) -> Result<Range, String> {
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{text:?} is no whole number")),
    };
    let range = match text.split_once("..") {
        Some((first, last)) => Range { first: number(first)?, last: number(last)? },
        None => {
            let only = number(text)?;
            Range { first: only, last: only }
        }
    };
    match range {
        Range { first: None, last: None } => Err("a number, or FIRST..LAST".into()),
        Range { first: Some(first), last: Some(last) } if first > last => {
            Err(format!("{first} comes after {last}"))
        }
        range => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_ends_or_one() {
        let range = |first, last| Ok(Range { first, last });
        assert_eq!(parse_range("5"), range(Some(5), Some(5)));
        assert_eq!(parse_range("3..7"), range(Some(3), Some(7)));
        assert_eq!(parse_range("3.."), range(Some(3), None));
        assert_eq!(parse_range("..7"), range(None, Some(7)));
        for bad in ["", "..", "a", "3..b", "-1", "7..3", "3...7"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }
}
