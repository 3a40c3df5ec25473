//! A wrapper around any storage that fails calls as a test asks for, and counts them.
//!
//! It needs no threads, so the faults are the same in a browser. What survives a power cut is
//! beyond it: see `sim_disk`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::{FileId, Storage, StorageError, StorageErrorKind, StorageFile};

/// The calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `create`.
    Create,
    /// `remove`.
    Remove,
    /// `sync_dir`.
    SyncDir,
    /// `set_len`.
    SetLen,
    /// `read_exact_at`.
    Read,
    /// `write_all_at`.
    Write,
    /// `sync_data`.
    Sync,
}

/// The faults of a [`Faulty`] storage; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    plans: BTreeMap<Call, Plan>,
    counts: BTreeMap<Call, u64>,
    bytes_read: u64,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: StorageErrorKind,
    /// How many calls succeed before.
    passing: u64,
    /// How many calls fail then.
    failing: u64,
    /// How many bytes of a failing write are written all the same.
    kept_len: usize,
}

impl Faults {
    /// Has the next call fail.
    pub fn fail_next(&self, call: Call) {
        self.plan(call, 0, 1, 0);
    }

    /// Has the call after the next `passing` ones fail.
    pub fn fail_after(&self, call: Call, passing: u64) {
        self.plan(call, passing, 1, 0);
    }

    /// Has every call fail until [`clear`](Self::clear).
    pub fn fail_all(&self, call: Call) {
        self.plan(call, 0, u64::MAX, 0);
    }

    /// Has the next write fail after it has written so many bytes, or all it has.
    pub fn fail_next_write_after(&self, kept_len: usize) {
        self.plan(Call::Write, 0, 1, kept_len);
    }

    /// Lets everything succeed again.
    pub fn clear(&self) {
        self.with(|state| state.plans.clear());
    }

    /// How often a call was made, failed ones included.
    #[must_use]
    pub fn count(&self, call: Call) -> u64 {
        self.with(|state| state.counts.get(&call).copied().unwrap_or_default())
    }

    /// Bytes that were read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.with(|state| state.bytes_read)
    }

    fn plan(&self, call: Call, passing: u64, failing: u64, kept_len: usize) {
        let kind = match call {
            Call::Create | Call::Write | Call::SetLen => StorageErrorKind::NoSpace,
            _ => StorageErrorKind::Other,
        };
        self.with(|state| state.plans.insert(call, Plan { kind, passing, failing, kept_len }));
    }

    /// Counts a call; `Err` says how it fails and how much a write does nevertheless.
    fn make(&self, call: Call, name: &'static str) -> Result<(), (StorageError, usize)> {
        self.with(|state| {
            *state.counts.entry(call).or_default() += 1;
            let Some(plan) = state.plans.get_mut(&call) else { return Ok(()) };
            if plan.passing > 0 {
                plan.passing -= 1;
                return Ok(());
            }
            if plan.failing == 0 {
                return Ok(());
            }
            plan.failing -= 1;
            let error = StorageError::new(plan.kind, name).with_detail("a fault of the test");
            Err((error, plan.kept_len))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A storage whose calls fail as its [`Faults`] say.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    /// Wraps a storage.
    pub fn new(inner: S, faults: &Faults) -> Self {
        Faulty { inner, faults: faults.clone() }
    }

    fn check(&self, call: Call, name: &'static str) -> Result<(), StorageError> {
        self.faults.make(call, name).map_err(|(error, _)| error)
    }
}

impl<S: Storage> Storage for Faulty<S> {
    type File = FaultyFile<S::File>;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.inner.list()
    }

    fn create(&self, id: FileId) -> Result<Self::File, StorageError> {
        self.check(Call::Create, "create")?;
        Ok(FaultyFile { inner: self.inner.create(id)?, faults: self.faults.clone() })
    }

    fn open(&self, id: FileId) -> Result<Self::File, StorageError> {
        Ok(FaultyFile { inner: self.inner.open(id)?, faults: self.faults.clone() })
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.check(Call::Remove, "remove")?;
        self.inner.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.check(Call::SyncDir, "sync_dir")?;
        self.inner.sync_dir()
    }

    fn prepare(&self, upcoming: &[FileId]) {
        self.inner.prepare(upcoming);
    }
}

/// A file of a [`Faulty`] storage.
#[derive(Debug)]
pub struct FaultyFile<F> {
    inner: F,
    faults: Faults,
}

impl<F> FaultyFile<F> {
    fn check(&self, call: Call, name: &'static str) -> Result<(), StorageError> {
        self.faults.make(call, name).map_err(|(error, _)| error)
    }
}

impl<F: StorageFile> StorageFile for FaultyFile<F> {
    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.check(Call::SetLen, "set_len")?;
        self.inner.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.check(Call::Read, "read_exact_at")?;
        self.faults.with(|state| state.bytes_read += buf.len() as u64);
        self.inner.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        if let Err((error, kept_len)) = self.faults.make(Call::Write, "write_all_at") {
            self.inner.write_all_at(&buf[..kept_len.min(buf.len())], offset)?;
            return Err(error);
        }
        self.inner.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.check(Call::Sync, "sync_data")?;
        self.inner.sync_data()
    }
}
