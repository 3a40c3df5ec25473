//! Staging: every check of an append, then its ids, clock, hashes and bytes, before any write.
//!
//! A batch that is refused leaves the group as it was. What staging decides it decides against
//! the log and against what was staged before it in the same group, so the order of staging is
//! the order of the log.

mod together;

use crate::format::frame::{self, FRAME_HEADER_LEN};
use crate::format::record::{self, RECORD_PREFIX_LEN, RecordRef, RecordState};
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::decode::EventRef;
use crate::log::staged::{Staged, StagedEvent, check_batch_len};
use crate::log::writer::Log;
use crate::model::wire::{encode_header, varint_bytes};
use crate::model::{
    Append, AppendCondition, AppendReceipt, BATCH_EVENTS_MAX, Coordinate, DagPosition, EventHeader,
    EventId, ExpectedVersion, Hash, Hlc, LimitError, Payload, PositionHint, Region, Sequence,
    Version, chain,
};
use crate::storage::Storage;
use alloc::string::ToString;
use alloc::vec::Vec;

/// Events of a batch that are hashed together. More would not fit the processor's caches.
const TOGETHER_MAX: usize = 256;

/// What one record may take up besides names, metadata, payload and admission.
const RECORD_OVERHEAD: usize = RECORD_PREFIX_LEN + 192;

impl<S: Storage, H: Host> Log<S, H> {
    /// Stages the events of one batch: they are visible, and on storage, after the next
    /// [`commit`](Log::commit), all of them or none. The answer may also be that the group is
    /// full, or that the batch was appended before.
    ///
    /// # Errors
    ///
    /// Whatever refuses the batch: a version, an idempotency key or a condition that does not
    /// hold, a limit, a reserved kind, a poisoned or failing storage. The group is as it was.
    pub fn stage(
        &mut self,
        items: &[Append],
        condition: Option<&AppendCondition>,
    ) -> Result<Staged, StoreError> {
        let reserved = items.iter().map(|item| item.kind).find(|kind| kind.is_reserved());
        match reserved {
            Some(kind) => Err(StoreError::ReservedKind { kind }),
            None => self.stage_any(items, condition),
        }
    }

    /// As [`stage`](Log::stage), also for the kinds that are the store's own.
    pub(super) fn stage_any(
        &mut self,
        items: &[Append],
        condition: Option<&AppendCondition>,
    ) -> Result<Staged, StoreError> {
        self.check_healthy()?;
        self.go_on_behind_written();
        check_items(items)?;
        if let Some(known) = self.replayed(items)? {
            return Ok(known);
        }
        let bound = FRAME_HEADER_LEN + items.iter().map(len_bound).sum::<usize>();
        check_batch_len(bound, self.config.frame_len_max())?;
        for condition in condition.into_iter().chain(items.iter().filter_map(own_condition)) {
            self.check_condition(condition)?;
        }
        if items.is_empty() {
            return Ok(Staged::Known(Vec::new()));
        }
        if !self.make_room(bound)? {
            return Ok(Staged::Full);
        }
        let (mark, hlc) = (self.group.mark(), self.hlc);
        let staged = self.stage_frame(items);
        if staged.is_err() {
            self.group.roll_back(mark);
            // Items before the one that was refused had ticked it, and a footer says what it is.
            self.hlc = hlc;
        }
        staged
    }

    fn stage_frame(&mut self, items: &[Append]) -> Result<Staged, StoreError> {
        let first = self.group.events.len();
        let sequence = self.staged_end();
        let now_us = self.host.now_us();
        let start = frame::begin(&mut self.group.bytes);
        let together = chain::are_worth_lanes(items.len());
        for items in items.chunks(if together { TOGETHER_MAX } else { items.len() }) {
            let unhashed = self.group.events.len();
            for append in items {
                self.stage_event(append, now_us, first, together.then_some(unhashed))?;
            }
            if together {
                let salt = self.salt();
                together::finish_records(&mut self.group, unhashed, salt);
            }
        }
        let count = u32::try_from(items.len()).expect("a batch is limited");
        let (salt, synced_len) = (self.salt(), self.tail.synced_len);
        frame::finish(&mut self.group.bytes, start, sequence, synced_len, count, salt);
        Ok(Staged::Group(first..self.group.events.len()))
    }

    /// Where events are hashed together, those of the group from `unhashed` on have no hash yet, and
    /// this one will have none.
    fn stage_event(
        &mut self,
        append: &Append,
        now_us: i64,
        first: usize,
        unhashed: Option<usize>,
    ) -> Result<(), StoreError> {
        let options = &append.options;
        let entity = append.coordinate.entity();
        let entity_hash = self.shared.hasher.name(entity);
        let staged_head = self.group.head(entity, entity_hash);
        let head = match staged_head.map(|at| &self.group.events[at]) {
            Some(staged) => Some((staged.version, staged.event_hash)),
            None => self.head(entity, entity_hash)?,
        };
        check_version(entity, options.expected_version, head.map(|(version, _)| version))?;
        let cause = append.cause_item.map(|item| &self.group.events[first + item]);
        let (cause_id, cause_correlation) =
            cause.map(|cause| (cause.id, cause.correlation.unwrap_or(cause.id))).unzip();
        let id = match options.idempotency_key {
            Some(key) => key,
            None => self.new_id(now_us),
        };
        // Only bytes that somebody has forged lead to the end of a number.
        if self.hlc.wall_ms >= Hlc::STORED_WALL_MS_MAX {
            return Err(LimitError::new("ticks of the clock", usize::MAX, usize::MAX).into());
        }
        let hlc = self.hlc.tick(now_us);
        self.hlc = hlc;
        let PositionHint { lane, depth } = options.position.unwrap_or_default();
        let version = head.map_or(Some(Version::ZERO), |(version, _)| version.checked_next());
        let sequence = self.staged_end();
        let (Some(version), Some(_)) = (version, sequence.checked_next()) else {
            return Err(LimitError::new("events", usize::MAX, usize::MAX).into());
        };
        let header = EventHeader {
            id,
            correlation: options.correlation.or(cause_correlation).unwrap_or(id),
            causation: options.causation.or(cause_id),
            timestamp_us: now_us,
            position: DagPosition { depth, lane, version, sequence, hlc },
            kind: append.kind,
            flags: options.flags,
            prev_hash: head.map_or(Hash::ZERO, |(_, hash)| hash),
            admission: append.admission.clone(),
        };
        let salt = self.salt();
        let bytes = &mut self.group.bytes;
        let (record_at, event_hash) =
            encode_record(bytes, append, &header, salt, unhashed.is_some())?;
        let event = StagedEvent {
            coordinate: append.coordinate.clone(),
            entity_hash,
            kind: append.kind,
            id,
            correlation: Some(header.correlation).filter(|correlation| *correlation != id),
            causation: header.causation,
            timestamp_us: now_us,
            hlc,
            sequence,
            version,
            event_hash,
            waits_for: staged_head.filter(|at| unhashed.is_some_and(|unhashed| *at >= unhashed)),
            record_at,
        };
        self.group.push(event, options.idempotency_key);
        Ok(())
    }

    /// The newest version of a stream and its hash, but for what is staged.
    fn head(&self, entity: &str, hash: u64) -> Result<Option<(Version, Hash)>, StoreError> {
        if let Some(active) = &self.reader.view.active
            && let Some((version, _, Some(event_hash))) = active.index.read().head(entity, hash)
        {
            return Ok(Some((version, event_hash)));
        }
        self.reader.head_hash(entity)
    }

    fn check_condition(&self, condition: &AppendCondition) -> Result<(), StoreError> {
        let AppendCondition { region, after } = condition;
        let first = after.map_or(Sequence::ZERO, Sequence::next);
        let span = region.sequence_span();
        let from = span.map_or(first, |span| span.first.max(first));
        let last = span.map_or(Sequence::MAX, |span| span.last);
        if from > last {
            return Ok(());
        }
        let narrowed = region.clone().sequences(from..=last);
        let found = self.reader.query(&narrowed).limit(1).next_with(|event| event.sequence())?;
        let found = found.map_or_else(|| self.staged_match(&narrowed), |found| Ok(Some(found)))?;
        found.map_or(Ok(()), |sequence| Err(StoreError::ConditionFailed { sequence }))
    }

    /// The first staged event of a region.
    fn staged_match(&self, region: &Region) -> Result<Option<Sequence>, StoreError> {
        for event in &self.group.events {
            let staged = self.staged_event(event)?;
            if region.matches_ref(event.sequence, staged.header()) {
                return Ok(Some(event.sequence));
            }
        }
        Ok(None)
    }

    fn staged_event(&self, event: &StagedEvent) -> Result<EventRef<'_>, StoreError> {
        let record = RecordRef::parse(&self.group.bytes[event.record_at..]);
        record.and_then(|record| EventRef::new(record, event.sequence)).map_err(|fault| {
            StoreError::corruption(self.active_file_id(), event.record_at as u64, fault)
        })
    }

    /// What was appended before under the idempotency keys of these items.
    ///
    /// A batch was written whole or not at all. So where one of its keys is known, every item
    /// must stand where it would have been written with it, or this is another batch.
    fn replayed(&self, items: &[Append]) -> Result<Option<Staged>, StoreError> {
        for (at, append) in items.iter().enumerate() {
            let Some(key) = append.options.idempotency_key else { continue };
            if let Some(staged) = self.group.keyed(key) {
                return self.replayed_in_group(items, key, staged, at).map(Some);
            }
            let known = self.reader.find(key, |event| event.sequence())?;
            let Some(sequence) = known else { continue };
            let conflict = StoreError::IdempotencyConflict { id: key, sequence };
            let Some(first) = sequence.checked_sub(at as u64) else { return Err(conflict) };
            let mut receipts = Vec::with_capacity(items.len());
            for (at, append) in items.iter().enumerate() {
                let place = first.checked_add(at as u64).unwrap_or(Sequence::MAX);
                receipts.push(self.replayed_item(append, place, &conflict)?);
            }
            return Ok(Some(Staged::Known(receipts)));
        }
        Ok(None)
    }

    fn replayed_item(
        &self,
        append: &Append,
        sequence: Sequence,
        conflict: &StoreError,
    ) -> Result<AppendReceipt, StoreError> {
        let located = if sequence < self.reader.end { self.reader.locate(sequence)? } else { None };
        let Some((at, place)) = located else { return Err(conflict.clone()) };
        let Some(segment) = self.reader.view.at(at) else { return Err(conflict.clone()) };
        let durable = sequence < self.durable_end;
        let receipt = self.reader.read(&segment, place, |event| {
            same_event(append, event).then(|| receipt_of(event, durable))
        })?;
        receipt.ok_or_else(|| conflict.clone())
    }

    fn replayed_in_group(
        &self,
        items: &[Append],
        key: EventId,
        staged: usize,
        at: usize,
    ) -> Result<Staged, StoreError> {
        let sequence = self.group.events[staged].sequence;
        let conflict = StoreError::IdempotencyConflict { id: key, sequence };
        let Some(first) = staged.checked_sub(at) else { return Err(conflict) };
        let range = first..first + items.len();
        let Some(events) = self.group.events.get(range.clone()) else { return Err(conflict) };
        for (append, event) in items.iter().zip(events) {
            if !same_event(append, &self.staged_event(event)?) {
                return Err(conflict);
            }
        }
        Ok(Staged::Group(range))
    }
}

fn own_condition(append: &Append) -> Option<&AppendCondition> {
    append.options.condition.as_ref()
}

fn check_items(items: &[Append]) -> Result<(), StoreError> {
    LimitError::check("batch events", BATCH_EVENTS_MAX, items.len())?;
    let mut keys = hashbrown::HashSet::new();
    for (item, append) in items.iter().enumerate() {
        append.check_limits()?;
        let invalid = |reason| Err(StoreError::InvalidBatch { item, reason });
        if append.payload.is_erased() {
            return invalid("has an erased payload, which can't be appended");
        }
        if append.cause_item.is_some_and(|cause| cause >= item) {
            return invalid("names a cause that is not an earlier item");
        }
        if append.options.idempotency_key.is_some_and(|key| !keys.insert(key)) {
            return invalid("has the idempotency key of an earlier item");
        }
    }
    Ok(())
}

/// More bytes than the item's record can take up.
fn len_bound(append: &Append) -> usize {
    let names = append.coordinate.entity().len() + append.coordinate.scope().len();
    let metadata = append.options.metadata.as_ref().map_or(0, Vec::len);
    let payload = append.payload.bytes().map_or(0, <[u8]>::len);
    let admission = append.admission.as_ref().map_or(0, |admission| admission.encoded_len_max());
    RECORD_OVERHEAD + names + metadata + payload + admission
}

fn check_version(
    entity: &str,
    expected: ExpectedVersion,
    actual: Option<Version>,
) -> Result<(), StoreError> {
    let holds = match expected {
        ExpectedVersion::Any => true,
        ExpectedVersion::NoStream => actual.is_none(),
        ExpectedVersion::StreamExists => actual.is_some(),
        ExpectedVersion::Exact(version) => actual == Some(version),
    };
    if holds {
        return Ok(());
    }
    Err(StoreError::VersionConflict { entity: entity.to_string(), expected, actual })
}

/// Appends the record of an event to `out`; returns where it starts, and the event's hash. Where that
/// is left to be computed with others, the record is without the CRC.
fn encode_record(
    out: &mut Vec<u8>,
    append: &Append,
    header: &EventHeader,
    salt: u32,
    is_left: bool,
) -> Result<(usize, Hash), StoreError> {
    let payload = append.payload.bytes().unwrap_or_default();
    let start = record::begin(out);
    let (format, version) = (append.payload.format(), append.payload.version());
    encode_header(out, &append.coordinate, header, format, version);
    let content_at = out.len();
    if content_at - start - RECORD_PREFIX_LEN > usize::from(u16::MAX) {
        let limit_max = u64::from(u16::MAX);
        let actual = (content_at - start - RECORD_PREFIX_LEN) as u64;
        return Err(LimitError { limit: "header bytes", limit_max, actual }.into());
    }
    let metadata = append.options.metadata.as_deref();
    let (tag, tag_len) = varint_bytes(metadata.map_or(0, |metadata| metadata.len() as u64 + 1));
    out.extend_from_slice(&tag[..tag_len]);
    out.extend_from_slice(metadata.unwrap_or_default());
    out.extend_from_slice(payload);
    if is_left {
        record::close(out, start, content_at, RecordState::Whole);
        return Ok((start, Hash::ZERO));
    }
    let content_hash = chain::content_hash_of_bytes(&out[content_at..]);
    let event_hash = chain::event_hash(&out[start + RECORD_PREFIX_LEN..content_at], &content_hash);
    record::finish(out, start, content_at, RecordState::Whole, salt);
    Ok((start, event_hash))
}

/// Whether an append would write what this event is: the same address, kind and payload, and the
/// same id where the append says which.
fn same_event(append: &Append, event: &EventRef<'_>) -> bool {
    let header = event.header();
    let address: &Coordinate = &append.coordinate;
    let payload: &Payload = &append.payload;
    append.options.idempotency_key.is_none_or(|key| key == header.id())
        && header.entity() == address.entity()
        && header.scope() == address.scope()
        && header.kind() == append.kind
        && header.payload_format() == payload.format()
        && header.payload_version() == payload.version()
        && match event.payload() {
            Some(bytes) => payload.bytes() == Some(bytes),
            None => {
                event.content_hash() == payload.content_hash(append.options.metadata.as_deref())
            }
        }
}

fn receipt_of(event: &EventRef<'_>, durable: bool) -> AppendReceipt {
    let header = event.header();
    AppendReceipt {
        id: header.id(),
        sequence: event.sequence(),
        version: header.version(),
        event_hash: event.event_hash(),
        timestamp_us: header.timestamp_us(),
        hlc: header.hlc(),
        durable,
    }
}
