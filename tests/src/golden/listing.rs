//! What must be read from a golden store, in plain words that no type of the store decides.

use std::collections::BTreeMap;

use annals_core::{
    Cursor, Event, EventKind, Host, Log, Reader, Region, Storage, StoreError, VerifyOptions, verify,
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is what the store's part of that name is")]
pub struct Listing {
    pub store_id: String,
    pub end: u64,
    /// The end where the last batch is torn.
    pub torn_end: u64,
    pub pruned_runs: u64,
    pub kind_names: BTreeMap<String, String>,
    pub consumers: BTreeMap<String, Place>,
    /// States that projections keep, by their names, in hex.
    pub projections: BTreeMap<String, String>,
    pub events: Vec<Entry>,
}

/// Where a consumer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The last sequence that it is done with.
    pub after: Option<u64>,
    /// The sequences that its region has left for it.
    pub left: Vec<u64>,
}

/// One event. Bytes are in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is what the event's part of that name is")]
pub struct Entry {
    pub sequence: u64,
    pub version: u64,
    pub id: String,
    pub entity: String,
    pub scope: String,
    pub kind: String,
    pub timestamp_us: i64,
    pub hlc: String,
    pub depth: u32,
    pub lane: u32,
    pub flags: u16,
    pub correlation: String,
    pub causation: Option<String>,
    pub gates: Option<Vec<String>>,
    /// Reason and justification.
    pub bypass: Option<(String, String)>,
    pub metadata: Option<String>,
    pub format: String,
    pub payload_version: u16,
    /// None where it was erased.
    pub payload: Option<String>,
    pub content_hash: String,
    pub prev_hash: String,
    pub event_hash: String,
}

impl From<&Event> for Entry {
    fn from(event: &Event) -> Self {
        let header = &event.header;
        let admission = header.admission.as_deref();
        let bypass = admission.and_then(|admission| admission.bypass());
        Entry {
            sequence: event.sequence().get(),
            version: event.version().get(),
            id: header.id.to_string(),
            entity: event.coordinate.entity().to_owned(),
            scope: event.coordinate.scope().to_owned(),
            kind: header.kind.to_string(),
            timestamp_us: header.timestamp_us,
            hlc: format!("{}.{}", header.position.hlc.wall_ms, header.position.hlc.counter),
            depth: header.position.depth,
            lane: header.position.lane,
            flags: header.flags.bits(),
            correlation: header.correlation.to_string(),
            causation: header.causation.map(|id| id.to_string()),
            gates: admission.and_then(|admission| admission.gates()).map(<[String]>::to_vec),
            bypass: bypass.map(|(reason, why)| (reason.to_owned(), why.to_owned())),
            metadata: event.metadata.as_deref().map(hex),
            format: event.payload.format().to_string(),
            payload_version: event.payload.version(),
            payload: event.payload.bytes().map(hex),
            content_hash: event.content_hash().to_string(),
            prev_hash: header.prev_hash.to_string(),
            event_hash: event.event_hash().to_string(),
        }
    }
}

impl Listing {
    /// Reads everything.
    ///
    /// # Errors
    ///
    /// The store's.
    ///
    /// # Panics
    ///
    /// Where a verification finds a fault.
    pub fn of<S: Storage, H: Host>(log: &Log<S, H>, torn_end: u64) -> Result<Self, StoreError> {
        let reader = log.reader();
        let report = verify(&reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert!(report.is_whole(), "{report:#?}");
        let mut consumers = BTreeMap::new();
        for name in log.consumer_names() {
            let checkpoint = log.consumer_checkpoint(name)?.expect("it has a name");
            let mut cursor = Cursor::at(checkpoint.region, checkpoint.after);
            let left = cursor.poll(&reader, usize::MAX)?;
            let left = left.iter().map(|event| event.sequence().get()).collect();
            let after = checkpoint.after.map(|sequence| sequence.get());
            consumers.insert(name.to_owned(), Place { after, left });
        }
        let projections = log.projection_checkpoints();
        Ok(Listing {
            store_id: reader.store_id().to_string(),
            end: reader.end().get(),
            torn_end,
            pruned_runs: report.pruned_runs,
            kind_names: names(&reader.kind_names()),
            consumers,
            projections: projections.map(|(name, value)| (hex(name), hex(value))).collect(),
            events: entries(&reader)?,
        })
    }
}

/// Every event.
///
/// # Errors
///
/// The store's.
pub fn entries<S: Storage>(reader: &Reader<S>) -> Result<Vec<Entry>, StoreError> {
    reader.query(&Region::all()).map(|event| Ok(Entry::from(&event?))).collect()
}

fn names(names: &[(EventKind, std::sync::Arc<str>)]) -> BTreeMap<String, String> {
    names.iter().map(|(kind, name)| (kind.to_string(), name.to_string())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
