//! One open store: opening it, its upkeep, and its calls.
//!
//! A call is synchronous. What is not ready is refused, the worker awaits [`Engine::top_up`]
//! and asks once more. Two calls never overlap, since there is one thread.

use std::cell::{Cell, RefCell};

use annals_core::{
    AppendReceipt, Durability, Log, LogConfig, MemoryStorage, Query, Sequence, Staged,
};
use annals_opfs::{OpfsOptions, OpfsStorage, OpfsUpkeep};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::FileSystemDirectoryHandle;

use crate::answer::{EventPage, finish, put_receipts, put_status};
use crate::failure::Failure;
use crate::files::AnyStorage;
use crate::host::WebHost;
use crate::host_files::{HostFiles, HostStorage};
use crate::keep::{self, Jobs, Slice};
use crate::request::{QueryRequest, Request, read_batch};
use crate::wire::{Input, Output};

pub(crate) type WebLog = Log<AnyStorage, WebHost>;

/// How often opening asks for what was not ready: a recovery writes to one file.
const OPEN_TRIES_MAX: usize = 8;

/// Bytes of events after which a page of a query ends.
const PAGE_LEN_MAX: usize = 1 << 20;

/// An open store.
#[wasm_bindgen]
pub struct Engine {
    /// `None` while a backup is taken in, and when the store is closed.
    pub(crate) log: RefCell<Option<WebLog>>,
    /// Where it is opened again behind an import.
    pub(crate) storage: AnyStorage,
    is_relaxed: bool,
    is_closed: Cell<bool>,
    pub(crate) jobs: RefCell<Jobs>,
    upkeep: RefCell<Option<OpfsUpkeep>>,
    is_refused: Cell<bool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("log", &self.log).finish_non_exhaustive()
    }
}

#[wasm_bindgen]
impl Engine {
    /// Opens the store in a directory of OPFS, as its only owner. Rejects with the bytes of a
    /// failure.
    ///
    /// # Errors
    ///
    /// Whatever the files or the log report.
    #[wasm_bindgen(js_name = openOpfs)]
    pub async fn open_opfs(
        dir: JsValue,
        is_relaxed: bool,
        busy_timeout_ms: u32,
    ) -> Result<Engine, JsValue> {
        let dir: FileSystemDirectoryHandle = dir.unchecked_into();
        let options = OpfsOptions::default().with_busy_timeout_ms(busy_timeout_ms);
        let opened = OpfsStorage::open(dir, options).await;
        let (opfs, mut upkeep) = opened.map_err(|error| thrown(error.into()))?;
        let mut tries = 0;
        let log = loop {
            tries += 1;
            match open_log(AnyStorage::Opfs(opfs.clone()), is_relaxed) {
                Ok(log) => break log,
                Err(failure) if failure.is_not_ready && tries < OPEN_TRIES_MAX => {
                    upkeep.top_up().await.map_err(|error| thrown(error.into()))?;
                }
                Err(failure) => return Err(thrown(failure)),
            }
        };
        // The first file, so that the first append finds it.
        upkeep.top_up().await.map_err(|error| thrown(error.into()))?;
        Ok(Self::new(log, AnyStorage::Opfs(opfs), is_relaxed, Some(upkeep)))
    }

    /// Opens an empty store in memory.
    ///
    /// # Errors
    ///
    /// None that can be met; the type is that of the other two.
    #[wasm_bindgen(js_name = openMemory)]
    pub fn open_memory() -> Result<Engine, JsValue> {
        let storage = AnyStorage::Memory(MemoryStorage::new());
        let log = open_log(storage.clone(), false).map_err(thrown)?;
        Ok(Self::new(log, storage, false, None))
    }

    /// Opens the store in a directory that the host gives, which has seen to it that nobody
    /// else writes there.
    ///
    /// # Errors
    ///
    /// Whatever the files or the log report.
    #[wasm_bindgen(js_name = openFiles)]
    pub fn open_files(files: HostFiles, is_relaxed: bool) -> Result<Engine, JsValue> {
        let storage = AnyStorage::Host(HostStorage::new(files));
        let log = open_log(storage.clone(), is_relaxed).map_err(thrown)?;
        Ok(Self::new(log, storage, is_relaxed, None))
    }

    /// Appends batches, all with one write and one sync. The bytes are `count u32` and as many
    /// requests; the answer is as many answers, each with its length.
    pub fn append(&self, bytes: &[u8]) -> Vec<u8> {
        let outcome = self.with_log(|log| append_group(log, bytes));
        match outcome {
            Ok(group) => {
                self.is_refused.set(group.is_not_ready);
                finish(Ok(group.out))
            }
            Err(failure) => {
                self.is_refused.set(failure.is_not_ready);
                finish(Err(failure))
            }
        }
    }

    /// Answers one request other than an append or one for a job.
    pub fn call(&self, bytes: &[u8]) -> Vec<u8> {
        self.finish(self.with_log(|log| self.answer(log, bytes)))
    }

    /// Does a slice of a job (see `keep`). The second wasm file must have been loaded.
    pub fn job(&self, bytes: &[u8]) -> Vec<u8> {
        self.finish(keep::answer(self, bytes).map(Slice::write))
    }

    /// Whether the last call was refused because files were not ready: after `topUp` it is
    /// worth another try.
    #[wasm_bindgen(getter, js_name = isRefused)]
    pub fn is_refused(&self) -> bool {
        self.is_refused.get()
    }

    /// Whether `topUp` has something to do, and nobody is at it.
    #[wasm_bindgen(getter, js_name = needsUpkeep)]
    pub fn needs_upkeep(&self) -> bool {
        self.upkeep.borrow().as_ref().is_some_and(|upkeep| !upkeep.is_idle())
    }

    /// The sequence behind the last event.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> u64 {
        self.log.borrow().as_ref().map_or(0, |log| log.reader().end().get())
    }

    /// Opens files ahead and deletes what was removed, where that is needed.
    ///
    /// # Errors
    ///
    /// The bytes of a failure. It is tried again the next time.
    #[wasm_bindgen(js_name = topUp)]
    pub async fn top_up(&self) -> Result<(), JsValue> {
        // Whoever comes second has nothing to do.
        let Some(mut upkeep) = self.upkeep.take() else { return Ok(()) };
        let done = upkeep.top_up().await;
        self.upkeep.replace(Some(upkeep));
        done.map_err(|error| thrown(error.into()))
    }

    /// Syncs, closes the store so that it opens fast, and gives the files up.
    ///
    /// # Errors
    ///
    /// The bytes of a failure. The files are given up in any case.
    pub fn close(&self) -> Result<(), JsValue> {
        self.is_closed.set(true);
        // An import that is under way takes back what it has written.
        self.jobs.borrow_mut().clear();
        let closed = match self.log.take() {
            Some(log) => log.close().map_err(|error| thrown(error.into())),
            None => Ok(()),
        };
        if let Some(upkeep) = self.upkeep.take() {
            upkeep.close();
        }
        closed
    }
}

impl Engine {
    fn new(log: WebLog, storage: AnyStorage, is_relaxed: bool, upkeep: Option<OpfsUpkeep>) -> Self {
        Self {
            log: RefCell::new(Some(log)),
            storage,
            is_relaxed,
            is_closed: Cell::new(false),
            jobs: RefCell::default(),
            upkeep: RefCell::new(upkeep),
            is_refused: Cell::new(false),
        }
    }

    fn finish(&self, outcome: Result<Output, Failure>) -> Vec<u8> {
        self.is_refused.set(outcome.as_ref().is_err_and(|failure| failure.is_not_ready));
        finish(outcome)
    }

    /// Runs `act` on the log, which is opened again behind an import.
    pub(crate) fn with_log<T>(
        &self,
        act: impl FnOnce(&mut WebLog) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ensure_open()?;
        self.with_open_log(act)
    }

    /// Runs `act` on the log, unless it is closed.
    pub(crate) fn with_open_log<T>(
        &self,
        act: impl FnOnce(&mut WebLog) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match &mut *self.log.borrow_mut() {
            Some(log) => act(log),
            None => Err(Failure::closed()),
        }
    }

    fn ensure_open(&self) -> Result<(), Failure> {
        if self.log.borrow().is_some() {
            return Ok(());
        }
        if self.is_closed.get() {
            return Err(Failure::closed());
        }
        if self.jobs.borrow_mut().is_importing() {
            return Err(Failure::importing());
        }
        self.log.replace(Some(self.open_log()?));
        Ok(())
    }

    pub(crate) fn open_log(&self) -> Result<WebLog, Failure> {
        open_log(self.storage.clone(), self.is_relaxed)
    }

    fn answer(&self, log: &mut WebLog, bytes: &[u8]) -> Result<Output, Failure> {
        let reader = log.reader();
        let mut out = Output::answer();
        match Request::read(bytes, &reader)? {
            Request::Get(id) => {
                let mut page = EventPage::new(true);
                // No event is no failure.
                reader.get_with(id, |event| page.push(event))?;
                page.write(&mut out, &reader);
            }
            Request::Query(request) => query(log, &request, &mut out)?,
            Request::Head(entity) => {
                let head = reader.head(&entity)?;
                out.option(head.map(|head| head.version.get()), Output::u64);
            }
            Request::Status => {
                let handles = match &self.storage {
                    AnyStorage::Opfs(opfs) => opfs.open_handles(),
                    _ => 0,
                };
                let stats = log.stats()?;
                put_status(&mut out, &reader, &stats, log.recovery(), handles);
            }
            Request::Sync => out.u64(log.sync()?.get()),
            Request::Record(sequence) => {
                let record = reader.record_bytes(sequence)?;
                out.text(&record.file.name());
                out.u64(record.offset);
                out.bytes(&record.bytes);
            }
        }
        Ok(out)
    }
}

fn open_log(storage: AnyStorage, is_relaxed: bool) -> Result<WebLog, Failure> {
    let durability = if is_relaxed { Durability::OnSync } else { Durability::Durable };
    let config = LogConfig::default().with_durability(durability);
    Ok(Log::open(storage, WebHost, config)?)
}

/// The answers to a group of appends.
struct GroupAnswer {
    out: Output,
    is_not_ready: bool,
}

/// What one batch of a group waits for.
enum Batched {
    Waiting(std::ops::Range<usize>),
    Done(Result<Vec<AppendReceipt>, Failure>),
}

fn append_group(log: &mut WebLog, bytes: &[u8]) -> Result<GroupAnswer, Failure> {
    let mut input = Input::new(bytes)?;
    let count = input.u32()?;
    let mut batches: Vec<Batched> = Vec::new();
    for _ in 0..count {
        let staged = stage(log, input.bytes()?, &mut batches);
        batches.push(staged.unwrap_or_else(|failure| Batched::Done(Err(failure))));
    }
    commit(log, &mut batches);
    let mut answer = GroupAnswer { out: Output::answer(), is_not_ready: false };
    for batch in batches {
        let outcome = match batch {
            Batched::Done(outcome) => outcome,
            Batched::Waiting(_) => Err(Failure::invalid("the append was not committed")),
        };
        answer.is_not_ready |= outcome.as_ref().is_err_and(|failure| failure.is_not_ready);
        let bytes = finish(outcome.map(|all| {
            let mut receipts = Output::answer();
            put_receipts(&mut receipts, &all);
            receipts
        }));
        answer.out.bytes(&bytes);
    }
    Ok(answer)
}

fn stage(log: &mut WebLog, request: &[u8], batches: &mut [Batched]) -> Result<Batched, Failure> {
    let batch = read_batch(&mut Input::new(request)?, log)?;
    batch.check_limits()?;
    let mut staged = log.stage(batch.items(), batch.condition())?;
    if matches!(staged, Staged::Full) {
        commit(log, batches);
        staged = log.stage(batch.items(), batch.condition())?;
    }
    Ok(match staged {
        Staged::Known(receipts) => Batched::Done(Ok(receipts)),
        Staged::Group(range) => Batched::Waiting(range),
        _ => Batched::Done(Err(Failure::invalid("the batch does not fit"))),
    })
}

/// Commits what is staged, and gives its batches their receipts, or the failure of all.
fn commit(log: &mut WebLog, batches: &mut [Batched]) {
    let committed = log.commit(|log, info| {
        for batch in &mut *batches {
            if let Batched::Waiting(range) = batch {
                let receipts = log.receipts(range.clone(), info).collect();
                *batch = Batched::Done(Ok(receipts));
            }
        }
    });
    let Err(error) = committed else { return };
    for batch in batches {
        if matches!(batch, Batched::Waiting(_)) {
            *batch = Batched::Done(Err(error.clone().into()));
        }
    }
}

/// Writes `is_done u8 | end u64 | page`.
fn query(log: &WebLog, request: &QueryRequest, out: &mut Output) -> Result<(), Failure> {
    let reader = log.reader();
    let end = request.end.unwrap_or(reader.end()).min(reader.end());
    let mut page = EventPage::new(request.with_hashes);
    let mut is_done = true;
    if let Some(region) = bounded(request, end) {
        let events: Query<_> = reader.query(&region);
        let mut events = if request.is_backward { events.backward() } else { events };
        while events.next_with(|event| page.push(event))?.is_some() {
            if page.count() >= request.events_max || page.len() >= PAGE_LEN_MAX {
                is_done = false;
                break;
            }
        }
    }
    out.u8(u8::from(is_done));
    out.u64(end.get());
    page.write(out, &reader);
    Ok(())
}

/// The region without what earlier pages had, and without what came after the first page;
/// `None` where nothing is left.
fn bounded(request: &QueryRequest, end: Sequence) -> Option<annals_core::Region> {
    let asked = request.region.sequence_span();
    let mut first = asked.map_or(Sequence::ZERO, |span| span.first);
    let mut last = Sequence::new(end.get().checked_sub(1)?);
    if let Some(span) = asked {
        last = last.min(span.last);
    }
    match request.after {
        Some(after) if request.is_backward => {
            last = last.min(Sequence::new(after.get().checked_sub(1)?));
        }
        Some(after) => first = first.max(after.checked_next()?),
        None => {}
    }
    (first <= last).then(|| request.region.clone().sequences(first..=last))
}

/// A failure as what is thrown: its bytes.
fn thrown(failure: Failure) -> JsValue {
    let bytes = finish(Err(failure));
    js_sys::Uint8Array::from(&bytes[..]).into()
}
