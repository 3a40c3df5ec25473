//! Opening a store: what its files say, what is cut, what is removed, what is damage.
//!
//! Sealed segments are known by their footers, the active one by a scan of its frames. A torn
//! tail is cut and reported; a tail that a later frame vouches for is corruption. Half-made files
//! were never acknowledged and are removed. An I/O error is never taken for an end of file.

use crate::format::pruned::PrunedRun;
use crate::format::scan::{self, ScanEnd};
use crate::format::segment::{
    HeaderFault, SEGMENT_FOOTER_LEN, SEGMENT_HEADER_FIXED_LEN, SEGMENT_HEADER_LEN,
    SEGMENT_HEADER_LEN_MAX, SegmentFooter, SegmentHeader, StoreId,
};
use crate::format::usize_of;
use crate::index::{GrowingIndex, IndexEntry, KeyHasher};
use crate::log::import::{Hidden, settle_imports};
use crate::log::meta::{self, KnownEnd, LoadedMeta};
use crate::log::segments::{ActiveSegment, Life, SealedSegment, View, mend_index};
use crate::log::source::FileSource;
use crate::log::{Corruption, StoreError};
use crate::model::wire::decode_header;
use crate::model::{Hash, Hlc, Sequence};
use crate::order::{ascending, by_key};
use crate::storage::{FileId, FileKind, Storage, StorageFile};
use crate::sync::RwLock;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes behind the last whole frame that were cut off: an append that was under way.
    pub torn_tail: Option<TornTail>,
    /// Files that were removed: half-made, or replaced by a newer file that is whole.
    pub removed: Vec<FileId>,
    /// Whether the last writer closed the store, so that nothing needed to be made durable.
    pub clean: bool,
    /// Events that were read one by one to rebuild the active segment's index.
    pub scanned_events: u64,
    /// Bytes of the meta log behind its last whole frame: a write that was under way.
    pub meta_torn_tail: Option<TornTail>,
    /// What is damaged in the meta log, or belongs to another store. Values that stood there are
    /// lost: names of kinds, checkpoints. No event is. The rest was kept, in a fresh file.
    pub meta_damage: Vec<Corruption>,
}

/// A tail that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: FileId,
    /// Where the file ends now, in bytes.
    pub offset: u64,
    /// Bytes cut off, trailing zeros not counted.
    pub len: u64,
}

/// Whether opening may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    Read,
}

/// All that a writer or a reader starts from.
pub(crate) struct Recovered<S: Storage> {
    pub(crate) store_id: Option<StoreId>,
    pub(crate) view: View<S>,
    pub(crate) end: Sequence,
    pub(crate) hlc: Hlc,
    pub(crate) next_number: u64,
    pub(crate) tail: Tail,
    pub(crate) meta: LoadedMeta<S>,
    pub(crate) report: Recovery,
    /// What is wrong where events are missing that were there when the store was closed. A writer
    /// is refused; a reader looks again, since its writer may have closed the store meanwhile.
    pub(crate) missing: Option<Corruption>,
}

/// The end of the active segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tail {
    /// Where the next frame goes.
    pub(crate) offset: u64,
    /// Bytes known to be on stable storage.
    pub(crate) synced_len: u64,
    /// Whether the last frame is one without events that vouches for all before it.
    pub(crate) vouched: bool,
}

/// What one file turned out to be.
struct Found<S: Storage> {
    id: FileId,
    file: Arc<S::File>,
    len: u64,
    header: SegmentHeader,
    footer: Option<SegmentFooter>,
}

pub(crate) fn recover<S: Storage>(
    storage: &Arc<S>,
    access: Access,
    hasher_of: impl Fn(&StoreId) -> KeyHasher,
) -> Result<Recovered<S>, StoreError> {
    let mut report = Recovery::default();
    let mut hidden = settle_imports(&**storage, access, &mut report)?;
    let listed = storage.list()?;
    if access == Access::Read {
        // An import may have begun behind the look at its mark, and before that list.
        hidden = hidden.and(settle_imports(&**storage, access, &mut report)?);
    }
    recover_listed(storage, access, listed, hidden, report, hasher_of)
}

/// As [`recover`], of these files but for those that are hidden, the report begun.
pub(crate) fn recover_listed<S: Storage>(
    storage: &Arc<S>,
    access: Access,
    listed: Vec<FileId>,
    hidden: Hidden,
    mut report: Recovery,
    hasher_of: impl Fn(&StoreId) -> KeyHasher,
) -> Result<Recovered<S>, StoreError> {
    let ids = listed.into_iter().filter(|id| id.kind == FileKind::Segment && !hidden.hides(*id));
    let mut found: Vec<Found<S>> = Vec::new();
    let mut half_made = Vec::new();
    let mut next_number = 1;
    for id in ids {
        next_number = next_number.max(id.number.saturating_add(1));
        match look_at::<S>(storage, id)? {
            Some(segment) => found.push(segment),
            None => half_made.push(id),
        }
    }
    check_store_ids(&found)?;
    let store_id = found.first().map(|segment| segment.header.store_id);
    half_made.extend(settle_compactions(&mut found)?);
    let mut found = by_key(found, |segment| (segment.header.base_sequence, segment.id));
    check_order(&found)?;
    if access == Access::Write {
        make_outputs_sure(storage, &found, &half_made, &hasher_of)?;
    }
    let meta = meta::load(&**storage, access, hidden, store_id, &mut report)?;
    let known_end = KnownEnd::of(&meta.values);
    let unsealed = found.pop_if(|segment| segment.footer.is_none());
    let mut view = View { sealed: Vec::with_capacity(found.len()), active: None };
    let (mut end, mut hlc) = (Sequence::ZERO, Hlc::ZERO);
    for Found { file, header, footer, .. } in found {
        let Some(footer) = footer else { continue };
        (end, hlc) = (footer.end_sequence, footer.last_hlc);
        let life = Life::new(header.number, storage);
        let segment = SealedSegment::new(header, footer, file, life);
        view.sealed.push(Arc::new(segment));
    }
    let mut tail = Tail::default();
    if let Some(segment) = unsealed {
        let hasher = hasher_of(&segment.header.store_id);
        let life = Life::new(segment.id.number, storage);
        let opened = open_active(segment, life, access, hasher, known_end, &mut report)?;
        end = opened.end;
        hlc = opened.hlc.unwrap_or(hlc);
        tail = opened.tail;
        view.active = Some(Arc::new(opened.segment));
    } else {
        report.clean = true;
    }
    let active = view.active.as_ref().map(|active| (active.header.number, tail.offset));
    let active = active.map(|(number, offset)| (FileId::segment(number), offset));
    let missing = known_end.and_then(|known| known.missing(end, active));
    if access == Access::Write
        && let Some(missing) = missing
    {
        return Err(missing.into());
    }
    for id in half_made {
        remove(storage, access, id, &mut report)?;
    }
    if access == Access::Write && !report.removed.is_empty() {
        storage.sync_dir()?;
    }
    let store_id = meta.store_id;
    Ok(Recovered { store_id, view, end, hlc, next_number, tail, meta, report, missing })
}

fn remove<S: Storage>(
    storage: &Arc<S>,
    access: Access,
    id: FileId,
    report: &mut Recovery,
) -> Result<(), StoreError> {
    if access == Access::Write {
        storage.remove(id)?;
        report.removed.push(id);
    }
    Ok(())
}

/// `None` for a file that was never more than begun.
fn look_at<S: Storage>(storage: &Arc<S>, id: FileId) -> Result<Option<Found<S>>, StoreError> {
    let file = Arc::new(storage.open(id)?);
    let len = file.len()?;
    let header = match read_header(&*file, len)? {
        Ok(header) => header,
        Err(HeaderFault::Fault(_)) if is_blank(&*file, id, len)? => return Ok(None),
        Err(fault) => return Err(StoreError::header(id, fault)),
    };
    if header.number != id.number {
        let expected = format!("segment number {}", id.number);
        let found = header.number.to_string();
        return Err(Corruption::new(id, 32, expected, found).into());
    }
    let footer = read_footer(&*file, id, len, &header)?;
    // A segment without a frame goes too: whether its name is on stable storage is not known.
    if footer.is_none() && header.replaces.is_empty() && has_no_frame(&*file, id, len, &header)? {
        return Ok(None);
    }
    Ok(Some(Found { id, file, len, header, footer }))
}

fn read_header<F: StorageFile>(
    file: &F,
    len: u64,
) -> Result<Result<SegmentHeader, HeaderFault>, StoreError> {
    let mut bytes = vec![0; clamp(len, SEGMENT_HEADER_LEN)];
    file.read_exact_at(&mut bytes, 0)?;
    let needed = match SegmentHeader::needed(&bytes) {
        Ok(needed) => needed,
        Err(fault) => return Ok(Err(fault)),
    };
    if needed > bytes.len() {
        bytes.resize(clamp(len, needed), 0);
        file.read_exact_at(&mut bytes, 0)?;
    }
    Ok(SegmentHeader::decode(&bytes))
}

/// Whether no frame ever stood there: a header is synced before the first frame is written, so
/// such a file never held an event. What may stand there is a part of a compaction's header: the
/// numbers that it replaces, all below its own, and its CRC behind them.
fn is_blank<F: StorageFile>(file: &F, id: FileId, len: u64) -> Result<bool, StoreError> {
    let header_end = len.min(SEGMENT_HEADER_LEN_MAX as u64);
    if scan::tail(&mut FileSource::new(file, len), header_end, 0)?.torn_len > 0 {
        return Ok(false);
    }
    let mut bytes = vec![0; clamp(header_end, SEGMENT_HEADER_LEN_MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    let words = bytes.get(SEGMENT_HEADER_FIXED_LEN..).unwrap_or_default().chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let mut words = words.rev().skip_while(|word| *word == 0);
    let crc_fits = words.next().is_none_or(|crc| u32::try_from(crc).is_ok());
    Ok(crc_fits && words.all(|replaced| replaced < id.number))
}

/// Whether nothing stands behind a header, as when its process ended before the first frame.
fn has_no_frame<F: StorageFile>(
    file: &F,
    id: FileId,
    len: u64,
    header: &SegmentHeader,
) -> Result<bool, StoreError> {
    let start = header.encoded_len() as u64;
    let mut marker = [0; 4];
    if len >= start + marker.len() as u64 {
        file.read_exact_at(&mut marker, start)?;
    }
    Ok(marker == [0; 4] && is_blank(file, id, len)?)
}

fn read_footer<F: StorageFile>(
    file: &F,
    id: FileId,
    len: u64,
    header: &SegmentHeader,
) -> Result<Option<SegmentFooter>, StoreError> {
    let Some(at) = len.checked_sub(SEGMENT_FOOTER_LEN as u64) else { return Ok(None) };
    if at < header.encoded_len() as u64 {
        return Ok(None);
    }
    let mut bytes = [0; SEGMENT_FOOTER_LEN];
    file.read_exact_at(&mut bytes, at)?;
    // A footer that is torn leaves a segment unsealed. Whether it may be so is judged by the
    // segments behind it, and by its own frames.
    let Ok(Some(footer)) = SegmentFooter::decode(&bytes) else { return Ok(None) };
    let fits = footer.number == header.number
        && footer.first_sequence == header.base_sequence
        && footer.end_sequence >= footer.first_sequence
        && footer.frames_end >= header.encoded_len() as u64
        && footer.frames_end.checked_add(footer.index_len) == Some(at);
    if !fits {
        let expected = "a footer that fits its segment";
        return Err(Corruption::new(id, at, expected, "that of another").into());
    }
    Ok(Some(footer))
}

fn check_store_ids<S: Storage>(found: &[Found<S>]) -> Result<(), StoreError> {
    let Some(first) = found.first() else { return Ok(()) };
    for segment in found {
        if segment.header.store_id != first.header.store_id {
            let expected = format!("store id {}", first.header.store_id);
            let stranger = segment.header.store_id.to_string();
            return Err(Corruption::new(segment.id, 16, expected, stranger).into());
        }
    }
    Ok(())
}

/// A complete output of a compaction wins over what it replaces, an incomplete one goes. Returns
/// what goes.
fn settle_compactions<S: Storage>(found: &mut Vec<Found<S>>) -> Result<Vec<FileId>, StoreError> {
    let mut gone = Vec::new();
    for segment in found.iter().filter(|segment| !segment.header.replaces.is_empty()) {
        let id = segment.id;
        match &segment.footer {
            // What it replaces may be an output itself, whose own inputs a reader kept from
            // being removed, or whose removal was undone: so the range says what is replaced.
            Some(footer) => {
                let range = footer.first_sequence..footer.end_sequence;
                let older = found.iter().filter(|other| other.id.number < id.number);
                let within = older.filter(|other| range.contains(&other.header.base_sequence));
                gone.extend(within.map(|other| other.id));
            }
            None if is_half_made(segment, found) => gone.push(id),
            None => {
                let offset = segment.len.saturating_sub(SEGMENT_FOOTER_LEN as u64);
                return Err(Corruption::new(id, offset, "a footer", "none that is valid").into());
            }
        }
    }
    let mut gone = ascending(gone);
    gone.dedup();
    found.retain(|segment| !gone.contains(&segment.id));
    Ok(gone)
}

/// Whether an output without a footer never counted: all that it was made from is there, or was
/// replaced by an output that is newer and complete. That happens where it could not be removed
/// when its compaction was given up, and another compaction took its inputs.
fn is_half_made<S: Storage>(output: &Found<S>, found: &[Found<S>]) -> bool {
    let newer = || {
        let newer = found.iter().filter(|other| other.id.number > output.id.number);
        newer.filter(|other| other.footer.is_some() && !other.header.replaces.is_empty())
    };
    let is_replaced = |number| newer().any(|other| other.header.replaces.contains(&number));
    let is_there = |number| found.iter().any(|segment| segment.id.number == number);
    let base = output.header.base_sequence;
    let is_covered = newer()
        .filter_map(|other| other.footer.as_ref())
        .any(|footer| (footer.first_sequence..footer.end_sequence).contains(&base));
    is_covered
        || output.header.replaces.iter().all(|number| is_there(*number) || is_replaced(*number))
}

/// Makes the output of a compaction durable where its inputs are still there and are to go: it
/// may have been read from memory only, and until then they are the last copy.
fn make_outputs_sure<S: Storage>(
    storage: &Arc<S>,
    found: &[Found<S>],
    going: &[FileId],
    hasher_of: impl Fn(&StoreId) -> KeyHasher,
) -> Result<(), StoreError> {
    let inputs_go =
        |segment: &&Found<S>| going.iter().any(|id| segment.header.replaces.contains(&id.number));
    let mut made = false;
    for output in found.iter().filter(inputs_go) {
        if let Some(footer) = &output.footer {
            let hasher = hasher_of(&output.header.store_id);
            mend_index(&*output.file, &output.header, footer, hasher)?;
        }
        rewrite(&*output.file, 0, output.len)?;
        output.file.sync_data()?;
        made = true;
    }
    if made {
        storage.sync_dir()?;
    }
    Ok(())
}

/// Every segment begins where the one before ends, and names its chain hash.
fn check_order<S: Storage>(found: &[Found<S>]) -> Result<(), StoreError> {
    let (mut base, mut chain_hash) = (Sequence::ZERO, Hash::ZERO);
    for (at, segment) in found.iter().enumerate() {
        let header = &segment.header;
        if header.base_sequence != base {
            let expected = format!("a segment from sequence {base} on");
            let found = format!("one from {} on: a segment is missing", header.base_sequence);
            return Err(Corruption::new(segment.id, 40, expected, found).into());
        }
        if header.prev_chain_hash != chain_hash {
            let expected = format!("the chain hash {chain_hash} of the segment before");
            let found = header.prev_chain_hash.to_string();
            return Err(Corruption::new(segment.id, 64, expected, found).into());
        }
        match &segment.footer {
            Some(footer) => (base, chain_hash) = (footer.end_sequence, footer.chain_hash),
            None if at + 1 == found.len() => {}
            None => {
                let offset = segment.len.saturating_sub(SEGMENT_FOOTER_LEN as u64);
                let found = "none that is valid";
                return Err(Corruption::new(segment.id, offset, "a footer", found).into());
            }
        }
    }
    Ok(())
}

struct OpenedActive<S: Storage> {
    segment: ActiveSegment<S>,
    end: Sequence,
    hlc: Option<Hlc>,
    tail: Tail,
}

fn open_active<S: Storage>(
    found: Found<S>,
    life: Arc<Life<S>>,
    access: Access,
    hasher: KeyHasher,
    known_end: Option<KnownEnd>,
    report: &mut Recovery,
) -> Result<OpenedActive<S>, StoreError> {
    let Found { id, file, len, header, .. } = found;
    let scanned = index_frames(&*file, &header, len, hasher)?;
    let offset = scanned.end.offset;
    let left = scan::tail(&mut FileSource::new(&*file, len), offset, header.salt)?;
    if let Some((at, synced_len)) = left.vouched {
        let fault = scanned.end.fault;
        let found = fault.map_or_else(|| "none".into(), |fault| fault.found);
        let expected =
            format!("a frame: the one at {at} says that {synced_len} bytes were on stable storage");
        return Err(Corruption::new(id, offset, expected, found).into());
    }
    let missing =
        known_end.and_then(|known| known.missing(scanned.next_sequence, Some((id, offset))));
    if access == Access::Write
        && let Some(missing) = missing
    {
        // Before anything is cut: it may be put back.
        return Err(missing.into());
    }
    report.scanned_events = u64::from(scanned.index.event_count());
    report.clean = scanned.vouched && left.torn_len == 0 && offset <= len;
    if left.torn_len > 0 {
        report.torn_tail = Some(TornTail { file: id, offset, len: left.torn_len });
    }
    let mut tail = Tail { offset, synced_len: scanned.synced_len, vouched: scanned.vouched };
    if access == Access::Write {
        // A file may also end within the padding of its last frame.
        if left.torn_len > 0 || len < offset {
            file.set_len(offset)?;
        }
        if !report.clean {
            rewrite(&*file, scanned.synced_len, offset)?;
            file.sync_data()?;
            tail.synced_len = offset;
        }
    }
    let end = scanned.next_sequence;
    let segment = ActiveSegment { header, file, life, index: RwLock::new(scanned.index) };
    Ok(OpenedActive { segment, end, hlc: scanned.hlc, tail })
}

/// Writes what is not known to be stable once more, for the caller to sync: after a failed sync,
/// what can still be read may be on no disk.
pub(super) fn rewrite<F: StorageFile>(file: &F, from: u64, to: u64) -> Result<(), StoreError> {
    const STEP: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    let mut at = from.min(to);
    while at < to {
        bytes.resize(clamp(to - at, usize_of(u32::try_from(STEP).unwrap_or(u32::MAX))), 0);
        file.read_exact_at(&mut bytes, at)?;
        file.write_all_at(&bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// What a walk over a segment's frames gives.
pub(crate) struct Scanned {
    pub(crate) index: GrowingIndex,
    pub(crate) end: ScanEnd,
    pub(crate) next_sequence: Sequence,
    pub(crate) hlc: Option<Hlc>,
    /// The most bytes that a frame vouches for.
    pub(crate) synced_len: u64,
    /// Whether the last frame has no events and vouches for all before it.
    pub(crate) vouched: bool,
}

/// Indexes all frames of a segment before `end`.
pub(crate) fn index_frames<F: StorageFile>(
    file: &F,
    header: &SegmentHeader,
    end: u64,
    hasher: KeyHasher,
) -> Result<Scanned, StoreError> {
    let id = FileId::segment(header.number);
    let start = header.encoded_len() as u64;
    let mut scanned = Scanned {
        index: GrowingIndex::new(hasher),
        end: ScanEnd { offset: start, fault: None },
        next_sequence: header.base_sequence,
        hlc: None,
        synced_len: start,
        vouched: false,
    };
    // Sequences are gapless but in the output of a compaction.
    let gapless = header.replaces.is_empty();
    let mut source = FileSource::new(file, end);
    let walked = scan::frames(&mut source, start, end, header.salt, |offset, frame| {
        let first = frame.first_sequence;
        if first < scanned.next_sequence || (gapless && first != scanned.next_sequence) {
            let expected = format!("a frame from sequence {} on", scanned.next_sequence);
            return Err(Corruption::new(id, offset + 12, expected, first.to_string()).into());
        }
        scanned.next_sequence = first;
        for record in frame.records() {
            let (at, record) = record.map_err(|fault| StoreError::corruption(id, offset, fault))?;
            let place = offset + at as u64;
            index_record(&mut scanned, hasher, &record, place)
                .map_err(|(expected, found)| Corruption::new(id, place, expected, found))?;
        }
        scanned.synced_len = scanned.synced_len.max(frame.synced_len);
        scanned.vouched = frame.record_count == 0 && frame.synced_len == offset;
        Ok::<(), StoreError>(())
    })?;
    scanned.index.set_frames_end(walked.offset.min(end));
    scanned.end = walked;
    Ok(scanned)
}

fn index_record(
    scanned: &mut Scanned,
    hasher: KeyHasher,
    record: &crate::format::record::RecordRef<'_>,
    offset: u64,
) -> Result<(), (&'static str, alloc::string::String)> {
    use crate::format::record::RecordState;
    if record.state == RecordState::Pruned {
        let run = PrunedRun::decode(record)
            .map_err(|fault| ("the mark of pruned events", fault.found.into_owned()))?;
        scanned.index.push_pruned(&run);
        return Ok(());
    }
    let header = decode_header(record.header)
        .map_err(|error| ("a valid event header", error.to_string()))?;
    let entry = IndexEntry::of_stored(&header, scanned.next_sequence, offset, hasher);
    let pushed = scanned.index.push(&entry);
    pushed.map_err(|expected| (expected, "one that does not fit".into()))?;
    scanned.hlc = Some(header.hlc());
    scanned.next_sequence = scanned.next_sequence.next();
    Ok(())
}

fn clamp(len: u64, max: usize) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(max)
}
