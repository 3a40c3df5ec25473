//! The index of the active segment, in memory, appended to by the one writer.
//!
//! Columns by ordinal, postings by name, no name held twice: about 55 bytes an event. It only
//! grows, so a reader that remembers an ordinal as its end sees one prefix for ever.

use super::{KeyHasher, ListOf, Ordinal, PostingKey, PostingList, SegmentIndex};
use crate::format::index_block::{Column, IndexBlockWriter};
use crate::format::usize_of;
use crate::model::{Coordinate, EntityFilter, EventId, EventKind, Hash, Sequence, Version};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ops::Range;
use hashbrown::{HashMap, HashTable};
use xorf::{BinaryFuse8, DmaSerializable};

/// What the index is told of one event.
#[derive(Debug)]
pub(crate) struct IndexEntry<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) offset: u64,
    pub(crate) coordinate: &'a Coordinate,
    pub(crate) entity_hash: u64,
    pub(crate) kind: EventKind,
    pub(crate) timestamp_us: i64,
    pub(crate) version: Version,
    pub(crate) id: EventId,
    /// Absent where it is the event's own id.
    pub(crate) correlation: Option<EventId>,
    pub(crate) causation: Option<EventId>,
    /// Absent after recovery, where it is computed when it is asked for.
    pub(crate) event_hash: Option<Hash>,
}

#[derive(Debug)]
struct IdSlot {
    hash: u32,
    ordinal: Ordinal,
}

#[derive(Debug)]
struct EntityEntry {
    /// The first coordinate with this entity, which holds its name.
    coordinate: u32,
    first_version: Version,
    head_hash: Option<Hash>,
    postings: Postings,
}

#[derive(Debug)]
struct ScopeEntry {
    coordinate: u32,
    postings: Postings,
}

#[derive(Debug)]
struct CoordinateEntry {
    coordinate: Coordinate,
    entity: u32,
    scope: u32,
}

/// Most keys have one event, most events are of a key with many.
#[derive(Debug)]
enum Postings {
    One(Ordinal),
    Many(Vec<Ordinal>),
}

impl Postings {
    fn push(&mut self, ordinal: Ordinal) {
        match self {
            Postings::One(first) => *self = Postings::Many(alloc::vec![*first, ordinal]),
            Postings::Many(all) => all.push(ordinal),
        }
    }

    fn as_slice(&self) -> &[Ordinal] {
        match self {
            Postings::One(one) => core::slice::from_ref(one),
            Postings::Many(all) => all,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct GrowingIndex {
    hasher: KeyHasher,
    runs: Vec<(Ordinal, Sequence)>,
    offsets: Vec<u32>,
    coordinates_at: Vec<u32>,
    kinds_at: Vec<EventKind>,
    times_us: Vec<i64>,
    /// Less the entity's first version in this segment.
    versions: Vec<u32>,
    ids: HashTable<IdSlot>,
    coordinates: Vec<CoordinateEntry>,
    coordinate_slots: HashTable<u32>,
    entities: Vec<EntityEntry>,
    entity_slots: HashTable<u32>,
    scopes: Vec<ScopeEntry>,
    scope_slots: HashTable<u32>,
    kinds: Vec<(EventKind, Vec<Ordinal>)>,
    correlations: HashMap<EventId, Postings>,
    causations: HashMap<EventId, Postings>,
    id_min: EventId,
    id_max: EventId,
    frames_end: u64,
}

impl GrowingIndex {
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        GrowingIndex {
            hasher,
            runs: Vec::new(),
            offsets: Vec::new(),
            coordinates_at: Vec::new(),
            kinds_at: Vec::new(),
            times_us: Vec::new(),
            versions: Vec::new(),
            ids: HashTable::new(),
            coordinates: Vec::new(),
            coordinate_slots: HashTable::new(),
            entities: Vec::new(),
            entity_slots: HashTable::new(),
            scopes: Vec::new(),
            scope_slots: HashTable::new(),
            kinds: Vec::new(),
            correlations: HashMap::new(),
            causations: HashMap::new(),
            id_min: EventId::from_bytes([0xFF; 16]),
            id_max: EventId::from_bytes([0; 16]),
            frames_end: 0,
        }
    }

    /// Where the last frame ends that the index knows of, in bytes of the file.
    pub(crate) fn frames_end(&self) -> u64 {
        self.frames_end
    }

    pub(crate) fn set_frames_end(&mut self, offset: u64) {
        self.frames_end = offset;
    }

    /// Adds the next event.
    ///
    /// # Errors
    ///
    /// What is wrong with it, where it does not fit behind the ones before: offsets, sequences
    /// and the versions of an entity rise. Nothing was added then.
    pub(crate) fn push(&mut self, entry: &IndexEntry<'_>) -> Result<(), &'static str> {
        let ordinal = self.event_count();
        let offset = u32::try_from(entry.offset).map_err(|_| "an offset below 4 GiB")?;
        if entry.sequence < self.next_sequence() {
            return Err("a sequence behind the one before");
        }
        let version = self.relative_version(entry)?;
        if ordinal == 0 || self.next_sequence() != entry.sequence {
            self.runs.push((ordinal, entry.sequence));
        }
        let coordinate = self.coordinate_number(entry, ordinal);
        let entity = usize_of(self.coordinates[usize_of(coordinate)].entity);
        self.entities[entity].head_hash = entry.event_hash;
        self.versions.push(version);
        self.offsets.push(offset);
        self.coordinates_at.push(coordinate);
        self.kinds_at.push(entry.kind);
        self.times_us.push(entry.timestamp_us);
        self.push_kind(entry.kind, ordinal);
        self.push_id(entry.id, ordinal);
        if let Some(correlation) = entry.correlation {
            push_posting(&mut self.correlations, correlation, ordinal);
        }
        if let Some(causation) = entry.causation {
            push_posting(&mut self.causations, causation, ordinal);
        }
        Ok(())
    }

    /// The version less the entity's first one in this segment.
    fn relative_version(&self, entry: &IndexEntry<'_>) -> Result<u32, &'static str> {
        let name = entry.coordinate.entity();
        let Some(number) = self.find_entity(name, entry.entity_hash) else { return Ok(0) };
        let entity = &self.entities[usize_of(number)];
        let last = entity.postings.as_slice().last().map(|last| self.version(entity, *last));
        if last.is_some_and(|last| entry.version <= last) {
            return Err("a version above the stream's last");
        }
        let relative = entry.version.get() - entity.first_version.get();
        u32::try_from(relative).map_err(|_| "a version within 4 billion of the segment's first")
    }

    /// The sequence behind the last event.
    fn next_sequence(&self) -> Sequence {
        self.runs.last().map_or(Sequence::new(0), |(ordinal, sequence)| {
            Sequence::new(sequence.get() + u64::from(self.event_count() - ordinal))
        })
    }

    fn coordinate_number(&mut self, entry: &IndexEntry<'_>, ordinal: Ordinal) -> u32 {
        let hasher = self.hasher;
        let (entity, scope) = (entry.coordinate.entity(), entry.coordinate.scope());
        let hash = coordinate_hash(hasher, entry.entity_hash, scope);
        let coordinates = &self.coordinates;
        let known = self
            .coordinate_slots
            .find(hash, |number| coordinates[usize_of(*number)].coordinate == *entry.coordinate);
        if let Some(&number) = known {
            let found = &self.coordinates[usize_of(number)];
            self.entities[usize_of(found.entity)].postings.push(ordinal);
            self.scopes[usize_of(found.scope)].postings.push(ordinal);
            return number;
        }
        let number = count(self.coordinates.len());
        let entity = self.entity_number(entity, entry, number, ordinal);
        let scope = self.scope_number(scope, number, ordinal);
        self.coordinates.push(CoordinateEntry {
            coordinate: entry.coordinate.clone(),
            entity,
            scope,
        });
        let coordinates = &self.coordinates;
        self.coordinate_slots.insert_unique(hash, number, |number| {
            let of = &coordinates[usize_of(*number)].coordinate;
            coordinate_hash(hasher, hasher.name(of.entity()), of.scope())
        });
        number
    }

    fn entity_number(
        &mut self,
        name: &str,
        entry: &IndexEntry<'_>,
        coordinate: u32,
        ordinal: Ordinal,
    ) -> u32 {
        if let Some(number) = self.find_entity(name, entry.entity_hash) {
            self.entities[usize_of(number)].postings.push(ordinal);
            return number;
        }
        let number = count(self.entities.len());
        self.entities.push(EntityEntry {
            coordinate,
            first_version: entry.version,
            head_hash: None,
            postings: Postings::One(ordinal),
        });
        let (hasher, entities, coordinates) = (self.hasher, &self.entities, &self.coordinates);
        self.entity_slots.insert_unique(entry.entity_hash, number, |number| {
            let coordinate = entities[usize_of(*number)].coordinate;
            hasher.name(coordinates[usize_of(coordinate)].coordinate.entity())
        });
        number
    }

    fn scope_number(&mut self, name: &str, coordinate: u32, ordinal: Ordinal) -> u32 {
        if let Some(number) = self.find_scope(name) {
            self.scopes[usize_of(number)].postings.push(ordinal);
            return number;
        }
        let number = count(self.scopes.len());
        self.scopes.push(ScopeEntry { coordinate, postings: Postings::One(ordinal) });
        let (hasher, scopes, coordinates) = (self.hasher, &self.scopes, &self.coordinates);
        self.scope_slots.insert_unique(hasher.name(name), number, |number| {
            let coordinate = scopes[usize_of(*number)].coordinate;
            hasher.name(coordinates[usize_of(coordinate)].coordinate.scope())
        });
        number
    }

    fn push_kind(&mut self, kind: EventKind, ordinal: Ordinal) {
        match self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => self.kinds[at].1.push(ordinal),
            Err(at) => self.kinds.insert(at, (kind, alloc::vec![ordinal])),
        }
    }

    fn push_id(&mut self, id: EventId, ordinal: Ordinal) {
        self.id_min = self.id_min.min(id);
        self.id_max = self.id_max.max(id);
        let hash = self.hasher.id(id);
        let slot = IdSlot { hash, ordinal };
        self.ids.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
    }

    fn find_entity(&self, name: &str, hash: u64) -> Option<u32> {
        let found = self.entity_slots.find(hash, |number| self.entity_name(*number) == name);
        found.copied()
    }

    fn find_scope(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.name(name);
        self.scope_slots.find(hash, |number| self.scope_name(*number) == name).copied()
    }

    fn entity_name(&self, number: u32) -> &str {
        let coordinate = self.entities[usize_of(number)].coordinate;
        self.coordinates[usize_of(coordinate)].coordinate.entity()
    }

    fn scope_name(&self, number: u32) -> &str {
        let coordinate = self.scopes[usize_of(number)].coordinate;
        self.coordinates[usize_of(coordinate)].coordinate.scope()
    }

    /// The version, the last ordinal and, if it is known, the hash of an entity's newest event.
    pub(crate) fn head(&self, name: &str, hash: u64) -> Option<(Version, Ordinal, Option<Hash>)> {
        let entity = &self.entities[usize_of(self.find_entity(name, hash)?)];
        let last = *entity.postings.as_slice().last()?;
        Some((self.version(entity, last), last, entity.head_hash))
    }

    fn version(&self, entity: &EntityEntry, ordinal: Ordinal) -> Version {
        let relative = u64::from(self.versions[usize_of(ordinal)]);
        Version::new(entity.first_version.get() + relative)
    }

    /// Every entity's name, in no order.
    pub(crate) fn entity_names(&self) -> impl Iterator<Item = &str> {
        (0..count(self.entities.len())).map(|number| self.entity_name(number))
    }

    /// Every scope's name, in no order.
    pub(crate) fn scope_names(&self) -> impl Iterator<Item = &str> {
        (0..count(self.scopes.len())).map(|number| self.scope_name(number))
    }

    /// Every kind that occurs and how often.
    pub(crate) fn kind_counts(&self) -> impl Iterator<Item = (EventKind, u64)> {
        self.kinds.iter().map(|(kind, ordinals)| (*kind, ordinals.len() as u64))
    }

    /// The smallest and the largest timestamp, in microseconds.
    pub(crate) fn time_range_us(&self) -> Option<(i64, i64)> {
        Some((*self.times_us.iter().min()?, *self.times_us.iter().max()?))
    }

    /// The smallest and the largest id.
    pub(crate) fn id_range(&self) -> (EventId, EventId) {
        (self.id_min, self.id_max)
    }

    /// Roughly the bytes of memory that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let columns = self.offsets.capacity() * 4
            + self.coordinates_at.capacity() * 4
            + self.kinds_at.capacity() * 2
            + self.times_us.capacity() * 8
            + self.versions.capacity() * 4;
        let slots = self.ids.capacity() * 9
            + (self.coordinate_slots.capacity()
                + self.entity_slots.capacity()
                + self.scope_slots.capacity())
                * 5;
        let names = self.coordinates.iter().map(|entry| {
            let name = entry.coordinate.entity().len() + entry.coordinate.scope().len();
            size_of::<CoordinateEntry>() + 16 + name
        });
        let many = |postings: &Postings| match postings {
            Postings::One(_) => 0,
            Postings::Many(all) => all.capacity() * 4,
        };
        let entities = self.entities.capacity() * size_of::<EntityEntry>()
            + self.entities.iter().map(|entity| many(&entity.postings)).sum::<usize>();
        let scopes = self.scopes.iter().map(|scope| many(&scope.postings)).sum::<usize>();
        let kinds = self.kinds.iter().map(|(_, all)| all.capacity() * 4).sum::<usize>();
        let causes = self.correlations.values().chain(self.causations.values());
        let causes = causes.map(|postings| 48 + many(postings)).sum::<usize>();
        columns + slots + names.sum::<usize>() + entities + scopes + kinds + causes
    }

    /// The pages of the index block that the sealed segment will carry.
    pub(crate) fn encode(&self, salt: u32) -> Vec<u8> {
        let mut writer = IndexBlockWriter::new(self.event_count());
        let entities = SortedNames::new(self.entities.len(), |number| self.entity_name(number));
        let scopes = SortedNames::new(self.scopes.len(), |number| self.scope_name(number));
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
        order.sort_unstable_by_key(|number| place(&self.coordinates[usize_of(*number)]));
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

    fn encode_ids(&self, writer: &mut IndexBlockWriter) {
        let buckets = id_buckets(self.event_count());
        let shift = ordinal_bits(self.event_count());
        let mut entries: Vec<(u32, u64)> = self
            .ids
            .iter()
            .map(|slot| {
                let print = u64::from(slot.hash & 0xFFFF) << shift;
                (id_bucket(slot.hash, buckets), print | u64::from(slot.ordinal))
            })
            .collect();
        entries.sort_unstable();
        let mut bucket_starts = Vec::with_capacity(usize_of(buckets) + 1);
        let mut at = 0;
        for bucket in 0..=buckets {
            while entries.get(at).is_some_and(|entry| entry.0 < bucket) {
                at += 1;
            }
            bucket_starts.push(at as u64);
        }
        writer.column(Column::IdBucketStarts, bucket_starts.iter().copied());
        writer.column(Column::IdEntries, entries.iter().map(|entry| entry.1));
    }

    fn encode_filter(&self, writer: &mut IndexBlockWriter) {
        let names = self.entity_names().map(|name| self.hasher.name(name));
        let ids = self.ids.iter().map(|slot| u64::from(slot.hash));
        let mut keys: Vec<u64> = names.chain(ids).collect();
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
        let after = self.runs.partition_point(|(first, _)| *first <= ordinal);
        let (first, sequence) = self.runs[after.saturating_sub(1)];
        Ok(Sequence::new(sequence.get() + u64::from(ordinal - first)))
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

impl GrowingIndex {
    /// How many events it holds.
    pub(crate) fn event_count(&self) -> u32 {
        count(self.offsets.len())
    }
}

/// Names in their sorted order, and each one's rank in it.
struct SortedNames {
    order: Vec<u32>,
    rank: Vec<u32>,
}

impl SortedNames {
    fn new<'a>(names: usize, name: impl Fn(u32) -> &'a str) -> Self {
        let mut order: Vec<u32> = (0..count(names)).collect();
        order.sort_unstable_by_key(|number| name(*number));
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
    let mut sorted: Vec<(&EventId, &Postings)> = causes.iter().collect();
    sorted.sort_unstable_by_key(|(id, _)| **id);
    writer.bytes(key_column, sorted.iter().map(|(id, _)| id.as_bytes()));
    let lists = sorted.iter().map(|(_, postings)| postings.as_slice());
    encode_postings(writer, lists, [start_column, posting_column]);
}

fn push_posting(causes: &mut HashMap<EventId, Postings>, id: EventId, ordinal: Ordinal) {
    causes
        .entry(id)
        .and_modify(|postings| postings.push(ordinal))
        .or_insert(Postings::One(ordinal));
}

/// Where each of `lens` starts when they follow each other, and where the last ends.
fn starts(lens: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = u64> + Clone {
    let ends = lens.scan(0_u64, |end, len| {
        *end += len as u64;
        Some(*end)
    });
    core::iter::once(0).chain(ends)
}

fn coordinate_hash(hasher: KeyHasher, entity_hash: u64, scope: &str) -> u64 {
    entity_hash.rotate_left(5) ^ hasher.name(scope)
}

/// `hashbrown` takes its control bits from the top and its bucket from the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The order-preserving map from signed to unsigned.
pub(super) fn order_time(time_us: i64) -> u64 {
    time_us.cast_unsigned() ^ (1 << 63)
}

pub(super) fn id_buckets(events: u32) -> u32 {
    (events / 8).max(1)
}

pub(super) fn id_bucket(hash: u32, buckets: u32) -> u32 {
    u32::try_from((u64::from(hash) * u64::from(buckets)) >> 32).unwrap_or_default()
}

pub(super) fn ordinal_bits(events: u32) -> u32 {
    u32::BITS - events.leading_zeros()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a segment is below 4 GiB, and so are its events")
}
