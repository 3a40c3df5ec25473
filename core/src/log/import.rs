//! Taking in a backup: into an empty storage, or behind the events of a store that it continues.
//!
//! The bytes come in pieces of any length, and what is not proven is not believed: sections by
//! their CRC, the stream by its hash, segments as when a store opens. Files are written under a mark
//! ([`Unpublished`]) and count when the last of it is done. Nothing waits: where a file has to be
//! opened ahead, a call returns early and the next one goes on.

mod continued;
mod error;
mod unpublished;

pub use error::BackupError;
pub use unpublished::Unpublished;
pub(crate) use unpublished::{Hidden, settle_imports};

use crate::format::backup::{
    BACKUP_VERSION, BackupHeader, BackupSegment, BeginFault, SectionKind, SectionReader, values,
};
use crate::format::import_mark::ImportMark;
use crate::format::segment::{HeaderFault, SegmentHeader};
use crate::format::{Fault, read_array};
use crate::index::KeyHasher;
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::{Change, Values, travels, write_fresh};
use crate::log::reader::Reader;
use crate::log::recovery::{Access, Recovered, Recovery, recover_listed};
use crate::log::shared::{Published, Shared};
use crate::model::{Hash, Sequence};
use crate::storage::{FileId, Storage, StorageFile};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use continued::{Continued, Target};

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
    stream: SectionReader,
    header: Option<BackupHeader>,
    /// What the store is to hold besides events.
    values: Values,
    target: Option<Target<S>>,
    segment: Option<Incoming<S>>,
    segments: u64,
    next_sequence: Sequence,
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
struct Incoming<S: Storage> {
    about: BackupSegment,
    received: u64,
    into: Into<S>,
}

enum Into<S: Storage> {
    /// A copy, byte for byte.
    Copy { id: FileId, file: S::File },
    /// A segment of its own, behind those of the store.
    Continued(alloc::boxed::Box<Continued<S>>),
}

impl<S: Storage, H: Host> core::fmt::Debug for Import<S, H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Import { header, phase, .. } = self;
        let position = self.stream.end();
        f.debug_struct("Import")
            .field("header", header)
            .field("position", &position)
            .field("phase", phase)
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
            stream: SectionReader::new(),
            header: None,
            values: Values::default(),
            target: None,
            segment: None,
            segments: 0,
            next_sequence: Sequence::ZERO,
            announced: None,
            unpublished: None,
            phase: Phase::Taking,
            reader: None,
        }
    }

    /// What the backup is of, once its beginning was taken in.
    #[must_use]
    pub fn header(&self) -> Option<&BackupHeader> {
        self.header.as_ref()
    }

    /// Bytes of the stream that were taken in.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.stream.end()
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
                Ok(Some(Handled::Done)) => self.stream.advance(),
                Ok(Some(Handled::Announced)) => return Ok(taken),
                Ok(None) if taken == bytes.len() => return Ok(taken),
                Ok(None) => taken += self.take(&bytes[taken..])?,
                // What was taken of these bytes is held, so they can't be told as not taken.
                Err(error) if error.is_not_ready() && taken > 0 => return Ok(taken),
                Err(error) => return Err(self.ended_by(error)),
            }
        }
    }

    /// A reader of the store as it will be, once the end was taken in: for
    /// [`verify`](fn@crate::verify), before anything is published.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] where the stream ended early; corruption; storage errors.
    pub fn reader(&mut self) -> Result<Reader<S>, BackupError> {
        self.drain()?;
        if self.reader.is_none() {
            let reader = self.open_unpublished().map_err(|error| self.ended_by(error))?;
            self.reader = Some(reader);
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
        let header = self.header.ok_or(BackupError::Incomplete)?;
        Ok(ImportSummary { header, bytes: self.stream.end() })
    }

    fn finish(&mut self) -> Result<(), BackupError> {
        let (Some(target), Some(header), Some(unpublished)) =
            (&self.target, &self.header, &mut self.unpublished)
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
        while self.phase == Phase::Taking && self.stream.section().is_some() {
            self.feed(&[])?;
        }
        match self.phase {
            Phase::Taking => {
                let found = "the end of the stream";
                let fault = Fault::new(self.stream.end(), "the rest of the backup", found);
                let error = BackupError::damaged(self.stream.number(), fault);
                Err(self.ended_by(error))
            }
            Phase::Ended => Err(BackupError::Ended),
            Phase::Complete | Phase::MetaWritten | Phase::Published => Ok(()),
        }
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

    fn take(&mut self, bytes: &[u8]) -> Result<usize, BackupError> {
        if self.phase != Phase::Taking {
            let fault = Fault::new(self.stream.end(), "the end of the stream", "more bytes");
            let error = BackupError::damaged(self.stream.number(), fault);
            return Err(self.ended_by(error));
        }
        let taken = self.stream.take(bytes);
        taken.map_err(|fault| {
            let error = BackupError::damaged(self.stream.number(), fault);
            self.ended_by(error)
        })
    }

    /// Handles the section that is whole; `None` where none is.
    fn handle(&mut self) -> Result<Option<Handled>, BackupError> {
        let Some(section) = self.stream.section() else { return Ok(None) };
        let kind = section.kind;
        let expected = self.expected(kind);
        if let Some(expected) = expected {
            return Err(self.wrong(0, expected, format!("its {kind}")));
        }
        let handled = match kind {
            SectionKind::Begin => self.begin(),
            SectionKind::Values => self.take_values().map(|()| Handled::Done),
            SectionKind::Segment => self.begin_segment(),
            SectionKind::Data => self.take_data().map(|()| Handled::Done),
            SectionKind::End => self.end().map(|()| Handled::Done),
        };
        handled.map(Some)
    }

    /// What should stand here instead of a section of this kind, if another should.
    fn expected(&self, kind: SectionKind) -> Option<&'static str> {
        match (kind, self.header.is_some() && self.unpublished.is_some(), &self.segment) {
            (SectionKind::Begin, false, None) | (SectionKind::Data, true, Some(_)) => None,
            (_, false, _) => Some("the beginning of a backup"),
            (_, true, Some(_)) => Some("more bytes of the segment"),
            (SectionKind::Begin | SectionKind::Data, true, None) => Some("the next segment"),
            (SectionKind::Values, true, None) if self.segments > 0 => Some("the next segment"),
            (_, true, None) => None,
        }
    }

    /// A fault in the body of the section that is whole.
    fn wrong(
        &self,
        at: u64,
        expected: impl core::convert::Into<alloc::borrow::Cow<'static, str>>,
        found: impl core::convert::Into<alloc::borrow::Cow<'static, str>>,
    ) -> BackupError {
        self.fault(Fault::new(at, expected, found))
    }

    fn fault(&self, fault: Fault) -> BackupError {
        let body_at = self.stream.offset() + crate::format::backup::SECTION_HEADER_LEN as u64;
        BackupError::damaged(self.stream.number(), fault.behind(body_at))
    }

    fn body(&self) -> &[u8] {
        self.stream.section().map_or(&[], |section| section.body)
    }

    fn begin(&mut self) -> Result<Handled, BackupError> {
        let header = match BackupHeader::decode(self.body()) {
            Ok(header) => header,
            Err(BeginFault::Fault(fault)) => return Err(self.fault(fault)),
            Err(BeginFault::Newer { found }) => {
                return Err(BackupError::NewerBackup { found, supported: BACKUP_VERSION });
            }
        };
        if self.target.is_none() {
            let (target, values) = match header.first_sequence {
                Sequence::ZERO => (Target::empty(&self.storage)?, Values::default()),
                _ => Target::of_store(&self.storage, &self.host, &header)?,
            };
            (self.target, self.values) = (Some(target), values);
        }
        let Some(Target { first_segment, first_meta, .. }) = self.target else {
            return Err(BackupError::Incomplete);
        };
        let id = FileId::import(first_segment);
        if self.announce(id) {
            return Ok(Handled::Announced);
        }
        let mark = ImportMark { store_id: header.store_id, first_segment, first_meta };
        self.unpublished = Some(Unpublished::begin_at(Arc::clone(&self.storage), mark)?);
        self.announced = None;
        self.header = Some(header);
        self.next_sequence = header.first_sequence;
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

    fn take_values(&mut self) -> Result<(), BackupError> {
        let entries = values(self.body()).map_err(|fault| self.fault(fault))?;
        let stranger = entries.iter().find(|entry| !travels(entry.key));
        if let Some(stranger) = stranger {
            let found = stranger.key.escape_ascii().to_string();
            return Err(self.wrong(0, "names of kinds and checkpoints of consumers", found));
        }
        let owned = |bytes: &[u8]| bytes.to_vec();
        let changes = entries
            .iter()
            .map(|entry| Change { key: entry.key.to_vec(), value: entry.value.map(owned) });
        let changes: alloc::vec::Vec<_> = changes.collect();
        let limits =
            changes.iter().try_for_each(|one| self.values.check(core::slice::from_ref(one)));
        limits.map_err(StoreError::from)?;
        for change in changes {
            self.values.apply(change);
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<Handled, BackupError> {
        let about = BackupSegment::decode(self.body()).map_err(|fault| self.fault(fault))?;
        let Some(header) = self.header else { return Err(BackupError::Incomplete) };
        if about.base_sequence != self.next_sequence {
            let expected = format!("a segment from sequence {} on", self.next_sequence);
            return Err(self.wrong(8, expected, format!("one from {}", about.base_sequence)));
        }
        if self.segments == header.segment_count || about.end_sequence > header.end_sequence {
            let expected =
                format!("{} segments up to sequence {}", header.segment_count, header.end_sequence);
            return Err(self.wrong(16, expected, format!("one up to {}", about.end_sequence)));
        }
        let Some(target) = &self.target else { return Err(BackupError::Incomplete) };
        let id = FileId::segment(target.number_of(&about));
        if self.announce(id) {
            return Ok(Handled::Announced);
        }
        let file = self.storage.create(id)?;
        self.announced = None;
        let into = match &self.target {
            Some(target) if target.continues() => {
                let continued = Continued::new(id, file, about);
                Into::Continued(alloc::boxed::Box::new(continued))
            }
            _ => Into::Copy { id, file },
        };
        self.segment = Some(Incoming { about, received: 0, into });
        self.segments += 1;
        self.next_sequence = about.end_sequence;
        Ok(Handled::Done)
    }

    fn take_data(&mut self) -> Result<(), BackupError> {
        let (Some(header), Some(mut incoming)) = (self.header, self.segment.take()) else {
            return Err(BackupError::Incomplete);
        };
        let done = self.take_data_of(&header, &mut incoming);
        if !matches!(done, Ok(true)) {
            self.segment = Some(incoming);
        }
        done.map(|_| ())
    }

    /// Whether the segment is done.
    fn take_data_of(
        &mut self,
        header: &BackupHeader,
        incoming: &mut Incoming<S>,
    ) -> Result<bool, BackupError> {
        let body = self.stream.section().map_or(&[][..], |section| section.body);
        let len = body.len() as u64;
        let left = incoming.about.byte_len - incoming.received;
        if len > left || len == 0 {
            let expected = format!("up to {left} bytes more of the segment");
            return Err(self.wrong(0, expected, format!("{len}")));
        }
        let last = len == left;
        match &mut incoming.into {
            Into::Copy { id, file } => {
                if incoming.received == 0 {
                    self.check_header(header, *id, body)?;
                }
                file.write_all_at(body, incoming.received)?;
                if last {
                    file.sync_data()?;
                }
            }
            Into::Continued(continued) => {
                let Some(target) = &mut self.target else { return Err(BackupError::Incomplete) };
                continued.take(target, header, body, last)?;
            }
        }
        incoming.received += len;
        Ok(last)
    }

    fn check_header(
        &self,
        header: &BackupHeader,
        id: FileId,
        body: &[u8],
    ) -> Result<(), BackupError> {
        match SegmentHeader::decode(body) {
            Ok(found) if found.store_id == header.store_id && found.number == id.number => Ok(()),
            Ok(found) => {
                let expected = format!("segment {} of store {}", id.number, header.store_id);
                let found = format!("segment {} of store {}", found.number, found.store_id);
                Err(self.wrong(16, expected, found))
            }
            Err(HeaderFault::Fault(fault)) => Err(self.fault(fault)),
            Err(fault) => Err(StoreError::header(id, fault).into()),
        }
    }

    fn end(&mut self) -> Result<(), BackupError> {
        let Some(header) = self.header else { return Err(BackupError::Incomplete) };
        if self.segments != header.segment_count || self.next_sequence != header.end_sequence {
            let expected =
                format!("{} segments up to sequence {}", header.segment_count, header.end_sequence);
            let found = format!("{} up to {}", self.segments, self.next_sequence);
            return Err(self.wrong(0, expected, found));
        }
        let computed = self.stream.hash();
        let stored = read_array(self.body(), 0).map(Hash::from_bytes);
        if stored != Some(computed) || self.body().len() != 32 {
            let found = stored.map_or_else(|| "none".into(), |hash| hash.to_string());
            return Err(self.wrong(0, format!("the hash {computed} of all before"), found));
        }
        if self.stream.end() != header.stream_len {
            let expected = format!("the end at byte {}", header.stream_len);
            return Err(self.wrong(0, expected, format!("it at {}", self.stream.end())));
        }
        if let Some(target) = &self.target {
            self.storage.prepare(&[FileId::meta(target.first_meta)]);
        }
        self.phase = Phase::Complete;
        Ok(())
    }

    /// Opens what is there now, unpublished files among it, as opening the store will.
    fn open_unpublished(&self) -> Result<Reader<S>, BackupError> {
        let Some(header) = self.header else { return Err(BackupError::Incomplete) };
        let (listed, report) = (self.storage.list()?, Recovery::default());
        let recovered = recover_listed(
            &self.storage,
            Access::Read,
            listed,
            Hidden::NOTHING,
            report,
            KeyHasher::new,
        )?;
        let Recovered { view, end, report, .. } = recovered;
        if end != header.end_sequence || report.torn_tail.is_some() {
            let expected = format!("events up to sequence {}", header.end_sequence);
            return Err(self.wrong(0, expected, format!("whole ones up to {end}")));
        }
        let published = Published { view: Arc::new(view), end, durable_end: end };
        let cache_bytes = crate::log::LogConfig::default().index_cache_bytes;
        let shared = Arc::new(Shared::new(header.store_id, cache_bytes, published));
        Ok(Reader::new(&shared))
    }
}
