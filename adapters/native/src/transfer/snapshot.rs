//! A snapshot: a store of its own in another directory, made beside the writer.
//!
//! Sealed segments are shared with the store where the file system can, since they never change and
//! are not cut before they are removed; [`Export::place`] says which. The others are copied.

use super::{TransferError, TransferProgress, TransferStep, names, tell};
use crate::fs_storage::{FsOptions, FsStorage};
use crate::host::SystemHost;
use crate::store::{Store, fs_error};
use annals_core::{
    BackupError, Export, ExportOptions, ExportedSegment, FileId, FileKind, ReadOnlyLog, Sequence,
    Storage, Unpublished,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotSummary {
    /// The sequence behind its last event.
    pub end: Sequence,
    /// Its segments.
    pub segments: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes that were not copied, as they are shared with the store.
    pub shared_bytes: u64,
}

/// How often a snapshot beside another process's writer begins anew, when that one removed a file.
const TRIES_MAX: usize = 8;
const STEP_LEN: usize = 1024 * 1024;

impl Store<FsStorage> {
    /// Makes a snapshot of all that is committed in `dest`, a directory that is empty or missing,
    /// beside appends and readers: one consistent prefix, complete or absent. `progress` may
    /// stop it.
    ///
    /// It is a store like any other, with the same id. Sealed segments are cloned or linked where
    /// the file system can, so that most of it costs no space; so it protects against mistakes, and
    /// against a damaged disk only on another one. A payload that is erased later stays in it.
    ///
    /// # Errors
    ///
    /// [`TransferError::Occupied`], [`TransferError::OwnDirectory`], [`TransferError::Place`];
    /// corruption; storage errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{Coordinate, EventKind, Store, StoreConfig};
    /// use std::ops::ControlFlow;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, dest) = (dir.path().join("store"), dir.path().join("snapshot"));
    /// let store = Store::open(StoreConfig::new(path))?;
    /// store.append(&Coordinate::new("order:5", "shop")?, EventKind::new(1, 1), &"two apples")?;
    /// store.snapshot(&dest, |_| ControlFlow::Continue(()))?;
    ///
    /// let snapshot = Store::open(StoreConfig::new(dest))?;
    /// assert_eq!(snapshot.stream("order:5").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(
        &self,
        dest: impl AsRef<Path>,
        mut progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
    ) -> Result<SnapshotSummary, TransferError> {
        let source = self.data_dir()?;
        let dest = Destination::find(&source, dest.as_ref())?;
        let export = self.begin_export(&ExportOptions::default())?.begin()?;
        dest.fill(&source, &export, &mut progress)
    }
}

/// As [`Store::snapshot`], of a store that is open read-only, as its files are now: beside a writer
/// in another process too.
///
/// # Errors
///
/// As [`Store::snapshot`].
pub fn snapshot(
    log: &ReadOnlyLog<FsStorage>,
    dest: impl AsRef<Path>,
    mut progress: impl FnMut(TransferProgress) -> ControlFlow<()>,
) -> Result<SnapshotSummary, TransferError> {
    let source = log.storage().dir().to_path_buf();
    let dest = Destination::find(&source, dest.as_ref())?;
    let mut tries = 0;
    loop {
        tries += 1;
        let export = log.export(&ExportOptions::default())?;
        match dest.fill(&source, &export, &mut progress) {
            Err(TransferError::Place { source, .. })
                if source.kind() == io::ErrorKind::NotFound && tries < TRIES_MAX => {}
            done => return done,
        }
    }
}

/// Where a snapshot goes: a directory that is empty, or is not there yet.
struct Destination {
    dir: PathBuf,
}

impl Destination {
    fn find(source: &Path, dir: &Path) -> Result<Self, TransferError> {
        let failed =
            |path: &Path, source| TransferError::Place { path: path.to_path_buf(), source };
        let own = fs::canonicalize(source).map_err(|error| failed(source, error))?;
        let meant = resolve(dir).map_err(|error| failed(dir, error))?;
        if meant.starts_with(&own) {
            return Err(TransferError::OwnDirectory { dir: dir.to_path_buf() });
        }
        let names = names(dir)?;
        let import =
            |name: &String| FileId::parse(name).is_some_and(|id| id.kind == FileKind::Import);
        // The remains of a snapshot that did not come to its end are removed.
        let began = names.iter().any(import);
        let own = |name: &String| name == "LOCK" || (began && FileId::parse(name).is_some());
        match names.into_iter().find(|name| !own(name)) {
            Some(name) => Err(TransferError::Occupied { dir: dir.to_path_buf(), name }),
            None => Ok(Destination { dir: dir.to_path_buf() }),
        }
    }

    fn fill<S: Storage>(
        &self,
        source: &Path,
        export: &Export<S>,
        progress: &mut impl FnMut(TransferProgress) -> ControlFlow<()>,
    ) -> Result<SnapshotSummary, TransferError> {
        let storage = FsStorage::open(&self.dir, FsOptions::default()).map_err(fs_error)?;
        let storage = Arc::new(storage);
        let unpublished =
            Unpublished::begin(storage, export.store_id()).map_err(|error| self.occupied(error))?;
        let segments: Vec<ExportedSegment> = export.segments().collect();
        let bytes = segments.iter().map(|segment| segment.len).sum();
        let (mut bytes_done, mut shared_bytes) = (0, 0);
        tell(progress, TransferStep::Moving, 0, bytes)?;
        let host = SystemHost::new(None);
        export.place(unpublished, &host, |segment, may_share| -> Result<(), TransferError> {
            let name = segment.file.name();
            let (from, to) = (source.join(&name), self.dir.join(&name));
            let failed = |source| TransferError::Place { path: to.clone(), source };
            if may_share && share(&from, &to) {
                File::open(&to).and_then(|file| file.sync_all()).map_err(failed)?;
                shared_bytes += segment.len;
                bytes_done += segment.len;
                return tell(progress, TransferStep::Moving, bytes_done, bytes);
            }
            copy(&from, &to, segment.len, |step| {
                bytes_done += step;
                tell(progress, TransferStep::Moving, bytes_done, bytes)
            })
        })?;
        let end = export.header().end_sequence;
        Ok(SnapshotSummary { end, segments: segments.len() as u64, bytes, shared_bytes })
    }

    fn occupied(&self, error: BackupError) -> TransferError {
        match error {
            BackupError::NotEmpty { file } => {
                TransferError::Occupied { dir: self.dir.clone(), name: file.name() }
            }
            error => error.into(),
        }
    }
}

/// Whether `to` is now the same bytes as `from` without a copy of them.
fn share(from: &Path, to: &Path) -> bool {
    reflink_copy::reflink(from, to).is_ok() || fs::hard_link(from, to).is_ok()
}

/// Copies so many bytes, whole and synced.
fn copy(
    from: &Path,
    to: &Path,
    len: u64,
    mut step: impl FnMut(u64) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let failed = |source| TransferError::Place { path: to.to_path_buf(), source };
    let mut source = File::open(from).map_err(failed)?;
    let mut target = OpenOptions::new().write(true).create_new(true).open(to).map_err(failed)?;
    let mut chunk = vec![0; STEP_LEN];
    let mut left = len;
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(STEP_LEN).min(STEP_LEN);
        source.read_exact(&mut chunk[..take]).map_err(failed)?;
        target.write_all(&chunk[..take]).map_err(failed)?;
        left -= take as u64;
        step(take as u64)?;
    }
    target.sync_all().map_err(failed)
}

/// The path without links, also where its end is not there yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidInput.into()) };
    Ok(resolve(parent)?.join(name))
}
