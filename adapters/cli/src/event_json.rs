//! An event as JSON: the one form that every command prints with `--json`.
//!
//! A JSON payload stands in it as it was appended, digit for digit; others stand in it as hex.

use crate::json_text;
use crate::output::hex;
use crate::time::rfc3339;
use annals::{Admission, Event, EventId, FsStorage, Hash, Payload, PayloadFormat, Reader};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson<'a> {
    sequence: u64,
    id: EventId,
    entity: &'a str,
    scope: &'a str,
    version: u64,
    kind: String,
    kind_name: Option<Arc<str>>,
    time: String,
    timestamp_us: i64,
    /// `depth:lane:sequence@wall.counter`.
    position: String,
    correlation: EventId,
    causation: Option<EventId>,
    flags: u16,
    admission: Option<&'a Admission>,
    metadata_hex: Option<String>,
    prev_hash: Hash,
    content_hash: Hash,
    event_hash: Hash,
    format: PayloadFormat,
    payload_version: u16,
    erased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
}

impl<'a> EventJson<'a> {
    pub(crate) fn new(event: &'a Event, reader: &Reader<FsStorage>) -> Self {
        let header = &event.header;
        let payload = json_of(&event.payload);
        let payload_hex = event.payload.bytes().filter(|_| payload.is_none()).map(hex);
        EventJson {
            sequence: event.sequence().get(),
            id: event.id(),
            entity: event.coordinate.entity(),
            scope: event.coordinate.scope(),
            version: event.version().get(),
            kind: event.kind().to_string(),
            kind_name: reader.kind_name(event.kind()),
            time: rfc3339(header.timestamp_us),
            timestamp_us: header.timestamp_us,
            position: header.position.to_string(),
            correlation: header.correlation,
            causation: header.causation,
            flags: header.flags.bits(),
            admission: header.admission.as_deref(),
            metadata_hex: event.metadata.as_deref().map(hex),
            prev_hash: header.prev_hash,
            content_hash: event.content_hash(),
            event_hash: event.event_hash(),
            format: event.payload.format(),
            payload_version: event.payload.version(),
            erased: event.payload.is_erased(),
            payload,
            payload_hex,
        }
    }
}

/// A JSON payload on one line, if it is one and valid.
pub(crate) fn json_of(payload: &Payload) -> Option<Box<RawValue>> {
    let bytes = payload.bytes().filter(|_| payload.format() == PayloadFormat::Json)?;
    let value: &RawValue = serde_json::from_slice(bytes).ok()?;
    RawValue::from_string(json_text::compact(value.get())).ok()
}
