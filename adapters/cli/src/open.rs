//! Opening a store that is there, for reading or for appending.
//!
//! A directory that holds something else is never taken for a store, and never made one.

use crate::failure::Failure;
use crate::output::note;
use annals::{
    FileId, FsOpenError, FsOptions, FsStorage, Host, Log, LogConfig, ReadOnlyLog, Store,
    StoreConfig, StoreError,
};
use std::fs;
use std::io;
use std::path::Path;

/// Opens a store for reading, beside a writer if there is one.
pub(crate) fn for_reading(dir: &Path) -> Result<ReadOnlyLog<FsStorage>, Failure> {
    look_and_open(dir)?.map_err(|error| of_store(dir, error))
}

/// As [`for_reading`], for those who have their own word on why a store can't be opened.
pub(crate) fn look_and_open(
    dir: &Path,
) -> Result<Result<ReadOnlyLog<FsStorage>, StoreError>, Failure> {
    let none = match look(dir)? {
        Found::Store => None,
        Found::Nothing => Some(format!("there is no directory {}", dir.display())),
        Found::EmptyDirectory | Found::OtherFiles => {
            Some(format!("there is no Annals store in {}", dir.display()))
        }
    };
    if let Some(message) = none {
        return Err(Failure::usage(message)
            .hint("check --store; `annals append` and `annals import` begin a store"));
    }
    Ok(Store::open_read_only(StoreConfig::new(dir)))
}

/// Opens a store for appending, or begins one in a directory that is new or empty.
pub(crate) fn for_appending<H: Host>(dir: &Path, host: H) -> Result<Log<FsStorage, H>, Failure> {
    check_no_other_files(dir)?;
    let storage = FsStorage::open(dir, FsOptions::default()).map_err(|error| match error {
        FsOpenError::Locked { dir } => {
            Failure::from(StoreError::Locked { store: dir.display().to_string() })
        }
        error => Failure::unreadable(dir.display(), &error),
    })?;
    let log = Log::open(storage, host, LogConfig::default());
    let log = log.map_err(|error| of_store(dir, error))?;
    for corruption in &log.recovery().meta_damage {
        note(format_args!("{corruption}; names of kinds that stood there are lost"));
    }
    Ok(log)
}

/// Opens a store with all that a program has, or begins one in a directory that is new or empty.
pub(crate) fn for_writing(dir: &Path) -> Result<Store, Failure> {
    check_no_other_files(dir)?;
    for_keeping(dir)
}

/// Opens a store that is there, to be rewritten in place.
pub(crate) fn for_keeping(dir: &Path) -> Result<Store, Failure> {
    Store::open(StoreConfig::new(dir)).map_err(|error| of_store(dir, error))
}

/// The files of a store, which may be damaged, and those of a new one in a directory that is new or
/// empty.
pub(crate) fn for_salvage(dir: &Path, target: &Path) -> Result<(FsStorage, FsStorage), Failure> {
    if !matches!(look(dir)?, Found::Store) {
        let message = format!("there is no Annals store in {}", dir.display());
        return Err(Failure::usage(message).hint("check --store"));
    }
    if !matches!(look(target)?, Found::Nothing | Found::EmptyDirectory) {
        let message = format!("{} is not empty", target.display());
        return Err(Failure::usage(message).hint("name a directory that is new or empty"));
    }
    let unwritable = |error: FsOpenError| {
        Failure::usage(Failure::causes(&error)).hint("check who may write there")
    };
    let source = FsStorage::open_read_only(dir, FsOptions::default());
    let made = FsStorage::open(target, FsOptions::default());
    Ok((
        source.map_err(|error| Failure::unreadable(dir.display(), &error))?,
        made.map_err(unwritable)?,
    ))
}

/// Whether a whole backup could go into a directory.
pub(crate) fn check_empty(dir: &Path) -> Result<(), Failure> {
    let occupied = match look(dir)? {
        Found::Nothing | Found::EmptyDirectory => false,
        Found::OtherFiles => true,
        // A writer that wrote nothing leaves its lock file.
        Found::Store => for_reading(dir)?.reader().end().get() > 0,
    };
    match occupied {
        false => Ok(()),
        true => {
            let message = format!("{} is not empty", dir.display());
            Err(Failure::usage(message).hint("name a directory that is new or empty"))
        }
    }
}

/// A failure of the store with what to do next about this directory.
pub(crate) fn of_store(dir: &Path, error: StoreError) -> Failure {
    let is_damage = matches!(error, StoreError::Corruption(_));
    let is_storage = matches!(error, StoreError::Storage(_));
    let failure = Failure::from(error);
    let dir = dir.display();
    if !is_damage {
        return if is_storage { failure.during(dir) } else { failure };
    }
    failure.hint(format!(
        "`annals verify --store {dir}` lists all damage; restore a backup, \
         or keep what is whole with `annals repair --salvage DEST`"
    ))
}

fn check_no_other_files(dir: &Path) -> Result<(), Failure> {
    if look(dir)? == Found::OtherFiles {
        let message = format!("{} holds other files and no Annals store", dir.display());
        return Err(Failure::usage(message).hint("name a directory that is new or empty"));
    }
    Ok(())
}

/// What a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    EmptyDirectory,
    OtherFiles,
    /// Also one without an event.
    Store,
}

/// The lock file, which a writer leaves behind.
const LOCK_NAME: &str = "LOCK";

fn look(dir: &Path) -> Result<Found, Failure> {
    let unreadable = |error: io::Error| Failure::unreadable(dir.display(), &error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Found::EmptyDirectory;
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_str().unwrap_or_default();
        if name == LOCK_NAME || FileId::parse(name).is_some() {
            return Ok(Found::Store);
        }
        found = Found::OtherFiles;
    }
    Ok(found)
}
