//! A storage that tells what is asked of it, and does first what a test wants done.

use annals::{FileId, MemoryStorage, Storage, StorageError, StorageErrorKind, StorageFile};
use annals_tests::sim_disk::OperationKind;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::ThreadId;

type Before = dyn Fn(OperationKind) -> Result<(), StorageError> + Send + Sync;

/// Wraps a storage; clones are handles to the same probe.
#[derive(Clone)]
pub(crate) struct Probe<S = MemoryStorage> {
    storage: S,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<(OperationKind, ThreadId)>>,
    before: Mutex<Option<Arc<Before>>>,
}

impl<S> Probe<S> {
    pub(crate) fn new(storage: S) -> Self {
        Probe { storage, state: Arc::default() }
    }

    /// Runs `before` ahead of every call; its error is the call's.
    pub(crate) fn before(
        &self,
        before: impl Fn(OperationKind) -> Result<(), StorageError> + Send + Sync + 'static,
    ) {
        *self.state.before.lock() = Some(Arc::new(before));
    }

    /// The calls since the last time, and which threads made them.
    pub(crate) fn take_calls(&self) -> Vec<(OperationKind, ThreadId)> {
        std::mem::take(&mut self.state.calls.lock())
    }

    /// How many handles to the probe there are, files among them.
    pub(crate) fn handle_count(&self) -> usize {
        Arc::strong_count(&self.state)
    }

    /// How many calls of a kind there were since the last time.
    pub(crate) fn take_count(&self, kind: OperationKind) -> usize {
        self.take_calls().iter().filter(|(called, _)| *called == kind).count()
    }
}

impl State {
    fn called(&self, kind: OperationKind) -> Result<(), StorageError> {
        self.calls.lock().push((kind, std::thread::current().id()));
        let before = self.before.lock().clone();
        before.map_or(Ok(()), |before| before(kind))
    }
}

impl<S: Storage> Storage for Probe<S> {
    type File = ProbeFile<S::File>;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.storage.list()
    }

    fn create(&self, id: FileId) -> Result<Self::File, StorageError> {
        self.state.called(OperationKind::Create)?;
        let file = self.storage.create(id)?;
        Ok(ProbeFile { file, state: Arc::clone(&self.state) })
    }

    fn open(&self, id: FileId) -> Result<Self::File, StorageError> {
        let file = self.storage.open(id)?;
        Ok(ProbeFile { file, state: Arc::clone(&self.state) })
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.storage.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.state.called(OperationKind::SyncDir)?;
        self.storage.sync_dir()
    }
}

pub(crate) struct ProbeFile<F> {
    file: F,
    state: Arc<State>,
}

impl<F: StorageFile> StorageFile for ProbeFile<F> {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.state.called(OperationKind::SetLen)?;
        self.file.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        self.state.called(OperationKind::WriteAllAt)?;
        self.file.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.state.called(OperationKind::SyncData)?;
        self.file.sync_data()
    }
}

/// Holds up whoever passes while it is closed.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.state.0.lock().closed = true;
    }

    pub(crate) fn open(&self) {
        self.state.0.lock().closed = false;
        self.state.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.state;
        let mut state = state.lock();
        state.waiting += 1;
        changed.notify_all();
        while state.closed {
            changed.wait(&mut state);
        }
        state.waiting -= 1;
    }

    /// Waits until somebody stands before the gate.
    pub(crate) fn wait_for_visitor(&self) {
        let (state, changed) = &*self.state;
        let mut state = state.lock();
        while state.waiting == 0 {
            changed.wait(&mut state);
        }
    }
}

pub(crate) fn io_error() -> StorageError {
    StorageError::new(StorageErrorKind::Other, "write_all_at").with_detail("as the test wants")
}
