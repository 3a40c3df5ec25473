//! What the growing index answers to the selection.

use super::{GrowingIndex, count, spread};
use crate::format::usize_of;
use crate::index::{ListOf, Ordinal, PostingKey, PostingList, SegmentIndex};
use crate::model::{EntityFilter, EventId, EventKind, Sequence, Version};
use core::convert::Infallible;
use core::ops::Range;

impl SegmentIndex for &GrowingIndex {
    type Error = Infallible;

    fn event_count(&self) -> u32 {
        GrowingIndex::event_count(self)
    }

    fn entity(&mut self, name: &str) -> Result<Option<u32>, Infallible> {
        Ok(self.find_entity(name, self.hasher.name(name)))
    }

    fn entities_with_prefix(&mut self, _prefix: &str) -> Result<Option<Range<u32>>, Infallible> {
        Ok(None)
    }

    fn entity_matches(&mut self, entity: u32, filter: &EntityFilter) -> Result<bool, Infallible> {
        Ok(filter.matches(self.entity_name(entity)))
    }

    fn scope(&mut self, name: &str) -> Result<Option<u32>, Infallible> {
        Ok(self.find_scope(name))
    }

    fn coordinate_at(&mut self, ordinal: Ordinal) -> Result<(u32, u32), Infallible> {
        let entry = &self.coordinates[usize_of(self.coordinates_at[usize_of(ordinal)])];
        Ok((entry.entity, entry.scope))
    }

    fn kind_at(&mut self, ordinal: Ordinal) -> Result<EventKind, Infallible> {
        Ok(self.kinds_at[usize_of(ordinal)])
    }

    fn time_us_at(&mut self, ordinal: Ordinal) -> Result<i64, Infallible> {
        Ok(self.times_us[usize_of(ordinal)])
    }

    fn version_at(&mut self, ordinal: Ordinal) -> Result<Version, Infallible> {
        let number = self.coordinates_at[usize_of(ordinal)];
        let entity = self.coordinates[usize_of(number)].entity;
        Ok(self.version(&self.entities[usize_of(entity)], ordinal))
    }

    fn sequence_at(&mut self, ordinal: Ordinal) -> Result<Sequence, Infallible> {
        Ok(self.sequence(ordinal))
    }

    fn offset_at(&mut self, ordinal: Ordinal) -> Result<u64, Infallible> {
        Ok(u64::from(self.offsets[usize_of(ordinal)]))
    }

    fn ordinal_from(&mut self, sequence: Sequence) -> Result<Ordinal, Infallible> {
        let after = self.runs.partition_point(|(_, first)| *first <= sequence);
        let Some((ordinal, first)) = after.checked_sub(1).map(|at| self.runs[at]) else {
            return Ok(0);
        };
        let end = self.runs.get(after).map_or(GrowingIndex::event_count(self), |run| run.0);
        let within = u32::try_from(sequence.get() - first.get()).unwrap_or(u32::MAX);
        Ok(ordinal.saturating_add(within).min(end))
    }

    fn postings(&mut self, key: PostingKey) -> Result<Option<PostingList>, Infallible> {
        let list =
            |of, postings: &[Ordinal]| PostingList { of, start: 0, len: count(postings.len()) };
        Ok(match key {
            PostingKey::Entity(number) => {
                let postings = self.entities[usize_of(number)].postings.as_slice();
                Some(list(ListOf::Entity(number), postings))
            }
            PostingKey::Scope(number) => {
                let postings = self.scopes[usize_of(number)].postings.as_slice();
                Some(list(ListOf::Scope(number), postings))
            }
            PostingKey::Kind(kind) => {
                let at = self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind).ok();
                at.map(|at| list(ListOf::Kind(count(at)), &self.kinds[at].1))
            }
            PostingKey::Correlation(id) => {
                let postings = self.correlations.get(&id);
                postings.map(|postings| list(ListOf::Correlation(id), postings.as_slice()))
            }
            PostingKey::Causation(id) => {
                let postings = self.causations.get(&id);
                postings.map(|postings| list(ListOf::Causation(id), postings.as_slice()))
            }
        })
    }

    fn posting(&mut self, list: &PostingList, index: u32) -> Result<Ordinal, Infallible> {
        let all = match list.of {
            ListOf::Entity(number) => self.entities[usize_of(number)].postings.as_slice(),
            ListOf::Scope(number) => self.scopes[usize_of(number)].postings.as_slice(),
            ListOf::Kind(at) => self.kinds[usize_of(at)].1.as_slice(),
            ListOf::Correlation(id) => self.correlations[&id].as_slice(),
            ListOf::Causation(id) => self.causations[&id].as_slice(),
        };
        Ok(all[usize_of(list.start + index)])
    }

    fn candidates_of_id(
        &mut self,
        id: EventId,
        visit: &mut dyn FnMut(Ordinal),
    ) -> Result<(), Infallible> {
        let hash = self.hasher.id(id);
        let found = self.ids.iter_hash(spread(hash)).filter(|slot| slot.hash == hash);
        found.for_each(|slot| visit(slot.ordinal));
        Ok(())
    }
}
