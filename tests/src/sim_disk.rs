//! A disk that fails in every way the storage contract allows, as a seed decides.
//!
//! [`SimDisk`] keeps what the process sees (a page cache) and what would survive a power cut
//! (the stable bytes and names) apart. [`power_cut`](SimDisk::power_cut) keeps any subset of
//! what is unsynced, torn anywhere; [`fail_at`](SimDisk::fail_at) and
//! [`set_fault_rates`](SimDisk::set_fault_rates) inject faults; [`fork`](SimDisk::fork) and
//! [`record_checkpoints`](SimDisk::record_checkpoints) make it cheap to cut at each
//! operation. The same calls with the same seeds give the same disk. A run that panics
//! prints its seeds.

mod fault;
mod inode;
mod pages;
mod power_cut;
mod random;
mod state;
mod trace;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use annals_core::{FileId, Storage, StorageError, StorageErrorKind, StorageFile};

use self::{fault::Injected, state::State};
pub use self::{
    fault::{Fault, FaultRates},
    random::{Random, for_each_seed},
    trace::{Operation, OperationKind, Outcome},
};

/// A simulated disk; clones are handles to the same disk, [`fork`](Self::fork) copies it.
///
/// ```
/// use annals_core::{FileId, Storage, StorageFile};
/// use annals_tests::sim_disk::SimDisk;
///
/// let disk = SimDisk::new(1);
/// let file = disk.create(FileId::segment(1))?;
/// disk.sync_dir()?;
/// file.write_all_at(b"synced", 0)?;
/// file.sync_data()?;
/// file.write_all_at(b"perhaps", 6)?;
///
/// disk.power_cut(7);
/// assert!(file.len().is_err(), "handles do not survive a power cut");
/// let mut read = [0; 6];
/// disk.open(FileId::segment(1))?.read_exact_at(&mut read, 0)?;
/// assert_eq!(&read, b"synced");
/// # Ok::<(), annals_core::StorageError>(())
/// ```
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

/// A copy of the disk as it was right after an operation.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The operation, as its place in the trace.
    pub operation: Operation,
    /// The disk, with everything unsynced still unsynced: cut its power with as many seeds
    /// as you like, each on a [`fork`](SimDisk::fork).
    pub disk: SimDisk,
}

impl SimDisk {
    /// An empty disk. The seed decides what its faults do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::from_state(State::new(seed), false)
    }

    /// A copy that shares nothing with this disk; handles stay with the original. Costs as
    /// much as there are files and pages, not bytes.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::from_state(self.state().fork(), true)
    }

    /// Cuts the power and turns it on again: of everything unsynced any subset survives,
    /// torn as the seed decides, and every handle opened before is dead.
    pub fn power_cut(&self, seed: u64) {
        self.state().power_cut(seed);
    }

    /// Ends the process without a power cut, as `kill -9` does: handles are dead, but the
    /// kernel keeps all that was written. It also forgets failed syncs, as a kernel does:
    /// what a failed sync dropped can be read, is called clean, and will never be written.
    pub fn restart_process(&self) {
        self.state().restart_process();
    }

    /// Has the kernel read again from the disk whatever it considers clean. Only after a
    /// failed sync does this change what is read.
    pub fn drop_caches(&self) {
        self.state().drop_caches();
    }

    /// Has the operation with this number (counted from 0, see
    /// [`operation_count`](Self::operation_count)) fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.plan(operation, fault);
    }

    /// Has operations fail at random, as the disk's seed decides.
    pub fn set_fault_rates(&self, rates: FaultRates) {
        self.state().faults.set_rates(rates);
    }

    /// Drops every planned and random fault and the space limit. What has failed stays so.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.space_max = None;
    }

    /// Limits the sum of all files' lengths, in bytes. Growth beyond it is `NoSpace`, after
    /// as much of the write as fits; overwriting goes on.
    pub fn set_space_max(&self, bytes: Option<u64>) {
        self.state().space_max = bytes;
    }

    /// Flips the bits of `mask` in one stable byte, as read from now on.
    ///
    /// # Panics
    ///
    /// If the byte does not exist or the mask is 0.
    pub fn rot(&self, id: FileId, offset: u64, mask: u8) {
        self.state().rot(id, offset, mask);
    }

    /// Flips one bit somewhere in a file and says where; `None` if it is empty or missing.
    pub fn rot_anywhere(&self, id: FileId, seed: u64) -> Option<(u64, u8)> {
        self.state().rot_anywhere(id, seed)
    }

    /// The number of the next operation: every call of the storage traits counts as one.
    #[must_use]
    pub fn operation_count(&self) -> u64 {
        self.state().operation_count
    }

    /// What was done so far, oldest first. A fork starts with an empty trace and goes on
    /// counting.
    #[must_use]
    pub fn trace(&self) -> Vec<Operation> {
        self.state().trace.clone()
    }

    /// Keeps a copy of the disk after each operation that changes what a power cut may
    /// leave, from now on.
    pub fn record_checkpoints(&self) {
        self.state().checkpoints.get_or_insert_default();
    }

    /// The copies recorded since the last call, oldest first; recording goes on.
    #[must_use]
    pub fn take_checkpoints(&self) -> Vec<Checkpoint> {
        self.state().checkpoints.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How often a sync was called again after it had failed: always 0 for a correct log.
    #[must_use]
    pub fn retried_sync_count(&self) -> u64 {
        self.state().retried_sync_count
    }

    /// The bytes of a file as the process sees them, without counting as an operation.
    #[must_use]
    pub fn peek(&self, id: FileId) -> Option<Vec<u8>> {
        self.state().peek(id)
    }

    /// The files as the process sees them, without counting as an operation.
    #[must_use]
    pub fn peek_list(&self) -> Vec<FileId> {
        self.state().names.keys().copied().collect()
    }

    fn from_state(state: State, is_fork: bool) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), is_fork }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, fails or does an operation, and writes it into the trace.
    fn operate<T>(
        &self,
        mut operation: Operation,
        act: impl FnOnce(&mut State, Option<Injected>) -> Result<T, StorageErrorKind>,
    ) -> Result<T, StorageError> {
        let mut state = self.state();
        operation.number = state.operation_count;
        state.operation_count += 1;
        let mut injected = state.inject(&operation);
        if injected == Some(Injected::Slow) {
            drop(state);
            self.wait_to_be_overtaken(operation.number);
            state = self.state();
            injected = None;
        }
        if injected == Some(Injected::Panic) {
            operation.outcome = Outcome::Panicked;
            state.trace.push(operation);
            drop(state);
            panic!("simulated panic in operation {}: {operation}", operation.number);
        }
        let outcome = match state.powered {
            true => act(&mut state, injected),
            false => Err(StorageErrorKind::Other),
        };
        operation.outcome = match (&outcome, injected) {
            (Ok(_), _) => Outcome::Done,
            (Err(kind), None) => Outcome::Refused(*kind),
            (Err(kind), Some(_)) => Outcome::Faulty(*kind),
        };
        state.trace.push(operation);
        if state.checkpoints.is_some() && operation.kind.changes_disk() {
            let disk = Self::from_state(state.fork(), true);
            if let Some(checkpoints) = &mut state.checkpoints {
                checkpoints.push(Checkpoint { operation, disk });
            }
        }
        let powered = state.powered;
        drop(state);
        outcome.map_err(|kind| operation.error(kind, powered))
    }
}

/// How often a slow operation lets others go first, if there are any.
const PATIENCE: usize = 200;

impl SimDisk {
    fn wait_to_be_overtaken(&self, number: u64) {
        for _ in 0..PATIENCE {
            std::thread::yield_now();
            if self.state().trace.last().is_some_and(|done| done.number > number) {
                return;
            }
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimDisk")
            .field("seed", &state.seed)
            .field("files", &state.names.keys())
            .field("operation_count", &state.operation_count)
            .finish_non_exhaustive()
    }
}

impl Storage for SimDisk {
    type File = SimFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.operate(Operation::new(OperationKind::List), |state, fault| {
            state.refuse(fault)?;
            Ok(state.names.keys().copied().collect())
        })
    }

    fn create(&self, id: FileId) -> Result<SimFile, StorageError> {
        self.operate(Operation::new(OperationKind::Create).on(id), |state, fault| {
            state.refuse(fault)?;
            state.create(id).map(|inode| self.file(id, inode, state))
        })
    }

    fn open(&self, id: FileId) -> Result<SimFile, StorageError> {
        self.operate(Operation::new(OperationKind::Open).on(id), |state, fault| {
            state.refuse(fault)?;
            let inode = state.names.get(&id).copied().ok_or(StorageErrorKind::NotFound)?;
            Ok(self.file(id, inode, state))
        })
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.operate(Operation::new(OperationKind::Remove).on(id), |state, fault| {
            state.refuse(fault)?;
            state.remove(id)
        })
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.operate(Operation::new(OperationKind::SyncDir), State::sync_dir)
    }
}

/// An open file of a [`SimDisk`]; dead after a power cut.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    id: FileId,
    inode: u64,
    epoch: u64,
}

impl SimDisk {
    fn file(&self, id: FileId, inode: u64, state: &State) -> SimFile {
        SimFile { disk: self.clone(), id, inode, epoch: state.epoch }
    }
}

impl SimFile {
    fn operate<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut State, u64, Option<Injected>) -> Result<T, StorageErrorKind>,
    ) -> Result<T, StorageError> {
        self.disk.operate(operation.on(self.id), |state, fault| match state.epoch == self.epoch {
            true => act(state, self.inode, fault),
            false => Err(StorageErrorKind::Other),
        })
    }
}

impl StorageFile for SimFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.operate(Operation::new(OperationKind::Len), |state, inode, fault| {
            state.refuse(fault)?;
            Ok(state.inode(inode).len())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        let operation = Operation::new(OperationKind::SetLen).at(0, len);
        self.operate(operation, |state, inode, fault| state.set_len(inode, len, fault))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        let operation = Operation::new(OperationKind::ReadExactAt).at(offset, buf.len() as u64);
        self.operate(operation, |state, inode, fault| state.read(inode, buf, offset, fault))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        let operation = Operation::new(OperationKind::WriteAllAt).at(offset, buf.len() as u64);
        self.operate(operation, |state, inode, fault| state.write(inode, buf, offset, fault))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        let operation = Operation::new(OperationKind::SyncData);
        self.operate(operation, State::sync_data)
    }
}

struct Shared {
    state: Mutex<State>,
    is_fork: bool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_fork {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            eprintln!(
                "simulated disk: seed {}, power cuts with seeds {:?}, {} operations",
                state.seed, state.cut_seeds, state.operation_count
            );
        }
    }
}
