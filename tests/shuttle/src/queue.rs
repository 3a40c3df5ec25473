//! A commit queue with its leader's thread, as a store sets them up, over files in memory.

use crate::config::RestartPolicy;
use crate::host::SystemHost;
use crate::store::commit::Committer;
use crate::store::worker::{Bell, Worker};
use annals_core::{
    Append, Batch, Coordinate, Event, EventKind, FileId, Log, LogConfig, MemoryFile, MemoryStorage,
    Payload, Region, Storage, StorageError, StorageFile, StoreError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Files in memory. Whoever writes or syncs lets others go on meanwhile; one write may panic.
pub(crate) struct Slow {
    files: MemoryStorage,
    /// Not shuttle's: it is no part of what is looked at.
    writes_left: Arc<AtomicI64>,
}

/// See [`Slow`].
pub(crate) struct SlowFile {
    file: MemoryFile,
    writes_left: Arc<AtomicI64>,
}

impl Slow {
    fn file(&self, file: MemoryFile) -> SlowFile {
        SlowFile { file, writes_left: Arc::clone(&self.writes_left) }
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
        let left = self.writes_left.fetch_sub(1, Ordering::Relaxed);
        assert!(left != 0, "simulated panic of a storage");
        self.file.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        shuttle::thread::yield_now();
        self.file.sync_data()
    }
}

/// See the module.
pub(crate) struct Queue {
    pub(crate) committer: Arc<Committer<Slow>>,
    files: MemoryStorage,
    writes_left: Arc<AtomicI64>,
    worker: Option<Worker>,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        let files = MemoryStorage::new();
        let writes_left = Arc::new(AtomicI64::new(-1));
        let storage = Slow { files: files.clone(), writes_left: Arc::clone(&writes_left) };
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
        Queue { committer, files, writes_left, worker: Some(worker) }
    }

    /// The write behind so many others panics.
    pub(crate) fn panic_after(&self, writes: i64) {
        self.writes_left.store(writes, Ordering::Relaxed);
    }

    /// Closes, and opens what is there.
    pub(crate) fn close(mut self) -> Vec<Event> {
        let closed = self.committer.close();
        assert!(closed.is_ok(), "{closed:?}");
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
