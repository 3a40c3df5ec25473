//! The shapes in which the server tells of events.

use crate::event_json::json_of;
use crate::output::hex;
use crate::time::rfc3339;
use annals::{CausalNode, Event, EventId, EventKind, EventRef, FsStorage, PayloadFormat, Reader};
use serde::Serialize;
use std::sync::Arc;

/// How much of a payload stands in a list, in characters.
const PREVIEW_CHARS: usize = 240;
/// How much of a record or of a payload that is no JSON is shown, in bytes.
pub(super) const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// An event in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) sequence: u64,
    id: EventId,
    entity: String,
    scope: String,
    version: u64,
    kind: u16,
    #[serde(rename = "type")]
    name: Arc<str>,
    timestamp_us: i64,
    correlation: EventId,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<PayloadFormat>,
    /// Of the payload; none where it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
    /// The whole payload as text, where it was asked for and is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_text: Option<String>,
    /// The same in hex, where it is no text of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_hash: Option<String>,
}

impl Row {
    pub(super) fn new(
        event: &EventRef<'_>,
        reader: &Reader<FsStorage>,
        with_payload: bool,
    ) -> Self {
        let header = event.header();
        let payload = event.payload();
        let format = header.payload_format();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let told = payload.filter(|_| with_payload);
        let payload_text = told.filter(|_| format == PayloadFormat::Json).and_then(text);
        let payload_hex = told.filter(|_| payload_text.is_none()).map(hex);
        Row {
            sequence: event.sequence().get(),
            id: header.id(),
            entity: header.entity().into(),
            scope: header.scope().into(),
            version: header.version().get(),
            kind: header.kind().as_u16(),
            name: name_of(reader, header.kind()),
            timestamp_us: header.timestamp_us(),
            correlation: header.correlation(),
            causation: header.causation(),
            format: Some(format),
            bytes: payload.map(<[u8]>::len),
            preview: payload.map(preview),
            payload_text,
            payload_hex,
            hash: None,
            previous_hash: None,
        }
    }

    pub(super) fn of_node(node: &CausalNode, reader: &Reader<FsStorage>) -> Self {
        Row {
            sequence: node.sequence.get(),
            id: node.id,
            entity: node.coordinate.entity().into(),
            scope: node.coordinate.scope().into(),
            version: node.version.get(),
            kind: node.kind.as_u16(),
            name: name_of(reader, node.kind),
            timestamp_us: node.timestamp_us,
            correlation: node.correlation,
            causation: node.causation,
            format: None,
            bytes: None,
            preview: None,
            payload_text: None,
            payload_hex: None,
            hash: None,
            previous_hash: None,
        }
    }

    /// An event of a chain, with its hashes.
    pub(super) fn of_link(event: &Event, reader: &Reader<FsStorage>) -> Self {
        let header = &event.header;
        Row {
            sequence: event.sequence().get(),
            id: event.id(),
            entity: event.coordinate.entity().into(),
            scope: event.coordinate.scope().into(),
            version: event.version().get(),
            kind: event.kind().as_u16(),
            name: name_of(reader, event.kind()),
            timestamp_us: header.timestamp_us,
            correlation: header.correlation,
            causation: header.causation,
            format: Some(event.payload.format()),
            bytes: event.payload.bytes().map(<[u8]>::len),
            preview: event.payload.bytes().map(preview),
            payload_text: None,
            payload_hex: None,
            hash: Some(event.event_hash().to_string()),
            previous_hash: Some(header.prev_hash.to_string()),
        }
    }

    pub(super) fn len(&self) -> usize {
        let told = self.payload_text.as_ref().or(self.payload_hex.as_ref());
        told.map_or(0, String::len)
    }
}

/// All there is to one event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(flatten)]
    row: Row,
    /// RFC 3339 with all microseconds.
    time: String,
    /// `depth:lane:sequence@wall.counter`.
    position: String,
    flags: u16,
    payload_version: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    admission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_hex: Option<String>,
    content_hash: String,
    is_erased: bool,
    /// The first bytes of a payload that is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_start_hex: Option<String>,
    record: Record,
}

/// A record in its file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    file: String,
    offset: u64,
    bytes: usize,
    /// Of its first bytes.
    hex: String,
}

impl Detail {
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub(super) fn new(
        event: &Event,
        reader: &Reader<FsStorage>,
    ) -> Result<Self, annals::StoreError> {
        let record = reader.record_bytes(event.sequence())?;
        let mut row = Row::of_link(event, reader);
        let payload = event.payload.bytes();
        let is_json = json_of(&event.payload).is_some();
        if is_json {
            row.payload_text = payload.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        }
        Ok(Detail {
            row,
            time: rfc3339(event.header.timestamp_us),
            position: event.header.position.to_string(),
            flags: event.header.flags.bits(),
            payload_version: event.payload.version(),
            admission: event.header.admission.as_ref().map(ToString::to_string),
            metadata_hex: event.metadata.as_deref().map(hex),
            content_hash: event.content_hash().to_string(),
            is_erased: event.payload.is_erased(),
            payload_start_hex: payload.filter(|_| !is_json).map(|bytes| hex(shown(bytes))),
            record: Record {
                file: record.file.to_string(),
                offset: record.offset,
                bytes: record.bytes.len(),
                hex: hex(shown(&record.bytes)),
            },
        })
    }
}

/// A kind's name, or its number where it has none.
pub(super) fn name_of(reader: &Reader<FsStorage>, kind: EventKind) -> Arc<str> {
    reader.kind_name(kind).unwrap_or_else(|| crate::kind_names::label(reader, kind).into())
}

fn shown(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SHOWN_BYTES_MAX)]
}

/// The beginning of a payload: text where it is text, else hex.
fn preview(payload: &[u8]) -> String {
    let start = &payload[..payload.len().min(PREVIEW_CHARS * 4)];
    // The end may have been cut within a character.
    let text = start.utf8_chunks().next().filter(|chunk| {
        chunk.valid().len() == start.len() || (chunk.valid().len() + 4 > start.len())
    });
    match text {
        Some(text) => text.valid().chars().take(PREVIEW_CHARS).collect(),
        None => hex(&start[..start.len().min(PREVIEW_CHARS / 2)]),
    }
}
