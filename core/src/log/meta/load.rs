//! Opening the meta log: which file counts, what is half-made, what is damaged.
//!
//! The newest whole file counts. One that is newer and was never whole was half-made by a crash;
//! but where a frame in it vouches for bytes, or nothing older is whole, it was whole once and is
//! damaged. Damage never keeps a store from opening: what can be read is kept and the rest is
//! reported. An I/O error is never taken for damage.

use super::values::{Change, Values};
use super::{ActiveMeta, Renewal};
use crate::format::Fault;
use crate::format::meta::{META_HEADER_LEN, MetaHeader, MetaScan, scan, torn_len};
use crate::format::segment::{HeaderFault, StoreId};
use crate::log::import::Hidden;
use crate::log::names::KindNames;
use crate::log::recovery::{Access, Recovery, Tail, TornTail};
use crate::log::source::FileSource;
use crate::log::{Corruption, StoreError};
use crate::order::ascending;
use crate::storage::{FileId, FileKind, Storage, StorageErrorKind, StorageFile};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// How often a file is read again because the writer cut it off meanwhile.
const TRIES_MAX: usize = 8;

/// What the files of the meta log say.
pub(crate) struct LoadedMeta<S: Storage> {
    /// The store that they belong to; `None` where no file tells.
    pub(crate) store_id: Option<StoreId>,
    pub(crate) values: Values,
    pub(crate) names: KindNames,
    pub(crate) active: Option<ActiveMeta<S>>,
    pub(crate) next_number: u64,
    pub(crate) renewal: Renewal,
    /// Files that count no longer once a fresh one is written.
    pub(crate) stale: Vec<FileId>,
}

/// What became of keys in one file, in the order in which it happened.
type Patch = Vec<Change>;

/// A file of this store.
struct Candidate<S: Storage> {
    id: FileId,
    file: S::File,
    header: MetaHeader,
    header_fault: Option<Fault>,
    scan: MetaScan,
    patch: Patch,
}

enum Look<S: Storage> {
    /// It never held anything.
    HalfMade,
    /// It belongs to another store and is left alone.
    Stranger(Corruption),
    Found(Candidate<S>),
}

/// Reads the meta log of the store that the segments name. Removes what is half-made, and what a
/// proven file has replaced, if `access` allows that; the caller syncs the directory then.
pub(crate) fn load<S: Storage>(
    storage: &S,
    access: Access,
    hidden: Hidden,
    store_id: Option<StoreId>,
    report: &mut Recovery,
) -> Result<LoadedMeta<S>, StoreError> {
    let files = storage.list()?.into_iter().filter(|id| id.kind == FileKind::Meta);
    let ids = ascending(files.filter(|id| !hidden.hides(*id)));
    let mut loaded = LoadedMeta {
        store_id,
        values: Values::default(),
        names: KindNames::default(),
        active: None,
        next_number: ids.last().map_or(1, |newest| newest.number.saturating_add(1)),
        renewal: Renewal::None,
        stale: Vec::new(),
    };
    let mut obsolete = Vec::new();
    let mut broken = Vec::new();
    let mut winner = None;
    for id in ids.into_iter().rev() {
        match look_at_steadily(storage, id, access, loaded.store_id)? {
            Look::HalfMade => obsolete.push(id),
            Look::Stranger(fault) => report.meta_damage.push(fault),
            Look::Found(found) => {
                if found.is_known() {
                    loaded.store_id = Some(found.header.store_id);
                }
                if winner.is_some() {
                    loaded.stale.push(id);
                } else if found.is_whole() {
                    winner = Some(found);
                } else {
                    broken.push(found);
                }
            }
        }
    }
    if winner.is_some() {
        let half_made = broken.extract_if(.., |found: &mut Candidate<S>| !found.is_proven());
        obsolete.extend(half_made.map(|found| found.id));
    }
    loaded.renewal = renewal(&winner, &broken, &loaded.stale);
    if loaded.renewal == Renewal::None {
        obsolete.append(&mut loaded.stale);
    }
    for id in obsolete {
        if access == Access::Write {
            storage.remove(id)?;
            report.removed.push(id);
        }
    }
    loaded.take(winner, broken, report);
    Ok(loaded)
}

fn renewal<S: Storage>(
    winner: &Option<Candidate<S>>,
    damaged: &[Candidate<S>],
    stale: &[FileId],
) -> Renewal {
    let Some(winner) = winner else {
        return if damaged.is_empty() { Renewal::None } else { Renewal::Due };
    };
    let scan = &winner.scan;
    let unsynced = scan.end > winner.synced_len() && !scan.vouched;
    let damaged = !damaged.is_empty() || !scan.faults.is_empty();
    if damaged || unsynced || scan.torn_len > 0 || (!winner.is_proven() && !stale.is_empty()) {
        Renewal::Due
    } else if winner.is_proven() {
        Renewal::None
    } else {
        Renewal::BeforeWrite
    }
}

impl<S: Storage> LoadedMeta<S> {
    /// Puts together the values: those of the file that counts, then what is left of damaged
    /// ones, the oldest first.
    fn take(
        &mut self,
        winner: Option<Candidate<S>>,
        damaged: Vec<Candidate<S>>,
        report: &mut Recovery,
    ) {
        let mut patch = Patch::new();
        let mut newest = FileId::meta(0);
        if let Some(mut found) = winner {
            report_damage(&found, report);
            if found.scan.torn_len > 0 {
                let (offset, len) = (found.scan.end, found.scan.torn_len);
                report.meta_torn_tail = Some(TornTail { file: found.id, offset, len });
            }
            newest = found.id;
            patch = core::mem::take(&mut found.patch);
            self.active = Some(found.into_active());
        }
        for found in damaged.into_iter().rev() {
            report_damage(&found, report);
            newest = found.id;
            self.stale.push(found.id);
            patch.extend(found.patch);
        }
        for change in patch {
            self.values.apply(change);
        }
        let (names, fault) = KindNames::of(&self.values);
        self.names = names;
        report.meta_damage.extend(fault.map(|fault| Corruption::at(newest, 0, fault)));
    }
}

fn report_damage<S: Storage>(found: &Candidate<S>, report: &mut Recovery) {
    let faults = found.header_fault.iter().chain(&found.scan.faults).cloned();
    report.meta_damage.extend(faults.map(|fault| Corruption::at(found.id, 0, fault)));
}

impl<S: Storage> Candidate<S> {
    /// Whether its store id was checked by some CRC.
    fn is_known(&self) -> bool {
        self.header_fault.is_none() || self.scan.frames > 0
    }

    /// Whether all is there that was written before it counted.
    fn is_whole(&self) -> bool {
        let first_fault = self.scan.faults.first().map(|fault| fault.offset);
        self.header_fault.is_none() && first_fault.is_none_or(|at| at >= self.header.whole_len)
    }

    /// Whether something was written behind what it began with: only a file that was whole, on
    /// stable storage and durably named is ever appended to.
    fn is_proven(&self) -> bool {
        self.scan.vouched_len > 0
    }

    fn synced_len(&self) -> u64 {
        self.header.whole_len.max(self.scan.vouched_len).min(self.scan.end)
    }

    fn into_active(self) -> ActiveMeta<S> {
        let (synced_len, vouched) = (self.synced_len(), self.scan.vouched);
        // Nobody knows whether the frame that closed the file is on stable storage itself, so
        // that the next one takes its place instead of relying on it.
        let offset = if vouched { synced_len } else { self.scan.end };
        ActiveMeta {
            id: self.id,
            frame_salt: self.header.frame_salt(),
            tail: Tail { offset, synced_len, vouched },
            soiled: false,
            file: self.file,
        }
    }
}

/// A reader beside a writer may see the file shrink under it: that one looks again.
fn look_at_steadily<S: Storage>(
    storage: &S,
    id: FileId,
    access: Access,
    store_id: Option<StoreId>,
) -> Result<Look<S>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match look_at(storage, id, store_id) {
            Err(StoreError::Storage(error))
                if error.kind() == StorageErrorKind::OutOfBounds
                    && access == Access::Read
                    && tries < TRIES_MAX => {}
            looked => return looked,
        }
    }
}

fn look_at<S: Storage>(
    storage: &S,
    id: FileId,
    store_id: Option<StoreId>,
) -> Result<Look<S>, StoreError> {
    let file = storage.open(id)?;
    let len = file.len()?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(META_HEADER_LEN)];
    file.read_exact_at(&mut bytes, 0)?;
    let mut source = FileSource::new(&file, len);
    let (header, fault) = match MetaHeader::decode(&bytes) {
        Ok(header) if store_id.is_some_and(|store_id| store_id != header.store_id) => {
            let expected = store_id.map_or_else(Default::default, |id| id.to_string());
            let (expected, found) = (alloc::format!("store id {expected}"), header.store_id);
            return Ok(Look::Stranger(Corruption::new(id, 16, expected, found.to_string())));
        }
        Ok(header) if header.number == id.number => (header, None),
        Ok(header) => {
            let expected = alloc::format!("number {}", id.number);
            (header, Some(Fault::new(32, expected, header.number.to_string())))
        }
        Err(fault @ HeaderFault::NewerFormat { .. }) => return Err(StoreError::header(id, fault)),
        // A header is synced before anything is appended, so this file never held a value.
        Err(HeaderFault::Fault(_)) if torn_len(&mut source, HEADER_END)? == 0 => {
            return Ok(Look::HalfMade);
        }
        Err(HeaderFault::Fault(fault)) => {
            (guess(&mut source, &bytes, store_id, id.number)?, Some(fault))
        }
    };
    let mut patch = Patch::new();
    let scan = scan(&mut source, &header, |frame| {
        patch.extend(frame.entries().map(|entry| Change {
            key: entry.key.to_vec(),
            value: entry.value.map(<[u8]>::to_vec),
        }));
    })?;
    drop(source);
    Ok(Look::Found(Candidate { id, file, header, header_fault: fault, scan, patch }))
}

const HEADER_END: u64 = META_HEADER_LEN as u64;

/// What a damaged header most likely was: the first guess under which frames are right.
fn guess<F: StorageFile>(
    source: &mut FileSource<&F>,
    bytes: &[u8],
    store_id: Option<StoreId>,
    number: u64,
) -> Result<MetaHeader, StoreError> {
    let mut guesses = MetaHeader::guesses(bytes, store_id, number).peekable();
    while let Some(header) = guesses.next() {
        if guesses.peek().is_none() || scan(source, &header, |_| {})?.frames > 0 {
            return Ok(header);
        }
    }
    unreachable!("a file with bytes behind the header has all of its fields")
}
