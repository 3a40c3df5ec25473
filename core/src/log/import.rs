//! Taking in a backup: into an empty storage, or behind the events of a store that it continues.
//!
//! The bytes come in pieces of any length, and what is not proven is not believed: sections by
//! their CRC, the stream by its hash, segments as when a store opens. Files are written under a mark
//! ([`Unpublished`]) and count when the last of it is done. Nothing waits: where a file has to be
//! opened ahead, a call returns early and the next one goes on.

mod continued;
mod error;
mod outline;
mod unpublished;

pub use error::BackupError;
pub use outline::BackupCheck;
pub use unpublished::Unpublished;
pub(crate) use unpublished::{Hidden, settle_imports};

use crate::format::backup::{BackupHeader, BackupSegment};
use crate::format::import_mark::ImportMark;
use crate::format::meta::MetaEntry;
use crate::format::segment::{HeaderFault, SegmentHeader};
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::{Change, Values, write_fresh};
use crate::log::reader::Reader;
use crate::model::Sequence;
use crate::storage::{FileId, Storage, StorageErrorKind, StorageFile};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use continued::{Continued, Target};
use outline::{Item, Outline};

/// A backup on its way in. See the module.
///
/// [`feed`](Import::feed) it the stream, then [`publish`](Import::publish). Dropped before that, it
/// leaves the storage as it was; so does a crash at any point, as soon as the store is opened.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload};
/// # #[derive(Clone, Copy)] struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// use annals_core::{ExportOptions, Import};
///
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// # let order = Coordinate::new("order:5", "shop")?;
/// # log.append(&Append::new(order, EventKind::new(1, 1), Payload::raw("apples")))?;
/// let mut export = log.export(&ExportOptions::default())?;
/// let elsewhere = MemoryStorage::new();
/// let mut import = Import::new(elsewhere.clone(), Fixed);
/// let mut chunk = [0; 100];
/// loop {
///     let len = export.next_chunk(&mut chunk)?;
///     if len == 0 {
///         break;
///     }
///     let mut left = &chunk[..len];
///     while !left.is_empty() {
///         let taken = import.feed(left)?;
///         left = &left[taken..];
///     }
/// }
/// import.publish()?;
///
/// let copy = Log::open(elsewhere, Fixed, LogConfig::default())?;
/// assert_eq!(copy.reader().stream("order:5").count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Import<S: Storage, H: Host> {
    storage: Arc<S>,
    host: H,
    outline: Outline,
    /// What the store is to hold besides events.
    values: Values,
    target: Option<Target<S>>,
    segment: Option<Incoming<S>>,
    /// The file that the host was told of and that was not made yet.
    announced: Option<FileId>,
    unpublished: Option<Unpublished<S>>,
    phase: Phase,
    reader: Option<Reader<S>>,
}

/// What was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSummary {
    /// The backup.
    pub header: BackupHeader,
    /// Bytes of it.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Taking,
    /// The end was taken in.
    Complete,
    MetaWritten,
    Published,
    /// It failed for good.
    Ended,
}

/// How a section was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    Done,
    /// A file was announced: the host has a chance to open it before the next call.
    Announced,
}

/// A segment that is being taken in.
enum Incoming<S: Storage> {
    /// A copy, byte for byte.
    Copy { id: FileId, file: S::File },
    /// A segment of its own, behind those of the store.
    Continued(Box<Continued<S>>),
}

impl<S: Storage, H: Host> core::fmt::Debug for Import<S, H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Import")
            .field("header", &self.header())
            .field("position", &self.position())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<S: Storage, H: Host> Import<S, H> {
    /// An import into a storage that nobody else has open.
    #[must_use]
    pub fn new(storage: S, host: H) -> Self {
        Import {
            storage: Arc::new(storage),
            host,
            outline: Outline::new(),
            values: Values::default(),
            target: None,
            segment: None,
            announced: None,
            unpublished: None,
            phase: Phase::Taking,
            reader: None,
        }
    }

    /// What the backup is of, once its beginning was taken in.
    #[must_use]
    pub fn header(&self) -> Option<&BackupHeader> {
        self.outline.header()
    }

    /// Bytes of the stream that were taken in.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.outline.position()
    }

    /// Takes in the next bytes of the stream, and says how many: go on with the rest, if any.
    ///
    /// It makes one file at most, and has told the storage of it
    /// ([`Storage::prepare`]) in the call before, which returned early for that.
    ///
    /// # Errors
    ///
    /// Nothing was published, and all but a file that was not ready
    /// ([`BackupError::is_not_ready`]) end the import: after that one, make the file ready and
    /// call again with the same bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, BackupError> {
        if self.phase == Phase::Ended {
            return Err(BackupError::Ended);
        }
        let mut taken = 0;
        loop {
            match self.handle() {
                Ok(Some(Handled::Done)) => {}
                Ok(Some(Handled::Announced)) => return Ok(taken),
                Ok(None) if taken == bytes.len() => return Ok(taken),
                Ok(None) => {
                    let more = self.outline.take(&bytes[taken..]);
                    taken += more.map_err(|error| self.ended_by(error))?;
                }
                // What was taken of these bytes is held, so they can't be told as not taken.
                Err(error) if error.is_not_ready() && taken > 0 => return Ok(taken),
                Err(error) => return Err(self.ended_by(error)),
            }
        }
    }

    /// A reader of the store as it will be, once the end was taken in: for
    /// [`verify`](crate::verify), before anything is published.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] where the stream ended early; corruption; storage errors.
    pub fn reader(&mut self) -> Result<Reader<S>, BackupError> {
        self.drain()?;
        if self.reader.is_none() {
            let reader = match (&self.unpublished, self.outline.header()) {
                (Some(unpublished), Some(header)) => unpublished.reader(header.end_sequence),
                _ => Err(BackupError::Incomplete),
            };
            self.reader = Some(reader.map_err(|error| self.ended_by(error))?);
        }
        self.reader.clone().ok_or(BackupError::Incomplete)
    }

    /// Makes all of it count, at once.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] where the stream ended early; corruption; storage errors. Nothing
    /// counts then, but see [`BackupError::Unsure`]. After a file that was not ready it may be
    /// called again.
    pub fn publish(&mut self) -> Result<ImportSummary, BackupError> {
        if self.phase != Phase::Published {
            self.reader()?;
            // Files of the old and the new segments may be opened again as their writer's own.
            self.reader = None;
            match self.finish() {
                Ok(()) => {}
                Err(error) if error.is_not_ready() => return Err(error),
                Err(error) => return Err(self.ended_by(error)),
            }
        }
        let header = self.header().copied().ok_or(BackupError::Incomplete)?;
        Ok(ImportSummary { header, bytes: self.position() })
    }

    fn finish(&mut self) -> Result<(), BackupError> {
        let (Some(target), Some(header), Some(unpublished)) =
            (&self.target, self.outline.header(), &mut self.unpublished)
        else {
            return Err(BackupError::Incomplete);
        };
        if self.phase == Phase::Complete {
            if self.values.len() > 0 {
                let number = target.first_meta;
                write_fresh(&*self.storage, &self.host, header.store_id, number, &self.values)?;
            }
            self.phase = Phase::MetaWritten;
        }
        unpublished.publish()?;
        self.phase = Phase::Published;
        Ok(())
    }

    /// Handles what was taken in, up to the stream's end.
    fn drain(&mut self) -> Result<(), BackupError> {
        if self.phase == Phase::Ended {
            return Err(BackupError::Ended);
        }
        while self.outline.is_waiting() {
            self.feed(&[])?;
        }
        self.outline.check_complete().map_err(|error| self.ended_by(error))
    }

    fn ended_by(&mut self, error: BackupError) -> BackupError {
        if !error.is_not_ready() {
            self.phase = Phase::Ended;
            self.segment = None;
            self.target = None;
            self.reader = None;
            // Takes back what was written.
            self.unpublished = None;
        }
        error
    }

    /// Handles the section that is whole; `None` where none is.
    fn handle(&mut self) -> Result<Option<Handled>, BackupError> {
        let handled = match self.outline.item()? {
            None => return Ok(None),
            Some(Item::Begin(header)) => self.begin(&header)?,
            Some(Item::Values(entries)) => {
                take_values(&mut self.values, &entries)?;
                Handled::Done
            }
            Some(Item::Segment(about)) => self.begin_segment(about)?,
            Some(Item::Data(_)) => self.take_data()?,
            Some(Item::End) => {
                if let Some(target) = &self.target {
                    self.storage.prepare(&[FileId::meta(target.first_meta)]);
                }
                self.phase = Phase::Complete;
                Handled::Done
            }
        };
        if handled == Handled::Done {
            self.outline.accept()?;
        }
        Ok(Some(handled))
    }

    fn begin(&mut self, header: &BackupHeader) -> Result<Handled, BackupError> {
        if self.target.is_none() {
            let (target, values) = match header.first_sequence {
                Sequence::ZERO => (Target::empty(&self.storage)?, Values::default()),
                _ => Target::of_store(&self.storage, &self.host, header)?,
            };
            (self.target, self.values) = (Some(target), values);
        }
        let Some(Target { first_segment, first_meta, .. }) = self.target else {
            return Err(BackupError::Incomplete);
        };
        if self.announce(FileId::import(first_segment)) {
            return Ok(Handled::Announced);
        }
        let mark = ImportMark { store_id: header.store_id, first_segment, first_meta };
        self.unpublished = Some(Unpublished::begin_at(Arc::clone(&self.storage), mark)?);
        self.announced = None;
        Ok(Handled::Done)
    }

    /// Tells the storage which file comes next, unless that was done.
    fn announce(&mut self, id: FileId) -> bool {
        if self.announced == Some(id) {
            return false;
        }
        self.storage.prepare(&[id]);
        self.announced = Some(id);
        true
    }

    fn begin_segment(&mut self, about: BackupSegment) -> Result<Handled, BackupError> {
        let Some(target) = &self.target else { return Err(BackupError::Incomplete) };
        let id = FileId::segment(target.number_of(&about));
        let continues = target.continues();
        if self.announce(id) {
            return Ok(Handled::Announced);
        }
        let file = match self.storage.create(id) {
            Err(error) if error.kind() == StorageErrorKind::AlreadyExists && !continues => {
                return Err(self.outline.wrong(0, "a segment that is not there yet", id.name()));
            }
            created => created?,
        };
        self.announced = None;
        self.segment = Some(match continues {
            true => Incoming::Continued(Box::new(Continued::new(id, file, about))),
            false => Incoming::Copy { id, file },
        });
        Ok(Handled::Done)
    }

    fn take_data(&mut self) -> Result<Handled, BackupError> {
        let Some(Item::Data(data)) = self.outline.item()? else { return Ok(Handled::Done) };
        let Some(header) = self.outline.header() else { return Err(BackupError::Incomplete) };
        match (&mut self.segment, &mut self.target) {
            (Some(Incoming::Copy { id, file }), _) => {
                if data.offset == 0 {
                    check_header(&self.outline, header, *id, data.bytes)?;
                }
                file.write_all_at(data.bytes, data.offset)?;
                if data.last {
                    // A file may be made longer than it will be.
                    if file.len()? > data.about.byte_len {
                        file.set_len(data.about.byte_len)?;
                    }
                    file.sync_data()?;
                }
            }
            (Some(Incoming::Continued(continued)), Some(target)) => {
                continued.take(target, header, data.bytes, data.last)?;
            }
            _ => return Err(BackupError::Incomplete),
        }
        if data.last {
            self.segment = None;
        }
        Ok(Handled::Done)
    }
}

fn take_values(values: &mut Values, entries: &[MetaEntry<'_>]) -> Result<(), BackupError> {
    let changes: Vec<Change> = entries
        .iter()
        .map(|entry| Change { key: entry.key.to_vec(), value: entry.value.map(<[u8]>::to_vec) })
        .collect();
    for change in changes {
        values.check(core::slice::from_ref(&change)).map_err(StoreError::from)?;
        values.apply(change);
    }
    Ok(())
}

fn check_header(
    outline: &Outline,
    header: &BackupHeader,
    id: FileId,
    bytes: &[u8],
) -> Result<(), BackupError> {
    match SegmentHeader::decode(bytes) {
        Ok(found) if found.store_id == header.store_id && found.number == id.number => Ok(()),
        Ok(found) => {
            let expected = format!("segment {} of store {}", id.number, header.store_id);
            let found = format!("segment {} of store {}", found.number, found.store_id);
            Err(outline.wrong(16, expected, found))
        }
        Err(HeaderFault::Fault(fault)) => Err(outline.fault(fault)),
        Err(fault) => Err(StoreError::header(id, fault).into()),
    }
}
