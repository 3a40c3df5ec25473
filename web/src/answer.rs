//! Answers: events, receipts and numbers as bytes for TypeScript.
//!
//! An answer begins with a status byte: 0 and what was asked for, or 1 and a failure. All texts of a
//! page of events stand in front of them, so that TypeScript decodes them in one go: JSON, which is
//! the names of kinds with their numbers and then entity and scope in turns, and behind it
//! metadata and payloads.

use annals_core::{
    Admission, AppendReceipt, EventKind, EventRef, LogStats, PayloadFormat, Reader, Recovery,
    Storage,
};

use crate::failure::Failure;
use crate::wire::{Output, units_of};

/// The bytes of an answer, which began as [`Output::answer`].
pub(crate) fn finish(outcome: Result<Output, Failure>) -> Vec<u8> {
    let out = outcome.unwrap_or_else(|failure| {
        let mut out = Output::default();
        out.u8(1);
        failure.write(&mut out);
        out
    });
    out.into_bytes()
}

/// Events of one page, as they are found.
#[derive(Debug, Default)]
pub(crate) struct EventPage {
    events: Output,
    count: u32,
    /// JSON without its beginning and end.
    names: Output,
    /// The address of the event before.
    entity: String,
    scope: String,
    texts: Output,
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
        self.events.len() + self.names.len() + self.texts.len()
    }

    /// Adds an event as it stands in the file.
    pub(crate) fn push(&mut self, event: &EventRef<'_>) {
        let header = event.header();
        let (id, kind) = (header.id(), header.kind());
        let erased = event.payload().is_none().then(|| event.content_hash());
        let chain = self.with_hashes.then(|| [header.prev_hash(), event.event_hash()]);
        let correlation = Some(header.correlation()).filter(|correlation| *correlation != id);
        self.count += 1;
        if self.kinds.last() != Some(&kind) {
            self.kinds.push(kind);
        }
        let is_renamed = self.rename(header.entity(), header.scope());
        let out = &mut self.events;
        out.u64(event.sequence().get());
        out.u64(header.version().get());
        out.raw(id.as_bytes());
        out.i64(header.timestamp_us());
        out.u32(header.lane());
        out.u32(header.depth());
        out.u16(kind.as_u16());
        out.u16(header.flags().bits());
        out.u16(header.payload_version());
        out.u8(header.payload_format().as_u8());
        let parts = [
            is_renamed,
            correlation.is_some(),
            header.causation().is_some(),
            header.admission().is_some(),
            event.metadata().is_some(),
            event.payload().is_some(),
            erased.is_some(),
            chain.is_some(),
        ];
        out.u8(parts.iter().rev().fold(0, |bits, part| bits << 1 | u8::from(*part)));
        for id in correlation.iter().chain(&header.causation()) {
            out.raw(id.as_bytes());
        }
        if let Some(admission) = &header.admission() {
            put_content(out, &mut self.texts, json_of(admission).as_bytes(), true);
        }
        if let Some(metadata) = event.metadata() {
            put_content(out, &mut self.texts, metadata, metadata.first() == Some(&b'{'));
        }
        if let Some(payload) = event.payload() {
            let is_json = header.payload_format() == PayloadFormat::Json;
            put_content(out, &mut self.texts, payload, is_json);
        }
        for hash in erased.iter().chain(chain.iter().flatten()) {
            out.raw(hash.as_bytes());
        }
    }

    /// Adds an address, unless the event before has the same.
    fn rename(&mut self, entity: &str, scope: &str) -> bool {
        if self.entity == entity && self.scope == scope {
            return false;
        }
        for (last, name) in [(&mut self.entity, entity), (&mut self.scope, scope)] {
            self.names.u8(b',');
            self.names.json(name);
            last.clear();
            last.push_str(name);
        }
        true
    }

    /// Writes `count u32 | texts | length of their JSON in UTF-16 u32 | events`.
    pub(crate) fn write<S: Storage>(mut self, out: &mut Output, reader: &Reader<S>) {
        self.kinds.sort_unstable();
        self.kinds.dedup();
        let mut json = Output::default();
        json.raw(b"[[");
        for kind in self.kinds {
            let Some(name) = reader.kind_name(kind) else { continue };
            json.raw(if json.len() == 2 { b"[" } else { b",[" });
            json.raw(kind.as_u16().to_string().as_bytes());
            json.u8(b',');
            json.json(&name);
            json.u8(b']');
        }
        json.u8(b']');
        json.raw(self.names.as_bytes());
        json.u8(b']');
        out.u32(self.count);
        out.count(json.len() + self.texts.len());
        out.raw(json.as_bytes());
        out.raw(self.texts.as_bytes());
        out.count(units_of(json.as_bytes()));
        out.raw(self.events.as_bytes());
    }
}

/// Puts what is a text to the texts and all else here, with its length, twice that, and 1 for a
/// text. What a decoder would leave out, a mark at its beginning, is no text.
fn put_content(out: &mut Output, texts: &mut Output, bytes: &[u8], is_text: bool) {
    const MARK: &[u8] = "\u{FEFF}".as_bytes();
    if is_text && !bytes.starts_with(MARK) && core::str::from_utf8(bytes).is_ok() {
        out.count(units_of(bytes) << 1 | 1);
        texts.raw(bytes);
    } else {
        out.count(bytes.len() << 1);
        out.raw(bytes);
    }
}

fn json_of(admission: &Admission) -> Output {
    let mut json = Output::default();
    if let Some(gates) = admission.gates() {
        json.raw(b"{\"gates\":[");
        for (at, gate) in gates.iter().enumerate() {
            if at > 0 {
                json.u8(b',');
            }
            json.json(gate);
        }
        json.raw(b"]}");
    } else if let Some((reason, justification)) = admission.bypass() {
        json.raw(b"{\"reason\":");
        json.json(reason);
        json.raw(b",\"justification\":");
        json.json(justification);
        json.u8(b'}');
    }
    json
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
        out.u32(u32::from(kind.as_u16()));
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
