//! Backups: a store as one stream of bytes, made beside its writer, in pieces of any length.
//!
//! An [`Export`] is one prefix of the log, for as long as it is held. It gives the segments' bytes
//! as they are, the active one's up to the captured end, with the names of kinds and, unless told
//! not to, the checkpoints of consumers. It checks what it reads, so no backup is made of damage.
//! [`Import`](crate::Import) takes it in.

mod plan;
mod watch;

use crate::format::backup::{
    BackupHeader, SECTION_BODY_LEN_MAX, SECTION_HEADER_LEN, SectionKind, begin_section,
    finish_section, section_len, values,
};
use crate::format::segment::StoreId;
use crate::log::{
    BackupError, Corruption, Host, Log, ReadOnlyLog, Reader, StoreError, Travelling, Unpublished,
};
use crate::model::Sequence;
use crate::storage::{FileId, Storage, StorageFile};
use alloc::vec::Vec;
use plan::{Piece, Plan};
use watch::SegmentWatch;

/// What a backup is made of. By default, all of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The first sequence: 0 for a whole backup, else the end of the store that is to go on with
    /// this one.
    ///
    /// What continues brings the events that were appended. Erasures and retention among those
    /// before travel with a whole backup only.
    pub from: Sequence,
    /// Whether checkpoints of consumers go with it, as they should where the copy takes the place
    /// of the store: by default. Where it is to have consumers of its own, leave them out.
    pub consumers: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        ExportOptions { from: Sequence::ZERO, consumers: true }
    }
}

impl ExportOptions {
    /// Sets `from`.
    #[must_use]
    pub const fn with_from(mut self, from: Sequence) -> Self {
        self.from = from;
        self
    }

    /// Sets `consumers`.
    #[must_use]
    pub const fn with_consumers(mut self, consumers: bool) -> Self {
        self.consumers = consumers;
        self
    }
}

/// A backup on its way out. See the module.
///
/// It holds one section at a time, of a MiB at most, and where it begins within a segment the one
/// batch around that place.
pub struct Export<S: Storage> {
    reader: Reader<S>,
    plan: Plan,
    header: BackupHeader,
    /// The section that is being given away, and how much of it was.
    section: Vec<u8>,
    given: usize,
    number: u64,
    position: u64,
    next: Next,
    hasher: blake3::Hasher,
}

/// Which section comes next.
enum Next {
    Begin,
    Values(usize),
    Segment(usize),
    /// Of the segment's piece, from this byte of the piece on.
    Data {
        segment: usize,
        given: u64,
        watch: SegmentWatch,
    },
    End,
    Done,
}

impl<S: Storage> core::fmt::Debug for Export<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Export")
            .field("header", &self.header)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// All that an export is to be of.
pub struct ExportStart<S: Storage> {
    reader: Reader<S>,
    values: Travelling,
    options: ExportOptions,
}

impl<S: Storage> core::fmt::Debug for ExportStart<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let ExportStart { reader, options, .. } = self;
        f.debug_struct("ExportStart")
            .field("end", &reader.end())
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl<S: Storage> ExportStart<S> {
    /// Begins the export.
    ///
    /// # Errors
    ///
    /// As [`Log::export`].
    pub fn begin(self) -> Result<Export<S>, BackupError> {
        Export::new(self.reader, &self.values, &self.options)
    }
}

/// A file of a store that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedSegment {
    /// The file.
    pub file: FileId,
    /// Bytes of it that belong to the export, from its start.
    pub len: u64,
    /// Whether it is sealed, so that it changes no more.
    pub sealed: bool,
}

impl<S: Storage> Export<S> {
    /// `values` are entries of the meta log.
    pub(crate) fn new(
        reader: Reader<S>,
        values: &[(Vec<u8>, Vec<u8>)],
        options: &ExportOptions,
    ) -> Result<Self, BackupError> {
        let plan = Plan::new(&reader, values, options)?;
        let header = plan.header;
        Ok(Export {
            reader,
            plan,
            header,
            section: Vec::new(),
            given: 0,
            number: 0,
            position: 0,
            next: Next::Begin,
            hasher: blake3::Hasher::new(),
        })
    }

    /// What the backup is of.
    #[must_use]
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.header.store_id
    }

    /// Bytes of the whole backup.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.stream_len
    }

    /// Whether it has no bytes: never, since also an empty store has a beginning and an end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes that were given away.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Fills `chunk` from its start and says how many bytes it got: 0 at the end, or where it has
    /// no room.
    ///
    /// # Errors
    ///
    /// Corruption of what is read; storage errors, after which the same call may be made again.
    pub fn next_chunk(&mut self, chunk: &mut [u8]) -> Result<usize, BackupError> {
        let mut filled = 0;
        while filled < chunk.len() {
            if self.given == self.section.len() {
                // What was filled is given first: an error then loses nothing.
                if filled > 0 || !self.next_section()? {
                    break;
                }
            }
            let left = &self.section[self.given..];
            let len = left.len().min(chunk.len() - filled);
            chunk[filled..filled + len].copy_from_slice(&left[..len]);
            filled += len;
            self.given += len;
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// A reader of the events that the backup is of, and of those before.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        self.reader.clone()
    }

    /// The files of a whole backup, in the order of their events, for hosts that copy files instead.
    pub fn segments(&self) -> impl Iterator<Item = ExportedSegment> {
        self.plan.pieces.iter().map(|piece| ExportedSegment {
            file: FileId::segment(piece.about.number),
            len: piece.end,
            sealed: piece.about.sealed,
        })
    }

    /// The names of kinds and checkpoints that go with it, for the same hosts: what
    /// [`Unpublished::write_values`](crate::Unpublished::write_values) takes.
    pub fn values(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let bodies = self.plan.values.iter();
        let entries = bodies.flat_map(|body| values(body).unwrap_or_default());
        entries.filter_map(|entry| Some((entry.key, entry.value?)))
    }

    /// Makes a store of a whole backup, for hosts that place files faster than through an
    /// [`Import`](crate::Import): `place` puts each segment's file there, whole and synced, and is told
    /// whether it may share the file with this store. Then come the values, a look at whether all
    /// events are there, and all of it counts at once.
    ///
    /// A sealed segment never changes, so it may be shared. But one that has none behind it may be
    /// taken for an active one, if its footer is damaged one day, and be written to: that one may not.
    ///
    /// # Errors
    ///
    /// What `place` says; corruption, also where events are missing; storage errors. Nothing
    /// counts then, but see [`BackupError::Unsure`].
    pub fn place<T: Storage, H: Host, E: From<BackupError>>(
        &self,
        mut to: Unpublished<T>,
        host: &H,
        mut place: impl FnMut(&ExportedSegment, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut segments = self.segments().peekable();
        while let Some(segment) = segments.next() {
            let may_share = segment.sealed && segments.peek().is_some();
            place(&segment, may_share)?;
        }
        to.write_values(self.values(), host)?;
        drop(to.reader(self.header.end_sequence)?);
        to.publish().map_err(E::from)
    }

    /// The next section in `section`; `false` behind the last.
    fn next_section(&mut self) -> Result<bool, BackupError> {
        let mut section = core::mem::take(&mut self.section);
        section.clear();
        self.given = 0;
        let kind = match self.next {
            Next::Begin => SectionKind::Begin,
            Next::Values(_) => SectionKind::Values,
            Next::Segment(_) => SectionKind::Segment,
            Next::Data { .. } => SectionKind::Data,
            Next::End => SectionKind::End,
            Next::Done => return Ok(false),
        };
        begin_section(&mut section, self.number, kind);
        self.fill(&mut section)?;
        finish_section(&mut section);
        self.hasher.update(&section);
        self.number += 1;
        self.section = section;
        Ok(true)
    }

    /// Appends the body of the section that comes next, and goes on to the one behind it.
    fn fill(&mut self, section: &mut Vec<u8>) -> Result<(), BackupError> {
        let after = match &mut self.next {
            Next::Begin => {
                section.extend_from_slice(&self.header.encode());
                Next::Values(0)
            }
            Next::Values(at) => {
                section.extend_from_slice(&self.plan.values[*at]);
                Next::Values(*at + 1)
            }
            Next::Segment(at) => {
                let piece = &self.plan.pieces[*at];
                section.extend_from_slice(&piece.about.encode());
                let watch = piece.watch(&self.reader);
                Next::Data { segment: *at, given: 0, watch }
            }
            Next::Data { segment, given, watch } => {
                let piece = &self.plan.pieces[*segment];
                let len = read_piece(&self.reader, piece, *given, section)?;
                let from_file = section.len() - len;
                watch.see(&section[from_file..]).map_err(|fault| {
                    let id = FileId::segment(piece.about.number);
                    StoreError::from(Corruption::at(id, 0, fault))
                })?;
                *given += (section.len() - SECTION_HEADER_LEN) as u64;
                if *given < piece.about.byte_len {
                    return Ok(());
                }
                Next::Segment(*segment + 1)
            }
            Next::End => {
                section.extend_from_slice(self.hasher.finalize().as_bytes());
                Next::Done
            }
            Next::Done => return Ok(()),
        };
        self.next = match after {
            Next::Values(at) if at == self.plan.values.len() => Next::Segment(0),
            after => after,
        };
        if let Next::Segment(at) = self.next
            && at == self.plan.pieces.len()
        {
            self.next = Next::End;
        }
        Ok(())
    }
}

/// Appends the next bytes of a segment, as many as one section takes, and says how many of them,
/// the last ones, come from its file.
fn read_piece<S: Storage>(
    reader: &Reader<S>,
    piece: &Piece,
    given: u64,
    section: &mut Vec<u8>,
) -> Result<usize, BackupError> {
    let left = usize::try_from(piece.about.byte_len - given).unwrap_or(usize::MAX);
    let len = left.min(SECTION_BODY_LEN_MAX);
    let made = usize::try_from(given).ok().and_then(|given| piece.made.get(given..));
    let made = made.unwrap_or_default();
    let made = &made[..made.len().min(len)];
    section.extend_from_slice(made);
    let from_file = len - made.len();
    if from_file > 0 {
        let Some(segment) = reader.view.at(piece.place) else {
            unreachable!("the reader keeps its segments")
        };
        let start = section.len();
        section.resize(start + from_file, 0);
        let behind = given.saturating_sub(piece.made.len() as u64);
        segment.file().read_exact_at(&mut section[start..], piece.start + behind)?;
    }
    Ok(from_file)
}

/// Bytes of the sections that a body of so many bytes takes, each but the last full.
pub(crate) fn data_len(byte_len: u64) -> u64 {
    let full = byte_len / SECTION_BODY_LEN_MAX as u64;
    let rest = usize::try_from(byte_len % SECTION_BODY_LEN_MAX as u64).unwrap_or(0);
    let last = if rest > 0 { section_len(rest) as u64 } else { 0 };
    full * section_len(SECTION_BODY_LEN_MAX) as u64 + last
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Begins a backup of all that is committed, to be made beside further appends.
    ///
    /// # Errors
    ///
    /// [`BackupError::BehindEnd`], [`BackupError::PrunedBorder`]; corruption; storage errors.
    ///
    /// # Examples
    ///
    /// See [`Import`](crate::Import).
    pub fn export(&self, options: &ExportOptions) -> Result<Export<S>, BackupError> {
        self.begin_export(options).begin()
    }

    /// What [`export`](Log::export) takes of the log, at once and without a look at its files:
    /// for hosts that let the writer go before they begin.
    #[must_use]
    pub fn begin_export(&self, options: &ExportOptions) -> ExportStart<S> {
        let values = self.travelling_values(options.consumers);
        ExportStart { reader: self.reader(), values, options: *options }
    }
}

impl<S: Storage> ReadOnlyLog<S> {
    /// Looks at the files again and begins a backup of what is in them, beside a writer.
    ///
    /// # Errors
    ///
    /// As [`Log::export`].
    pub fn export(&self, options: &ExportOptions) -> Result<Export<S>, BackupError> {
        let (reader, values) = self.look_for_export(options.consumers)?;
        Export::new(reader, &values, options)
    }
}
