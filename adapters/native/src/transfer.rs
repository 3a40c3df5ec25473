//! Backups as streams of the standard library, and snapshots in directories.
//!
//! The rules are the core's ([`Export`], [`Import`]). Here are readers and writers, progress, and
//! what a file system can do faster.

mod snapshot;

pub use snapshot::{SnapshotSummary, snapshot};

use crate::config::StoreConfig;
use crate::fs_storage::FsStorage;
use crate::host::SystemHost;
use crate::parallel::verify_parallel;
use crate::store::{Store, fs_error};
use annals_core::{
    BackupCheck, BackupError, BackupHeader, Export, ExportOptions, FileId, Import, ImportSummary,
    ReadOnlyLog, Sequence, Storage, StoreError, VerifyFault, VerifyOptions,
};
use std::fs;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How far a backup, an import or a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// What is being done.
    pub step: TransferStep,
    /// Bytes that are done.
    pub bytes_done: u64,
    /// Bytes in all; 0 as long as nobody knows.
    pub bytes: u64,
}

/// What is being done with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferStep {
    /// They are written, or read from a stream.
    Moving,
    /// What was written is verified.
    Verifying,
}

/// Why a backup, an import or a snapshot did not come about. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// What the backup or the store says.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The stream to read from failed.
    #[error("the backup can't be read")]
    Read(#[source] io::Error),
    /// The stream to write to failed.
    #[error("the backup can't be written")]
    Write(#[source] io::Error),
    /// The bytes are those that were exported, and contradict each other all the same.
    #[error(
        "the store in the backup is not whole: {} at byte {}: expected {}, found {}",
        .0.file, .0.offset, .0.expected, .0.found
    )]
    NotWhole(Box<VerifyFault>),
    /// There is something already where an empty directory is needed.
    #[error("{} holds {name} already, and an empty directory is needed", dir.display())]
    Occupied {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        name: String,
    },
    /// A snapshot was to go into the directory of its own store.
    #[error("{} lies in the store's own directory: choose another", dir.display())]
    OwnDirectory {
        /// Where it was to go.
        dir: PathBuf,
    },
    /// A file could not be placed.
    #[error("{} can't be made", path.display())]
    Place {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `progress` said so.
    #[error("it was stopped")]
    Stopped,
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        TransferError::Backup(error.into())
    }
}

/// How a backup is taken in. By default, everything is verified before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Whether a whole backup is verified as [`Store::verify`] does, besides its checksums: all
    /// hashes, chains and indexes. What continues a store is held against it always.
    pub verify: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions { verify: true }
    }
}

impl ImportOptions {
    /// Sets `verify`.
    #[must_use]
    pub const fn with_verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }
}

/// How much goes through memory in one go.
const CHUNK_LEN: usize = 1024 * 1024;

impl<S: Storage> Store<S> {
    /// Writes a backup of all that is committed to `out`, beside appends and readers: the whole
    /// store, or what was appended since an earlier one. `progress` may stop it.
    ///
    /// [`import`] takes it in, here or in a browser. The copy has the same id: let one of the two
    /// be written to, and the other follow by backups that continue it.
    ///
    /// # Errors
    ///
    /// [`TransferError::Write`]; corruption, since no backup is made of damage; storage errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{Coordinate, EventKind, ExportOptions, ImportOptions, Store, StoreConfig, import};
    /// use std::ops::ControlFlow;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, copy) = (dir.path().join("store"), StoreConfig::new(dir.path().join("copy")));
    /// let store = Store::open(StoreConfig::new(path))?;
    /// let order = Coordinate::new("order:5", "shop")?;
    /// store.append(&order, EventKind::new(1, 1), &"two apples")?;
    /// let mut backup = Vec::new();
    /// let go_on = |_| ControlFlow::Continue(());
    /// let first = store.export(&mut backup, &ExportOptions::default(), go_on)?;
    /// import(&mut &backup[..], &copy, &ImportOptions::default(), go_on)?;
    ///
    /// store.append(&order, EventKind::new(1, 2), &"paid")?;
    /// let rest = ExportOptions::default().with_from(first.end_sequence);
    /// let mut backup = Vec::new();
    /// store.export(&mut backup, &rest, go_on)?;
    /// import(&mut &backup[..], &copy, &ImportOptions::default(), go_on)?;
    /// assert_eq!(Store::open(copy)?.stream("order:5").count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(
        &self,
        out: &mut impl Write,
        options: &ExportOptions,
        progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
    ) -> Result<BackupHeader, TransferError> {
        write_all(self.begin_export(options)?.begin()?, out, progress)
    }
}

/// Writes a backup of a store that is open read-only, as its files are now: beside a writer in
/// another process too. As [`Store::export`].
///
/// # Errors
///
/// As [`Store::export`].
pub fn export<S: Storage>(
    log: &ReadOnlyLog<S>,
    out: &mut impl Write,
    options: &ExportOptions,
    progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
) -> Result<BackupHeader, TransferError> {
    write_all(log.export(options)?, out, progress)
}

fn write_all<S: Storage>(
    mut export: Export<S>,
    out: &mut impl Write,
    mut progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
) -> Result<BackupHeader, TransferError> {
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        let len = export.next_chunk(&mut chunk)?;
        if len == 0 {
            out.flush().map_err(TransferError::Write)?;
            return Ok(*export.header());
        }
        out.write_all(&chunk[..len]).map_err(TransferError::Write)?;
        tell(&mut progress, TransferStep::Moving, export.position(), export.len())?;
    }
}

fn tell(
    progress: &mut impl FnMut(TransferProgress) -> ControlFlow<()>,
    step: TransferStep,
    bytes_done: u64,
    bytes: u64,
) -> Result<(), TransferError> {
    match progress(TransferProgress { step, bytes_done, bytes }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TransferError::Stopped),
    }
}

/// Takes in a backup: a whole one into an empty directory, which is made if it is missing, or one
/// that continues the store that `config.data_dir` holds. All of it counts at once, when
/// everything is proven and on stable storage, and nothing before; `progress` may stop it.
///
/// Nobody else may have the store open for writing.
///
/// # Errors
///
/// [`BackupError`] says what is wrong with the backup or with where it was to go;
/// [`TransferError::NotWhole`], [`TransferError::Occupied`], [`TransferError::Read`].
pub fn import(
    input: &mut impl Read,
    config: &StoreConfig,
    options: &ImportOptions,
    mut progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
) -> Result<ImportSummary, TransferError> {
    let stranger = strangers(&config.data_dir)?.into_iter().next();
    let storage = FsStorage::open(&config.data_dir, config.of_files()).map_err(fs_error)?;
    let mut import = Import::new(storage, SystemHost::new(config.clock.clone()));
    each_chunk(input, |mut chunk| {
        while !chunk.is_empty() {
            let taken = import.feed(chunk)?;
            chunk = &chunk[taken..];
        }
        let whole = import.header().map(|header| header.first_sequence == Sequence::ZERO);
        if let (Some(true), Some(name)) = (whole, &stranger) {
            let (dir, name) = (config.data_dir.clone(), name.clone());
            return Err(TransferError::Occupied { dir, name });
        }
        let bytes = import.header().map_or(0, |header| header.stream_len);
        tell(&mut progress, TransferStep::Moving, import.position(), bytes)
    })?;
    let reader = import.reader()?;
    let whole = import.header().is_some_and(|header| header.first_sequence == Sequence::ZERO);
    if whole && options.verify {
        let mut stopped = false;
        let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let report = verify_parallel(&reader, &VerifyOptions::default(), jobs, |now| {
            let told = progress(TransferProgress {
                step: TransferStep::Verifying,
                bytes_done: now.bytes_done,
                bytes: now.bytes,
            });
            stopped |= told.is_break();
            told
        });
        if let Some(fault) = report.faults.into_iter().next() {
            return Err(TransferError::NotWhole(Box::new(fault)));
        }
        if stopped || !report.complete {
            return Err(TransferError::Stopped);
        }
    }
    drop(reader);
    Ok(import.publish()?)
}

/// Proves a backup whole by its checksums and its hash, and takes nothing in.
///
/// # Errors
///
/// [`BackupError::Damaged`] with the place; [`TransferError::Read`].
pub fn check_backup(
    input: &mut impl Read,
    mut progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
) -> Result<BackupHeader, TransferError> {
    let mut check = BackupCheck::new();
    let mut bytes_done = 0;
    each_chunk(input, |chunk| {
        check.feed(chunk)?;
        bytes_done += chunk.len() as u64;
        let bytes = check.header().map_or(0, |header| header.stream_len);
        tell(&mut progress, TransferStep::Moving, bytes_done, bytes)
    })?;
    Ok(check.finish()?)
}

fn each_chunk(
    input: &mut impl Read,
    mut act: impl FnMut(&[u8]) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(len) => act(&chunk[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TransferError::Read(error)),
        }
    }
}

/// What a directory holds that is no store's.
fn strangers(dir: &Path) -> Result<Vec<String>, TransferError> {
    let names = names(dir)?;
    Ok(names.into_iter().filter(|name| name != "LOCK" && FileId::parse(name).is_none()).collect())
}

/// All names in a directory; none where it is missing.
fn names(dir: &Path) -> Result<Vec<String>, TransferError> {
    let failed = |source| TransferError::Place { path: dir.to_path_buf(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect::<Result<_, _>>().map_err(failed)
}
