//! A commit queue with its leader's thread, as a store sets them up, over files in memory.

use crate::config::RestartPolicy;
use crate::host::SystemHost;
use crate::store::commit::Committer;
use crate::store::worker::{Bell, Worker};
use annals_core::{
    Append, Batch, Coordinate, Event, EventKind, FileId, Log, LogConfig, MemoryFile, MemoryStorage,
    Payload, Region, Storage, StorageError, StorageErrorKind, StorageFile, StoreError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Files in memory. Whoever writes or syncs lets others go on meanwhile; one write may panic, and one
/// sync may panic or fail.
pub(crate) struct Slow {
    files: MemoryStorage,
    left: Arc<Left>,
}

/// How many calls there are before one goes wrong. Not shuttle's: it is no part of what is looked at.
struct Left {
    writes: AtomicI64,
    syncs: AtomicI64,
    sync_panics: AtomicBool,
}

/// See [`Slow`].
pub(crate) struct SlowFile {
    file: MemoryFile,
    left: Arc<Left>,
}

impl Slow {
    fn file(&self, file: MemoryFile) -> SlowFile {
        SlowFile { file, left: Arc::clone(&self.left) }
    }
}

impl Storage for Slow {
    type File = SlowFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.files.list()
    }

    fn create(&self, id: FileId) -> Result<SlowFile, StorageError> {
        Ok(self.file(self.files.create(id)?))
    }

    fn open(&self, id: FileId) -> Result<SlowFile, StorageError> {
        Ok(self.file(self.files.open(id)?))
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.files.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.files.sync_dir()
    }
}

impl StorageFile for SlowFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        shuttle::thread::yield_now();
        let left = self.left.writes.fetch_sub(1, Ordering::Relaxed);
        assert!(left != 0, "simulated panic of a storage");
        self.file.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        shuttle::thread::yield_now();
        if self.left.syncs.fetch_sub(1, Ordering::Relaxed) == 0 {
            let panics = self.left.sync_panics.load(Ordering::Relaxed);
            assert!(!panics, "simulated panic of a storage");
            return Err(StorageError::new(StorageErrorKind::Other, "sync_data"));
        }
        self.file.sync_data()
    }
}

/// See the module.
pub(crate) struct Queue {
    pub(crate) committer: Arc<Committer<Slow>>,
    files: MemoryStorage,
    left: Arc<Left>,
    worker: Option<Worker>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        let files = MemoryStorage::new();
        let never = || AtomicI64::new(-1);
        let left = Left { writes: never(), syncs: never(), sync_panics: AtomicBool::new(false) };
        let left = Arc::new(left);
        let storage = Slow { files: files.clone(), left: Arc::clone(&left) };
        let bell = Bell::default();
        let leader = bell.clone();
        let committer = Committer::new(
            Arc::new(storage),
            SystemHost::new(Some(Arc::new(|| 1_700_000_000_000_000))),
            LogConfig::default(),
            RestartPolicy::default(),
            capacity,
            move || leader.ring(),
        );
        let committer = Arc::new(committer.expect("an empty storage"));
        let weak = Arc::downgrade(&committer);
        let act = move || {
            if let Some(committer) = weak.upgrade() {
                committer.lead_queue();
            }
        };
        let worker = Worker::spawn("leader", bell, None, act).expect("shuttle has threads");
        Queue { committer, files, left, worker: Some(worker) }
    }

    /// The write behind so many others panics.
    pub(crate) fn panic_after(&self, writes: i64) {
        self.left.writes.store(writes, Ordering::Relaxed);
    }

    /// The sync behind so many others fails, or panics.
    pub(crate) fn sync_goes_wrong_after(&self, syncs: i64, panics: bool) {
        self.left.syncs.store(syncs, Ordering::Relaxed);
        self.left.sync_panics.store(panics, Ordering::Relaxed);
    }

    /// Closes, and opens what is there.
    pub(crate) fn close(self) -> Vec<Event> {
        let closed = self.committer.close();
        assert!(closed.is_ok(), "{closed:?}");
        self.open_again()
    }

    /// Closes a store whose writer is poisoned, and opens what is there.
    pub(crate) fn close_poisoned(self) -> Vec<Event> {
        let closed = self.committer.close();
        assert!(matches!(closed, Err(StoreError::Poisoned { .. })), "{closed:?}");
        self.open_again()
    }

    fn open_again(mut self) -> Vec<Event> {
        assert!(matches!(self.committer.append(batch("late")), Err(StoreError::Closed)));
        drop(self.worker.take());
        let log = Log::open(self.files.clone(), SystemHost::new(None), LogConfig::default());
        let reader = log.expect("it was closed").reader();
        reader.query(&Region::all()).collect::<Result<_, _>>().expect("it can be read")
    }
}

/// An event of a stream.
pub(crate) fn event(entity: &str) -> Append {
    let at = Coordinate::new(entity, "shop").expect("valid");
    Append::new(at, EventKind::new(1, 1), Payload::raw(entity.to_owned()))
}

/// One event of its own stream.
pub(crate) fn batch(entity: &str) -> Batch {
    Batch::new().push(event(entity))
}
