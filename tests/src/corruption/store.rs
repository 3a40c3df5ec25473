//! The store that is damaged, and the judgement on what it answers then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_core::{
    Append, AppendOptions, Batch, Coordinate, Event, EventId, EventKind, FileId, FileKind, Log,
    LogConfig, MemoryStorage, Payload, ReadOnlyLog, Reader, Region, Storage, StorageErrorKind,
    StorageFile, StoreError,
};

use crate::conformance::TestHost;

/// What a damaged store answered, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything that was appended: the damage is where no event is, or was repaired.
    Harmless,
    /// A prefix of what was appended.
    Prefix,
    /// It does not open, and says why.
    Refused,
    /// It opens, and says which events it can't read.
    Reported,
}

/// A small store, and what it holds.
#[derive(Debug)]
pub struct Specimen {
    storage: MemoryStorage,
    events: Vec<Event>,
}

fn config() -> LogConfig {
    LogConfig::default().with_segment_max_bytes(4096).with_index_cache_bytes(64 * 1024)
}

impl Specimen {
    /// Four segments, the last of them active, with batches and every kind of option. The
    /// identity of the store follows from the seed.
    ///
    /// # Panics
    ///
    /// Never, with a working store.
    #[must_use]
    pub fn new(seed: u64, closed: bool) -> Self {
        let storage = MemoryStorage::new();
        let host = TestHost::new(seed).with_step_us(1);
        let mut log = Log::open(storage.clone(), host, config()).expect("a new store");
        for segment in 0..4 {
            for number in 0..2 {
                let first = segment * 10 + number * 3;
                let batch: Batch = (first..=first + number * segment % 3).map(append).collect();
                log.append_batch(&batch).expect("nothing speaks against it");
            }
            if segment < 3 {
                log.seal().expect("it is sealed, small as it is");
            }
        }
        if closed {
            log.close_in_place().expect("it closes");
        }
        let events = read(&log.reader()).expect("it is whole");
        Specimen { storage, events }
    }

    /// The smallest store that has a sealed segment and an active one: three events.
    ///
    /// # Panics
    ///
    /// Never, with a working store.
    #[must_use]
    pub fn tiny(seed: u64) -> Self {
        let storage = MemoryStorage::new();
        let host = TestHost::new(seed).with_step_us(1);
        let mut log = Log::open(storage.clone(), host, config()).expect("a new store");
        log.append(&append(2)).expect("nothing speaks against it");
        log.seal().expect("it is sealed, small as it is");
        let batch: Batch = [append(3), append(6)].into_iter().collect();
        log.append_batch(&batch).expect("nothing speaks against it");
        let events = read(&log.reader()).expect("it is whole");
        Specimen { storage, events }
    }

    /// A copy of the files, to be damaged.
    #[must_use]
    pub fn files(&self) -> MemoryStorage {
        self.storage.fork()
    }

    /// What was appended.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The segments with their bytes.
    ///
    /// # Panics
    ///
    /// Never: files in memory can be read.
    #[must_use]
    pub fn segments(&self) -> Vec<(FileId, Vec<u8>)> {
        let ids = self.storage.list().expect("files in memory");
        let segments = ids.into_iter().filter(|id| id.kind == FileKind::Segment);
        segments.map(|id| (id, bytes_of(&self.storage, id))).collect()
    }

    /// Opens damaged files, for writing and for reading only, and asks for everything.
    ///
    /// # Errors
    ///
    /// A sentence, where an answer is wrong.
    pub fn judge(&self, damaged: &MemoryStorage) -> Result<Verdict, String> {
        let read_only = {
            let files = Watched(damaged.clone());
            let opened = guarded(|| ReadOnlyLog::open(files, config()))?;
            self.verdict(opened.map(|log| log.reader()))?
        };
        let files = Watched(damaged.fork());
        let host = TestHost::new(9).with_step_us(1);
        let opened = guarded(|| Log::open(files, host, config()))?;
        let writing = match opened {
            Ok(mut log) => {
                let verdict = self.verdict(Ok(log.reader()))?;
                let _ = guarded(|| log.append(&append(77_777)))?;
                verdict
            }
            Err(error) => self.verdict(Err(error))?,
        };
        if read_only == writing {
            return Ok(writing);
        }
        Err(format!("read-only it is {read_only:?}, for writing {writing:?}"))
    }

    fn verdict(&self, opened: Result<Reader<Watched>, StoreError>) -> Result<Verdict, String> {
        let reader = match opened {
            Ok(reader) => reader,
            Err(error) => return typed(&error).map(|()| Verdict::Refused),
        };
        let end = usize::try_from(reader.end().get()).map_err(|_| "an absurd end".to_owned())?;
        let Some(expected) = self.events.get(..end) else {
            return Err(format!("{end} events, which is more than were appended"));
        };
        let whole = self.all_at_once(&reader, expected)?;
        let single = self.one_by_one(&reader, expected)?;
        match (whole && single, end == self.events.len()) {
            (false, _) => Ok(Verdict::Reported),
            (true, false) => Ok(Verdict::Prefix),
            (true, true) => Ok(Verdict::Harmless),
        }
    }

    /// A query over everything, both ways; whether all of it could be read.
    fn all_at_once(&self, reader: &Reader<Watched>, expected: &[Event]) -> Result<bool, String> {
        let mut whole = true;
        for backward in [false, true] {
            let query = reader.query(&Region::all());
            let mut query = if backward { query.backward() } else { query };
            let mut left = expected.iter();
            loop {
                let wanted = if backward { left.next_back() } else { left.next() };
                match (guarded(|| query.next())?, wanted) {
                    (None, None) => break,
                    (Some(Ok(event)), Some(wanted)) if event == *wanted => {}
                    (Some(Err(error)), _) => {
                        typed(&error)?;
                        whole = false;
                        break;
                    }
                    (found, wanted) => {
                        return Err(format!("a query gave {found:?} in place of {wanted:?}"));
                    }
                }
            }
        }
        for entity in ["order:0", "order:1", "order:2"] {
            let mut stream = expected.iter().filter(|event| event.coordinate.entity() == entity);
            let mut readable = true;
            for event in guarded(|| reader.stream(entity).collect::<Vec<_>>())? {
                match event {
                    Ok(event) if Some(&event) == stream.next() => {}
                    Ok(event) => return Err(format!("the stream gave {event:?}")),
                    Err(error) => {
                        typed(&error)?;
                        readable = false;
                    }
                }
            }
            if readable && stream.next().is_some() {
                return Err(format!("the stream of {entity} is short"));
            }
            whole &= readable;
        }
        Ok(whole)
    }

    /// Each event by its id and by its sequence; whether all of them could be read.
    fn one_by_one(&self, reader: &Reader<Watched>, expected: &[Event]) -> Result<bool, String> {
        let mut whole = true;
        for event in expected {
            let answers =
                [guarded(|| reader.get(event.id()))?, guarded(|| reader.get_at(event.sequence()))?];
            for answer in answers {
                match answer {
                    Ok(found) if found == *event => {}
                    Ok(found) => return Err(format!("{found:?} in place of {event:?}")),
                    Err(error) => {
                        typed(&error)?;
                        whole = false;
                    }
                }
            }
        }
        Ok(whole)
    }
}

fn append(number: u32) -> Append {
    let len = [3, 40, 90][number as usize % 3];
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(len + 4, 0xA7);
    let entity = format!("order:{}", number % 3);
    let options = match number % 4 {
        0 => AppendOptions::default().with_metadata([1, 2, 3]),
        1 => AppendOptions::default()
            .with_correlation(EventId::from_key("saga"))
            .with_causation(EventId::from_key("cause")),
        2 => AppendOptions::default().with_idempotency_key(EventId::from_key(&number.to_string())),
        _ => AppendOptions::default(),
    };
    let at = Coordinate::new(entity, "shop").expect("valid");
    Append::new(at, EventKind::new(1, 1), Payload::raw(payload)).with_options(options)
}

fn read<S: Storage>(reader: &Reader<S>) -> Result<Vec<Event>, StoreError> {
    reader.query(&Region::all()).collect()
}

fn bytes_of(storage: &MemoryStorage, id: FileId) -> Vec<u8> {
    let file = storage.open(id).expect("a file in memory");
    let len = usize::try_from(file.len().expect("in memory")).expect("small");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("in memory");
    bytes
}

/// Whether an error says that the files are damaged, and not that the store was surprised.
fn typed(error: &StoreError) -> Result<(), String> {
    match error {
        StoreError::Corruption(_) | StoreError::NewerFormat { .. } => Ok(()),
        StoreError::NotFound(_) | StoreError::SequenceNotFound(_) => {
            Err(format!("an event is denied: {error}"))
        }
        other => Err(format!("damage is answered with: {other}")),
    }
}

fn guarded<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|_| "it panicked".to_owned())
}

/// Files in memory that are never asked for absurdly much.
#[derive(Debug)]
struct Watched(MemoryStorage);

/// See [`Watched`].
#[derive(Debug)]
struct WatchedFile(annals_core::MemoryFile);

/// No file of the specimen comes near it.
const READ_LEN_MAX: usize = 4 * 1024 * 1024;

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<FileId>, annals_core::StorageError> {
        self.0.list()
    }

    fn create(&self, id: FileId) -> Result<WatchedFile, annals_core::StorageError> {
        self.0.create(id).map(WatchedFile)
    }

    fn open(&self, id: FileId) -> Result<WatchedFile, annals_core::StorageError> {
        self.0.open(id).map(WatchedFile)
    }

    fn remove(&self, id: FileId) -> Result<(), annals_core::StorageError> {
        self.0.remove(id)
    }

    fn sync_dir(&self) -> Result<(), annals_core::StorageError> {
        self.0.sync_dir()
    }
}

impl StorageFile for WatchedFile {
    fn len(&self) -> Result<u64, annals_core::StorageError> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Result<(), annals_core::StorageError> {
        assert!(len <= READ_LEN_MAX as u64, "a file is grown to {len} bytes");
        self.0.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), annals_core::StorageError> {
        assert!(buf.len() <= READ_LEN_MAX, "{} bytes are read at once", buf.len());
        let read = self.0.read_exact_at(buf, offset);
        if let Err(error) = &read {
            assert_ne!(error.kind(), StorageErrorKind::OutOfBounds, "a read behind the end");
        }
        read
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), annals_core::StorageError> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), annals_core::StorageError> {
        self.0.sync_data()
    }
}
