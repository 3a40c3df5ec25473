//! From the growing index to the index block of a sealed segment.

use super::{
    CoordinateEntry, GrowingIndex, IdSlot, Postings, count, id_bucket, id_buckets, order_time,
    ordinal_bits,
};
use crate::format::index_block::{Column, IndexBlockWriter};
use crate::format::usize_of;
use crate::index::Ordinal;
use crate::model::EventId;
use crate::order::sort_numbers;
use alloc::string::String;
use alloc::vec::Vec;
use hashbrown::HashMap;
use xorf::{BinaryFuse8, DmaSerializable};

impl GrowingIndex {
    /// The pages of the index block that the sealed segment will carry.
    pub(crate) fn encode(&self, salt: u32) -> Vec<u8> {
        let mut writer = IndexBlockWriter::new(self.event_count());
        let entities = SortedNames::new(self.entities.len(), &|number| self.entity_name(number));
        let scopes = SortedNames::new(self.scopes.len(), &|number| self.scope_name(number));
        self.encode_events(&mut writer);
        self.encode_coordinates(&mut writer, &entities, &scopes);
        self.encode_names(&mut writer, &entities, &scopes);
        self.encode_kinds(&mut writer);
        let correlations = [
            Column::CorrelationKeys,
            Column::CorrelationPostingStarts,
            Column::CorrelationPostings,
        ];
        encode_causes(&mut writer, &self.correlations, correlations);
        let causations =
            [Column::CausationKeys, Column::CausationPostingStarts, Column::CausationPostings];
        encode_causes(&mut writer, &self.causations, causations);
        self.encode_pruned(&mut writer);
        self.encode_ids(&mut writer);
        self.encode_filter(&mut writer);
        writer.finish(salt)
    }

    fn encode_events(&self, writer: &mut IndexBlockWriter) {
        writer.column(Column::Offsets, self.offsets.iter().map(|offset| u64::from(*offset)));
        writer.column(Column::RunOrdinals, self.runs.iter().map(|run| u64::from(run.0)));
        writer.column(Column::RunSequences, self.runs.iter().map(|run| run.1.get()));
        writer.column(Column::Times, self.times_us.iter().map(|time| order_time(*time)));
        let versions = self.coordinates_at.iter().zip(&self.versions).map(|(number, relative)| {
            let entity = self.coordinates[usize_of(*number)].entity;
            self.entities[usize_of(entity)].first_version.get() + u64::from(*relative)
        });
        writer.column(Column::Versions, versions);
    }

    fn encode_coordinates(
        &self,
        writer: &mut IndexBlockWriter,
        entities: &SortedNames,
        scopes: &SortedNames,
    ) {
        let place = |entry: &CoordinateEntry| {
            (entities.rank[usize_of(entry.entity)], scopes.rank[usize_of(entry.scope)])
        };
        let mut order: Vec<u32> = (0..count(self.coordinates.len())).collect();
        let place_of = |number: u32| place(&self.coordinates[usize_of(number)]);
        sort_numbers(&mut order, &|one, other| place_of(one).cmp(&place_of(other)));
        let mut rank = alloc::vec![0_u32; order.len()];
        for (at, number) in order.iter().enumerate() {
            rank[usize_of(*number)] = count(at);
        }
        let ranks = self.coordinates_at.iter().map(|number| u64::from(rank[usize_of(*number)]));
        writer.column(Column::Coordinates, ranks);
        let sorted = order.iter().map(|number| place(&self.coordinates[usize_of(*number)]));
        writer.column(Column::CoordinateEntities, sorted.clone().map(|of| u64::from(of.0)));
        writer.column(Column::CoordinateScopes, sorted.map(|of| u64::from(of.1)));
    }

    fn encode_names(
        &self,
        writer: &mut IndexBlockWriter,
        entities: &SortedNames,
        scopes: &SortedNames,
    ) {
        let entity_names = entities.order.iter().map(|number| self.entity_name(*number));
        writer.column(Column::EntityNameStarts, starts(entity_names.clone().map(str::len)));
        writer.bytes(Column::EntityNames, entity_names);
        let scope_names = scopes.order.iter().map(|number| self.scope_name(*number));
        writer.column(Column::ScopeNameStarts, starts(scope_names.clone().map(str::len)));
        writer.bytes(Column::ScopeNames, scope_names);
        let of_entities = entities
            .order
            .iter()
            .map(|number| self.entities[usize_of(*number)].postings.as_slice());
        let columns = [Column::EntityPostingStarts, Column::EntityPostings];
        encode_postings(writer, of_entities, columns);
        let of_scopes =
            scopes.order.iter().map(|number| self.scopes[usize_of(*number)].postings.as_slice());
        encode_postings(writer, of_scopes, [Column::ScopePostingStarts, Column::ScopePostings]);
    }

    fn encode_kinds(&self, writer: &mut IndexBlockWriter) {
        let numbers = self.kinds.iter().map(|(kind, _)| u64::from(kind.as_u16()));
        writer.column(Column::Kinds, numbers);
        let indexes = self.kinds_at.iter().map(|kind| {
            let at = self.kinds.binary_search_by_key(kind, |(kind, _)| *kind);
            at.unwrap_or_default() as u64
        });
        writer.column(Column::KindIndexes, indexes);
        let postings = self.kinds.iter().map(|(_, postings)| postings.as_slice());
        encode_postings(writer, postings, [Column::KindPostingStarts, Column::KindPostings]);
    }

    fn encode_pruned(&self, writer: &mut IndexBlockWriter) {
        writer.column(Column::PrunedNameStarts, starts(self.pruned.keys().map(String::len)));
        writer.bytes(Column::PrunedNames, self.pruned.keys());
        let heads = self.pruned.values();
        writer.column(Column::PrunedVersions, heads.clone().map(|head| head.version.get()));
        writer.column(Column::PrunedSequences, heads.clone().map(|head| head.sequence.get()));
        writer.bytes(Column::PrunedHashes, heads.map(|head| head.hash.as_bytes()));
    }

    fn encode_ids(&self, writer: &mut IndexBlockWriter) {
        let buckets = id_buckets(self.event_count());
        let shift = ordinal_bits(self.event_count());
        let bucket_of = |slot: &IdSlot| usize_of(id_bucket(slot.hash, buckets));
        // The starts of the buckets, and the end of the last.
        let mut starts = alloc::vec![0_usize; usize_of(buckets) + 1];
        for slot in &self.ids {
            starts[bucket_of(slot) + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        let mut free = starts.clone();
        let mut entries = alloc::vec![0_u64; self.ids.len()];
        for slot in &self.ids {
            let print = u64::from(slot.hash & 0xFFFF) << shift;
            let place = &mut free[bucket_of(slot)];
            entries[*place] = print | u64::from(slot.ordinal);
            *place += 1;
        }
        for bucket in starts.windows(2) {
            entries[bucket[0]..bucket[1]].sort_unstable();
        }
        writer.column(Column::IdBucketStarts, starts.iter().map(|start| *start as u64));
        writer.column(Column::IdEntries, entries.iter().copied());
    }

    /// The keys that the segment's filter must hold, some of them more than once.
    pub(crate) fn filter_keys(&self) -> impl Iterator<Item = u64> {
        let pruned = self.pruned.keys().map(String::as_str);
        let names = self.entity_names().chain(pruned).map(|name| self.hasher.name(name));
        names.chain(self.ids.iter().map(|slot| u64::from(slot.hash)))
    }

    fn encode_filter(&self, writer: &mut IndexBlockWriter) {
        let mut keys: Vec<u64> = self.filter_keys().collect();
        keys.sort_unstable();
        keys.dedup();
        // A filter that can't be built costs time only: without one, every segment is asked.
        let Ok(filter) = BinaryFuse8::try_from(&keys) else { return };
        let mut descriptor = [0; BinaryFuse8::DESCRIPTOR_LEN];
        filter.dma_copy_descriptor_to(&mut descriptor);
        writer.bytes(Column::FilterDescriptor, core::iter::once(descriptor));
        writer.bytes(Column::FilterFingerprints, core::iter::once(filter.dma_fingerprints()));
    }
}

/// Names in their sorted order, and each one's rank in it.
struct SortedNames {
    order: Vec<u32>,
    rank: Vec<u32>,
}

impl SortedNames {
    fn new<'a>(names: usize, name: &dyn Fn(u32) -> &'a str) -> Self {
        let mut order: Vec<u32> = (0..count(names)).collect();
        sort_numbers(&mut order, &|one, other| name(one).cmp(name(other)));
        let mut rank = alloc::vec![0; names];
        for (at, number) in order.iter().enumerate() {
            rank[usize_of(*number)] = count(at);
        }
        SortedNames { order, rank }
    }
}

fn encode_postings<'a>(
    writer: &mut IndexBlockWriter,
    lists: impl Iterator<Item = &'a [Ordinal]> + Clone,
    [start_column, posting_column]: [Column; 2],
) {
    writer.column(start_column, starts(lists.clone().map(<[Ordinal]>::len)));
    writer.column(posting_column, lists.flatten().map(|ordinal| u64::from(*ordinal)));
}

fn encode_causes(
    writer: &mut IndexBlockWriter,
    causes: &HashMap<EventId, Postings>,
    [key_column, start_column, posting_column]: [Column; 3],
) {
    let all: Vec<(&EventId, &Postings)> = causes.iter().collect();
    let mut order: Vec<u32> = (0..count(all.len())).collect();
    sort_numbers(&mut order, &|one, other| all[usize_of(one)].0.cmp(all[usize_of(other)].0));
    let sorted = order.iter().map(|number| all[usize_of(*number)]);
    writer.bytes(key_column, sorted.clone().map(|(id, _)| id.as_bytes()));
    let lists = sorted.map(|(_, postings)| postings.as_slice());
    encode_postings(writer, lists, [start_column, posting_column]);
}

/// Where each of `lens` starts when they follow each other, and where the last ends.
fn starts(lens: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = u64> + Clone {
    let ends = lens.scan(0_u64, |end, len| {
        *end += len as u64;
        Some(*end)
    });
    core::iter::once(0).chain(ends)
}
