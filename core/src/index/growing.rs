//! The index of the active segment, in memory, appended to by the one writer.
//!
//! Columns by ordinal, postings by name, no name held twice: about 55 bytes an event. It only
//! grows, so a reader that remembers an ordinal as its end sees one prefix for ever.

mod answers;
mod encode;
mod entry;

pub(crate) use entry::{Address, IndexEntry};

use super::{KeyHasher, Ordinal, PrunedHead};
use crate::format::pruned::PrunedRun;
use crate::format::usize_of;
use crate::model::{Coordinate, EventId, EventKind, Hash, Sequence, Version};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashTable};

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
            Postings::Many(all) => push(all, ordinal),
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
    /// The newest pruned event of each entity that has none behind it.
    pruned: BTreeMap<String, PrunedHead>,
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
            pruned: BTreeMap::new(),
            id_min: EventId::from_bytes([0xFF; 16]),
            id_max: EventId::from_bytes([0; 16]),
            frames_end: 0,
        }
    }

    /// Notes events that are gone, in the order of their stream.
    pub(crate) fn push_pruned(&mut self, run: &PrunedRun) {
        let hash = self.hasher.name(&run.entity);
        let newest = self.head(&run.entity, hash).map(|(version, ..)| version);
        let known = self.pruned.get(&run.entity).map(|head| head.version);
        if newest.max(known).is_none_or(|version| version < run.last_version) {
            let PrunedRun { last_version, last_sequence, last_hash, .. } = *run;
            let head =
                PrunedHead { version: last_version, sequence: last_sequence, hash: last_hash };
            self.pruned.insert(run.entity.clone(), head);
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
        if entry.sequence == Sequence::MAX || entry.version == Version::MAX {
            return Err("a sequence and a version that others can follow");
        }
        let known = self.find_coordinate(entry);
        let entity = match known {
            Some(number) => Some(self.coordinates[usize_of(number)].entity),
            None => self.find_entity(entry.address.entity(), entry.entity_hash),
        };
        let version = self.relative_version(entity, entry.version)?;
        if ordinal == 0 || self.next_sequence() != entry.sequence {
            self.runs.push((ordinal, entry.sequence));
        }
        let coordinate = match known {
            Some(number) => self.note_coordinate(number, ordinal),
            None => self.add_coordinate(entry, entity, ordinal),
        };
        let entity = usize_of(self.coordinates[usize_of(coordinate)].entity);
        if !self.pruned.is_empty() {
            self.pruned.remove(entry.address.entity());
        }
        self.entities[entity].head_hash = entry.event_hash;
        push(&mut self.versions, version);
        push(&mut self.offsets, offset);
        push(&mut self.coordinates_at, coordinate);
        push(&mut self.kinds_at, entry.kind);
        push(&mut self.times_us, entry.timestamp_us);
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

    /// A version less the entity's first one in this segment.
    fn relative_version(&self, entity: Option<u32>, version: Version) -> Result<u32, &'static str> {
        let Some(number) = entity else { return Ok(0) };
        let entity = &self.entities[usize_of(number)];
        let last = entity.postings.as_slice().last().map(|last| self.version(entity, *last));
        if last.is_some_and(|last| version <= last) {
            return Err("a version above the stream's last");
        }
        let relative = version.get() - entity.first_version.get();
        u32::try_from(relative).map_err(|_| "a version within 4 billion of the segment's first")
    }

    /// The sequence behind the last event.
    fn next_sequence(&self) -> Sequence {
        self.runs.last().map_or(Sequence::new(0), |(ordinal, sequence)| {
            Sequence::new(sequence.get() + u64::from(self.event_count() - ordinal))
        })
    }

    fn find_coordinate(&self, entry: &IndexEntry<'_>) -> Option<u32> {
        let hash = coordinate_hash(self.hasher, entry.entity_hash, entry.address.scope());
        let coordinates = &self.coordinates;
        let is_it = |number: &u32| entry.address.is(&coordinates[usize_of(*number)].coordinate);
        self.coordinate_slots.find(hash, is_it).copied()
    }

    fn note_coordinate(&mut self, number: u32, ordinal: Ordinal) -> u32 {
        let found = &self.coordinates[usize_of(number)];
        self.entities[usize_of(found.entity)].postings.push(ordinal);
        self.scopes[usize_of(found.scope)].postings.push(ordinal);
        number
    }

    fn add_coordinate(
        &mut self,
        entry: &IndexEntry<'_>,
        entity: Option<u32>,
        ordinal: Ordinal,
    ) -> u32 {
        let hasher = self.hasher;
        let number = count(self.coordinates.len());
        let scope_name = entry.address.scope();
        let known_scope = self.find_scope(scope_name);
        let entity_number = entity.unwrap_or(count(self.entities.len()));
        let scope_number = known_scope.unwrap_or(count(self.scopes.len()));
        self.coordinates.push(CoordinateEntry {
            coordinate: entry.address.to_coordinate(),
            entity: entity_number,
            scope: scope_number,
        });
        let coordinates = &self.coordinates;
        let hash = coordinate_hash(hasher, entry.entity_hash, scope_name);
        self.coordinate_slots.insert_unique(hash, number, |number| {
            let of = &coordinates[usize_of(*number)].coordinate;
            coordinate_hash(hasher, hasher.name(of.entity()), of.scope())
        });
        let postings = Postings::One(ordinal);
        match entity {
            Some(entity) => self.entities[usize_of(entity)].postings.push(ordinal),
            None => self.add_entity(entry, number, postings),
        }
        match known_scope {
            Some(scope) => self.scopes[usize_of(scope)].postings.push(ordinal),
            None => self.add_scope(scope_name, number, Postings::One(ordinal)),
        }
        number
    }

    fn add_entity(&mut self, entry: &IndexEntry<'_>, coordinate: u32, postings: Postings) {
        let number = count(self.entities.len());
        let first_version = entry.version;
        self.entities.push(EntityEntry { coordinate, first_version, head_hash: None, postings });
        let (hasher, entities, coordinates) = (self.hasher, &self.entities, &self.coordinates);
        self.entity_slots.insert_unique(entry.entity_hash, number, |number| {
            let coordinate = entities[usize_of(*number)].coordinate;
            hasher.name(coordinates[usize_of(coordinate)].coordinate.entity())
        });
    }

    fn add_scope(&mut self, name: &str, coordinate: u32, postings: Postings) {
        let number = count(self.scopes.len());
        self.scopes.push(ScopeEntry { coordinate, postings });
        let (hasher, scopes, coordinates) = (self.hasher, &self.scopes, &self.coordinates);
        self.scope_slots.insert_unique(hasher.name(name), number, |number| {
            let coordinate = scopes[usize_of(*number)].coordinate;
            hasher.name(coordinates[usize_of(coordinate)].coordinate.scope())
        });
    }

    fn push_kind(&mut self, kind: EventKind, ordinal: Ordinal) {
        match self.kinds.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => push(&mut self.kinds[at].1, ordinal),
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

    /// The newest event of each stream, by when the stream came first; none where retention has
    /// dropped events, of which the newest may be one.
    pub(crate) fn heads(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&str, Version, Sequence, Option<Hash>)> {
        let known = if self.pruned.is_empty() { &*self.entities } else { &[] };
        known.iter().filter_map(|entity| {
            let last = *entity.postings.as_slice().last()?;
            let name = self.coordinates[usize_of(entity.coordinate)].coordinate.entity();
            Some((name, self.version(entity, last), self.sequence(last), entity.head_hash))
        })
    }

    /// The hash of the event at a place, if it is that sequence's, is the newest of its stream, and
    /// its hash is known.
    pub(crate) fn head_hash_of(&self, ordinal: Ordinal, sequence: Sequence) -> Option<Hash> {
        let coordinate = *self.coordinates_at.get(usize_of(ordinal))?;
        let (first, start) = self.runs.first()?;
        let is_dense =
            self.runs.len() == 1 && sequence.get() == start.get() + u64::from(ordinal - first);
        let entity = &self.entities[usize_of(self.coordinates[usize_of(coordinate)].entity)];
        let is_head = entity.postings.as_slice().last() == Some(&ordinal);
        entity.head_hash.filter(|_| is_dense && is_head)
    }

    fn sequence(&self, ordinal: Ordinal) -> Sequence {
        let after = self.runs.partition_point(|(first, _)| *first <= ordinal);
        let (first, sequence) = self.runs[after.saturating_sub(1)];
        Sequence::new(sequence.get() + u64::from(ordinal - first))
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

    /// How many events it holds.
    pub(crate) fn event_count(&self) -> u32 {
        count(self.offsets.len())
    }
}

/// Appends to a list that may become long. It grows by a quarter, where a `Vec` would double: of the
/// memory that an index holds, a third would be for events that are still to come.
fn push<T>(list: &mut Vec<T>, value: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(4));
    }
    list.push(value);
}

fn push_posting(causes: &mut HashMap<EventId, Postings>, id: EventId, ordinal: Ordinal) {
    causes
        .entry(id)
        .and_modify(|postings| postings.push(ordinal))
        .or_insert(Postings::One(ordinal));
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
