//! Salvage: what is provably whole in a damaged store, in a new one.
//!
//! A store that does not open is read file by file, and damage is gone past. A record is kept where
//! its CRC is right, its sequence is beyond doubt, and the event behind it in its stream, if there
//! is one, names its hash. Segments that are whole are copied byte by byte. The others are written
//! anew as a compaction writes them: what is gone leaves marks that carry the chains over the gaps.
//! So sequences, versions, ids and hashes stay, and the new store is proven whole, with pruned events.
//!
//! It lives in the layer that writes, since it writes; it asks for no open log and changes nothing in
//! the store that it reads.

mod links;
mod look;
mod make;

use crate::format::segment::StoreId;
use crate::log::StoreError;
use crate::log::config::{Host, LogConfig};
use crate::log::import::{Hidden, settle_imports};
use crate::log::meta::{self, LoadedMeta};
use crate::log::recovery::{Access, Recovery};
use crate::log::writer::Log;
use crate::model::Sequence;
use crate::storage::{FileId, Storage};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::ControlFlow;
use serde::{Serialize, Serializer};

/// Something that a salvage left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SalvageLoss {
    /// The file; `None` where sequences are in no file at all.
    #[serde(serialize_with = "as_text")]
    pub file: Option<FileId>,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The first sequence that is gone, where that is known.
    pub first_sequence: Option<Sequence>,
    /// The last one, where that is known.
    pub last_sequence: Option<Sequence>,
    /// Why it was left.
    pub reason: Cow<'static, str>,
}

impl fmt::Display for SalvageLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file {
            Some(file) => write!(f, "{file} at byte {}: ", self.offset)?,
            None => f.write_str("no file: ")?,
        }
        match (self.first_sequence, self.last_sequence) {
            (Some(first), Some(last)) if first == last => write!(f, "event {first}: ")?,
            (Some(first), Some(last)) => write!(f, "events {first} to {last}: ")?,
            (Some(first), None) => write!(f, "events from {first} on: ")?,
            _ => {}
        }
        f.write_str(&self.reason)
    }
}

fn as_text<S: Serializer>(file: &Option<FileId>, serializer: S) -> Result<S::Ok, S::Error> {
    match file {
        Some(file) => serializer.collect_str(file),
        None => serializer.serialize_none(),
    }
}

/// What a salvage kept, and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Segments that were whole and were copied byte by byte.
    pub copied_segments: u64,
    /// Segments that were written anew, without what is damaged.
    pub rewritten_segments: u64,
    /// Events in the new store.
    pub kept_events: u64,
    /// Runs of events of one stream that are gone, each with a mark in its place.
    pub pruned_runs: u64,
    /// The sequence that the next event of the new store gets.
    pub end: Sequence,
    /// What was left, in the order of files and sequences.
    pub losses: Vec<SalvageLoss>,
    /// What is damaged in the meta log: names of kinds and checkpoints that stood there are gone.
    pub meta_damage: Vec<String>,
}

/// How far a salvage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SalvageProgress {
    /// Bytes that were looked at or written.
    pub done_bytes: u64,
    /// Bytes that there are: each is looked at twice at most.
    pub total_bytes: u64,
}

/// Copies what is provably whole in `source` into `target`, which must have no file.
///
/// The new store has the same id: it takes the place of the damaged one. Its sequences go on behind
/// the last one that any file of the old one tells of. A batch of which a part is gone is kept in
/// part. Where the newest events of a stream are gone, nothing proves that they were there, so its
/// versions go on behind the newest that is kept. States of projections are left, since they may be
/// made of what is gone. Memory is bounded by the largest segment and the number of streams.
///
/// `Ok(None)` where `progress` stopped it: the target is half-made then and must be cleared.
///
/// # Errors
///
/// [`StoreError::InvalidInput`] where `target` has files or `source` has no segment that can be read;
/// [`StoreError::NewerFormat`]; storage errors of the target. What can't be read in the source is no
/// error but a loss.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, EventKind, FileId, Host, Log, LogConfig, MemoryStorage};
/// # use annals_core::{Payload, Region, Storage, StorageFile, StoreError, salvage};
/// # use core::ops::ControlFlow;
/// # struct Fixed(std::cell::Cell<u8>);
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { self.0.set(self.0.get() + 1); buffer.fill(self.0.get()); }
/// # }
/// # let host = || Fixed(std::cell::Cell::new(0));
/// let damaged = MemoryStorage::new();
/// let mut log = Log::open(damaged.clone(), host(), LogConfig::default())?;
/// let order = Coordinate::new("order:5", "shop")?;
/// for item in ["apples", "pears", "plums"] {
///     log.append(&Append::new(order.clone(), EventKind::new(1, 1), Payload::raw(item)))?;
/// }
/// drop(log);
/// // A bit of the second event is flipped: the store does not open.
/// # let file = damaged.open(FileId::segment(1))?;
/// # let mut bytes = vec![0; file.len()? as usize];
/// # file.read_exact_at(&mut bytes, 0)?;
/// # let at = bytes.windows(5).position(|window| window == b"pears").expect("it is there");
/// # file.write_all_at(&[bytes[at] ^ 1], at as u64)?;
/// let opened = Log::open(damaged.clone(), host(), LogConfig::default());
/// assert!(matches!(opened, Err(StoreError::Corruption(_))));
///
/// let target = MemoryStorage::new();
/// let go_on = |_| ControlFlow::Continue(());
/// let report = salvage(&damaged, &target, host(), go_on)?.expect("it was not stopped");
/// assert_eq!((report.kept_events, report.losses.len()), (2, 1));
/// let log = Log::open(target, host(), LogConfig::default())?;
/// assert_eq!(log.reader().query(&Region::all()).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage<S: Storage, T: Storage + Clone, H: Host>(
    source: &S,
    target: &T,
    host: H,
    mut progress: impl FnMut(SalvageProgress) -> ControlFlow<()>,
) -> Result<Option<SalvageReport>, StoreError> {
    if !target.list()?.is_empty() {
        let message = "what is salvaged goes into a new store: name an empty place";
        return Err(StoreError::InvalidInput(message.into()));
    }
    let mut report = SalvageReport::default();
    let surveys = look::survey(source, &mut report.losses)?;
    let Some(store_id) = surveys.first().map(|survey| survey.header.store_id) else {
        let message = "no segment could be read, so there is nothing to salvage";
        return Err(StoreError::InvalidInput(message.into()));
    };
    let mut places = look::lay_out(surveys, &mut report.losses);
    let mut steps = Steps::new(&places, &mut progress);
    let Some(links) = links::check(&mut places, store_id, &mut report.losses, &mut steps) else {
        return Ok(None);
    };
    if make::segments(&places, &links, target, &host, store_id, &mut report, &mut steps)?.is_break()
    {
        return Ok(None);
    }
    report
        .losses
        .sort_by_key(|loss| (loss.first_sequence.is_none(), loss.first_sequence, loss.file));
    keep_meta(source, target, host, store_id, &mut report)?;
    Ok(Some(report))
}

/// Tells the progress, and remembers that it was stopped.
struct Steps<'a> {
    now: SalvageProgress,
    tell: &'a mut dyn FnMut(SalvageProgress) -> ControlFlow<()>,
}

impl<'a> Steps<'a> {
    fn new<F>(
        places: &[look::Place<F>],
        tell: &'a mut dyn FnMut(SalvageProgress) -> ControlFlow<()>,
    ) -> Self {
        let lens = places.iter().filter_map(|place| place.survey.as_ref()).map(|of| of.len);
        let total_bytes = lens.sum::<u64>().saturating_mul(2);
        Steps { now: SalvageProgress { done_bytes: 0, total_bytes }, tell }
    }

    fn did(&mut self, bytes: u64) -> ControlFlow<()> {
        self.now.done_bytes = self.now.done_bytes.saturating_add(bytes).min(self.now.total_bytes);
        (self.tell)(self.now)
    }
}

/// What an import has left that did not come to its end: it is not part of the store. Where its mark
/// is damaged nobody knows, and all is looked at.
fn unpublished<S: Storage>(source: &S) -> Hidden {
    let found = settle_imports(source, Access::Read, &mut Recovery::default());
    found.unwrap_or(Hidden::NOTHING)
}

/// Takes over the names of kinds and the consumers' checkpoints.
fn keep_meta<S: Storage, T: Storage + Clone, H: Host>(
    source: &S,
    target: &T,
    host: H,
    store_id: StoreId,
    report: &mut SalvageReport,
) -> Result<(), StoreError> {
    let mut found = Recovery::default();
    let loaded = meta::load(source, Access::Read, unpublished(source), Some(store_id), &mut found);
    report.meta_damage = found.meta_damage.iter().map(ToString::to_string).collect();
    let mut log = Log::open(target.clone(), host, LogConfig::default())?;
    match loaded {
        Ok(LoadedMeta { values, .. }) => log.restore_meta(&values)?,
        Err(error) => report.meta_damage.push(error.to_string()),
    }
    log.close_in_place()
}
