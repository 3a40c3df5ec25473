//! Answers: events, receipts and numbers as bytes for TypeScript.
//!
//! An answer begins with a status byte: 0 and what was asked for, or 1 and a failure. Names of
//! kinds stand once an answer, in front of the events that use them.

use annals_core::{
    Admission, AppendReceipt, DagPosition, Event, EventFlags, EventId, EventKind, EventRef, Hash,
    LogStats, PayloadFormat, Reader, Recovery, Storage,
};

use crate::failure::Failure;
use crate::wire::Output;

/// The bytes of an answer.
pub(crate) fn finish(outcome: Result<Output, Failure>) -> Vec<u8> {
    let mut out = Output::default();
    match outcome {
        Ok(answer) => {
            out.u8(0);
            out.raw(&answer.into_bytes());
        }
        Err(failure) => {
            out.u8(1);
            failure.write(&mut out);
        }
    }
    out.into_bytes()
}

/// Events of one page, as they are found.
#[derive(Debug, Default)]
pub(crate) struct EventPage {
    events: Output,
    count: u32,
    /// Of the events, in their order; one behind the other only once.
    kinds: Vec<EventKind>,
    with_hashes: bool,
}

impl EventPage {
    pub(crate) fn new(with_hashes: bool) -> Self {
        Self { with_hashes, ..Self::default() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Adds an event as it stands in the file.
    pub(crate) fn push(&mut self, event: &EventRef<'_>) {
        let header = event.header();
        let erased = event.payload().is_none().then(|| event.content_hash());
        self.put(&Fields {
            position: DagPosition {
                depth: header.depth(),
                lane: header.lane(),
                version: header.version(),
                sequence: event.sequence(),
                hlc: header.hlc(),
            },
            id: header.id(),
            correlation: header.correlation(),
            causation: header.causation(),
            timestamp_us: header.timestamp_us(),
            kind: header.kind(),
            flags: header.flags(),
            entity: header.entity(),
            scope: header.scope(),
            admission: header.admission().as_ref(),
            metadata: event.metadata(),
            format: header.payload_format(),
            payload_version: header.payload_version(),
            payload: event.payload(),
            erased,
            chain: self.with_hashes.then(|| (header.prev_hash(), event.event_hash())),
        });
    }

    /// Adds an event that was read.
    pub(crate) fn push_owned(&mut self, event: &Event) {
        let header = &event.header;
        self.put(&Fields {
            position: header.position,
            id: header.id,
            correlation: header.correlation,
            causation: header.causation,
            timestamp_us: header.timestamp_us,
            kind: header.kind,
            flags: header.flags,
            entity: event.coordinate.entity(),
            scope: event.coordinate.scope(),
            admission: header.admission.as_deref(),
            metadata: event.metadata.as_deref(),
            format: event.payload.format(),
            payload_version: event.payload.version(),
            payload: event.payload.bytes(),
            erased: event.payload.is_erased().then(|| event.content_hash()),
            chain: self.with_hashes.then(|| (header.prev_hash, event.event_hash())),
        });
    }

    fn put(&mut self, event: &Fields<'_>) {
        self.count += 1;
        if self.kinds.last() != Some(&event.kind) {
            self.kinds.push(event.kind);
        }
        let out = &mut self.events;
        let position = &event.position;
        out.u64(position.sequence.get());
        out.u64(position.version.get());
        out.raw(event.id.as_bytes());
        out.raw(event.correlation.as_bytes());
        out.option(event.causation, |out, id| out.raw(id.as_bytes()));
        out.i64(event.timestamp_us);
        out.u64(position.hlc.wall_ms);
        out.u32(position.hlc.counter);
        out.u32(position.lane);
        out.u32(position.depth);
        out.u16(event.kind.as_u16());
        out.u16(event.flags.bits());
        out.text(event.entity);
        out.text(event.scope);
        out.option(event.admission, put_admission);
        out.option(event.metadata, Output::bytes);
        out.u8(event.format.as_u8());
        out.u16(event.payload_version);
        out.option(event.payload, Output::bytes);
        out.option(event.erased, |out, hash| out.raw(hash.as_bytes()));
        out.option(event.chain, |out, (previous, own)| {
            out.raw(previous.as_bytes());
            out.raw(own.as_bytes());
        });
    }

    /// Writes `kinds | count u32 | events`.
    pub(crate) fn write<S: Storage>(mut self, out: &mut Output, reader: &Reader<S>) {
        self.kinds.sort_unstable();
        self.kinds.dedup();
        let named: Vec<_> =
            self.kinds.iter().filter_map(|kind| Some((*kind, reader.kind_name(*kind)?))).collect();
        out.count(named.len());
        for (kind, name) in named {
            out.u16(kind.as_u16());
            out.text(&name);
        }
        out.u32(self.count);
        out.raw(&self.events.into_bytes());
    }
}

/// All that is told of an event, wherever it comes from.
struct Fields<'a> {
    position: DagPosition,
    id: EventId,
    correlation: EventId,
    causation: Option<EventId>,
    timestamp_us: i64,
    kind: EventKind,
    flags: EventFlags,
    entity: &'a str,
    scope: &'a str,
    admission: Option<&'a Admission>,
    metadata: Option<&'a [u8]>,
    format: PayloadFormat,
    payload_version: u16,
    payload: Option<&'a [u8]>,
    /// The hash of a payload that was erased.
    erased: Option<Hash>,
    /// The previous event's hash and its own.
    chain: Option<(Hash, Hash)>,
}

fn put_admission(out: &mut Output, admission: &Admission) {
    if let Some(gates) = admission.gates() {
        out.u8(0);
        out.count(gates.len());
        gates.iter().for_each(|gate| out.text(gate));
    } else if let Some((reason, justification)) = admission.bypass() {
        out.u8(1);
        out.text(reason);
        out.text(justification);
    }
}

/// Writes `count u32 | receipts`.
pub(crate) fn put_receipts(out: &mut Output, receipts: &[AppendReceipt]) {
    out.count(receipts.len());
    for receipt in receipts {
        out.raw(receipt.id.as_bytes());
        out.u64(receipt.sequence.get());
        out.u64(receipt.version.get());
        out.raw(receipt.event_hash.as_bytes());
        out.i64(receipt.timestamp_us);
        out.u64(receipt.hlc.wall_ms);
        out.u32(receipt.hlc.counter);
        out.u8(u8::from(receipt.durable));
    }
}

/// Writes the numbers of the store: `ts/look.ts` reads them.
pub(crate) fn put_status<S: Storage>(
    out: &mut Output,
    reader: &Reader<S>,
    stats: &LogStats,
    recovery: &Recovery,
    open_handles: usize,
) {
    out.text(&reader.store_id().to_string());
    out.u64(stats.events);
    out.u64(stats.entities);
    out.u64(stats.scopes);
    out.u64(stats.bytes);
    out.u64(stats.end.get());
    out.u64(stats.durable_end.get());
    out.count(open_handles);
    out.u8(u8::from(recovery.clean));
    out.u64(recovery.torn_tail.map_or(0, |tail| tail.len));
    out.u64(recovery.scanned_events);
    out.count(stats.kinds.len());
    for (kind, events) in &stats.kinds {
        out.u16(kind.as_u16());
        out.u64(*events);
        out.option(reader.kind_name(*kind), |out, name| out.text(&name));
    }
    out.count(stats.segments.len());
    for segment in &stats.segments {
        out.text(&segment.file.name());
        out.u8(u8::from(segment.sealed));
        out.u64(segment.first_sequence.get());
        out.u64(segment.events);
        out.u64(segment.bytes);
    }
}
