//! Which events a request means: a region, and words that its payloads must hold.

use crate::inspect::api::Refusal;
use crate::inspect::params::Params;
use crate::kind_names;
use crate::time::{parse_since, parse_until};
use annals::{EventRef, FsStorage, Reader, Region, Sequence};
use std::ops::Bound;

/// The parameters that a filter has.
pub(super) const FILTER_PARAMS: [&str; 12] = [
    "entity",
    "stream",
    "prefix",
    "scope",
    "kind",
    "since",
    "until",
    "correlation",
    "causation",
    "first",
    "last",
    "text",
];

/// See the module.
pub(super) struct Filter {
    pub(super) region: Region,
    /// In lower case.
    text: Option<String>,
}

impl Filter {
    /// The filter that the parameters say.
    ///
    /// # Errors
    ///
    /// A refusal of what can't be read, or of a kind that the store does not know.
    pub(super) fn of(params: &Params<'_>, reader: &Reader<FsStorage>) -> Result<Self, Refusal> {
        let mut region = Region::all();
        let names = ["entity", "stream", "prefix"];
        if names.iter().filter(|name| params.text(name).is_some()).count() > 1 {
            return Err(Refusal::bad("give one of entity, stream and prefix"));
        }
        if let Some(entity) = params.text("entity") {
            region = region.with_entity(entity);
        }
        if let Some(entity) = params.text("stream") {
            region = region.with_entity_exact(entity);
        }
        if let Some(prefix) = params.text("prefix") {
            region = region.with_entity_prefix(prefix);
        }
        if let Some(scope) = params.text("scope") {
            region = region.scope(scope);
        }
        let kinds = params.all("kind").map(|text| kind_names::find(reader, text));
        let kinds = kinds.collect::<Result<Vec<_>, _>>().map_err(|e| Refusal::bad(e.message()))?;
        if !kinds.is_empty() {
            region = region.kinds(kinds);
        }
        let since = params.read("since", parse_since)?;
        let until = params.read("until", parse_until)?;
        if since.is_some() || until.is_some() {
            region = region.times_us((bound(since), bound(until)));
        }
        if let Some(id) = params.value("correlation")? {
            region = region.correlation(id);
        }
        if let Some(id) = params.value("causation")? {
            region = region.causation(id);
        }
        let first = params.value("first")?.map(Sequence::new);
        let last = params.value("last")?.map(Sequence::new);
        if first.is_some() || last.is_some() {
            region = region.sequences((bound(first), bound(last)));
        }
        let text = params.text("text").filter(|text| !text.is_empty()).map(str::to_lowercase);
        Ok(Filter { region, text })
    }

    /// Whether events must be read to tell whether they match.
    pub(super) fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// Whether an event of the region holds the text.
    pub(super) fn matches(&self, event: &EventRef<'_>) -> bool {
        let Some(text) = &self.text else { return true };
        let payload = event.payload().unwrap_or_default();
        String::from_utf8_lossy(payload).to_lowercase().contains(text)
    }

    /// The region without what lies before a place, in the direction of reading; `None` where
    /// nothing is left.
    pub(super) fn behind(&self, after: Option<Sequence>, is_backward: bool) -> Option<Region> {
        let asked = self.region.sequence_span();
        let mut first = asked.map_or(Sequence::ZERO, |span| span.first);
        let mut last = asked.map_or(Sequence::MAX, |span| span.last);
        match after {
            Some(after) if is_backward => last = last.min(after.checked_prev()?),
            Some(after) => first = first.max(after.checked_next()?),
            None => {}
        }
        (first <= last).then(|| self.region.clone().sequences(first..=last))
    }
}

fn bound<T>(value: Option<T>) -> Bound<T> {
    value.map_or(Bound::Unbounded, Bound::Included)
}
