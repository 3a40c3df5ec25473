//! Long work in slices: verification, erasure, compaction, backups out and in.
//!
//! Each request does some of it and says how far it is; whoever wants it done asks again. So others
//! are served in between, a leader never goes silent over it, and it ends when nobody asks any more.
//! A job has an id that its client made up: a leader that does not know it says so.
//!
//! All of this is in a wasm file of its own, which is loaded when the first job is asked for (see
//! `build/split.mjs`). What every page needs knows jobs by [`Jobs`] and [`Work`] alone.

mod backup;
mod rewrite;

use annals_core::{EventId, Reader, Sequence, Storage, Verification, VerifyOptions, VerifyReport};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::files::AnyStorage;
use crate::request::read_region;
use crate::wire::{Input, Malformed, Output};
use backup::{ExportJob, ImportJob};
use rewrite::{CompactJob, EraseJob};

/// How long a slice goes on taking steps, in milliseconds.
const SLICE_MS: f64 = 30.0;
/// Bytes that a step of a compaction reads, or one frame.
const STEP_LEN: u64 = 256 * 1024;
/// How long a job that keeps others waiting may go without being asked for, in milliseconds.
const IDLE_MS: f64 = 30_000.0;
/// How long any other job may.
const READING_IDLE_MS: f64 = 600_000.0;

/// The first byte of a request for a job.
pub(crate) const JOB_REQUEST: u8 = 7;

/// What a request asks of a job.
pub(crate) struct JobRequest<'a> {
    pub(crate) id: EventId,
    pub(crate) action: u8,
    pub(crate) input: Input<'a>,
}

/// The actions, in the order of `ts/keep.ts`.
pub(crate) mod action {
    pub(crate) const VERIFY: u8 = 0;
    pub(crate) const ERASE: u8 = 1;
    pub(crate) const COMPACT: u8 = 2;
    pub(crate) const EXPORT: u8 = 3;
    pub(crate) const IMPORT: u8 = 4;
    pub(crate) const STEP: u8 = 5;
    pub(crate) const DROP: u8 = 6;
}

impl<'a> JobRequest<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Input::new(bytes)?;
        if input.u8()? != JOB_REQUEST {
            return Err(Malformed);
        }
        let id = EventId::from_bytes(input.array()?);
        Ok(JobRequest { id, action: input.u8()?, input })
    }
}

/// What a slice has come to: `state u8 | bytes_done u64 | bytes_total u64 | what was asked for`.
#[derive(Debug)]
pub(crate) enum Slice {
    More {
        bytes_done: u64,
        bytes_total: u64,
        rest: Output,
    },
    Done {
        bytes_total: u64,
        rest: Output,
    },
    /// Another job must end first: ask again.
    Waits,
    /// There is no such job: it was begun with another leader, or was given up.
    Unknown,
}

impl Slice {
    pub(crate) fn write(self) -> Output {
        let (state, bytes_done, bytes_total, rest) = match self {
            Slice::More { bytes_done, bytes_total, rest } => (0, bytes_done, bytes_total, rest),
            Slice::Done { bytes_total, rest } => (1, bytes_total, bytes_total, rest),
            Slice::Waits => (2, 0, 0, Output::default()),
            Slice::Unknown => (3, 0, 0, Output::default()),
        };
        let mut out = Output::answer();
        out.u8(state);
        out.u64(bytes_done.min(bytes_total));
        out.u64(bytes_total);
        out.raw(&rest.into_bytes());
        out
    }
}

/// The jobs under way: few at a time.
#[derive(Default)]
pub(crate) struct Jobs {
    all: Vec<Job>,
}

struct Job {
    id: EventId,
    asked_ms: f64,
    /// What it was begun by.
    action: u8,
    work: Box<dyn Work>,
}

/// Work under way. The build knows what is compiled for it by the name of this trait.
pub(crate) trait Work {
    /// Does a slice of it.
    fn step(&mut self, engine: &Engine, input: &mut Input<'_>) -> Result<Slice, Failure>;
}

impl Job {
    /// Whether it needs the store, or its segments, for itself.
    fn keeps_out(&self, action: u8) -> bool {
        match self.action {
            action::IMPORT => true,
            action::ERASE | action::COMPACT => {
                matches!(action, action::ERASE | action::COMPACT | action::IMPORT)
            }
            _ => action == action::IMPORT,
        }
    }
}

impl Jobs {
    /// Whether a job for `action` may begin now. Jobs that nobody has asked for in a while are
    /// given up for it.
    fn admits(&mut self, action: u8) -> bool {
        let now = js_sys::Date::now();
        self.all.retain(|job| {
            let idle_ms = now - job.asked_ms;
            idle_ms < if job.keeps_out(action) { IDLE_MS } else { READING_IDLE_MS }
        });
        !self.all.iter().any(|job| job.keeps_out(action))
    }

    /// Whether a backup is being taken in, unless nobody has asked for that in a while.
    pub(crate) fn is_importing(&mut self) -> bool {
        let now = js_sys::Date::now();
        let is_import = |job: &Job| job.action == action::IMPORT;
        self.all.retain(|job| !is_import(job) || now - job.asked_ms < IDLE_MS);
        self.all.iter().any(is_import)
    }

    fn add(&mut self, id: EventId, action: u8, work: Box<dyn Work>) {
        self.remove(id);
        self.all.push(Job { id, asked_ms: js_sys::Date::now(), action, work });
    }

    fn get(&mut self, id: EventId) -> Option<&mut dyn Work> {
        let job = self.all.iter_mut().find(|job| job.id == id)?;
        job.asked_ms = js_sys::Date::now();
        Some(&mut *job.work)
    }

    fn remove(&mut self, id: EventId) {
        self.all.retain(|job| job.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }
}

/// Begins a job, goes on with it, or gives it up.
pub(crate) fn answer(engine: &Engine, bytes: &[u8]) -> Result<Slice, Failure> {
    let mut request = JobRequest::read(bytes)?;
    let (id, jobs) = (request.id, &engine.jobs);
    match request.action {
        action::DROP => jobs.borrow_mut().remove(id),
        action::STEP => {
            let slice = match jobs.borrow_mut().get(id) {
                Some(work) => work.step(engine, &mut request.input),
                None => return Ok(Slice::Unknown),
            };
            let is_over = match &slice {
                Ok(slice) => matches!(slice, Slice::Done { .. }),
                Err(failure) => !failure.is_not_ready,
            };
            if is_over {
                jobs.borrow_mut().remove(id);
            }
            return slice;
        }
        action => {
            if !jobs.borrow_mut().admits(action) {
                return Ok(Slice::Waits);
            }
            let work = begin(engine, request)?;
            jobs.borrow_mut().add(id, action, work);
        }
    }
    Ok(Slice::More { bytes_done: 0, bytes_total: 0, rest: Output::default() })
}

fn begin(engine: &Engine, request: JobRequest<'_>) -> Result<Box<dyn Work>, Failure> {
    let JobRequest { action, mut input, .. } = request;
    if action == action::IMPORT {
        return Ok(Box::new(ImportJob::begin(engine, &mut input)?));
    }
    engine.with_log(|log| {
        let reader = log.reader();
        let work: Box<dyn Work> = match action {
            action::VERIFY => Box::new(Verification::new(reader, VerifyOptions::default())),
            action::ERASE => {
                let region = read_region(&mut input, &reader)?;
                Box::new(EraseJob::begin(log, region)?)
            }
            action::COMPACT => Box::new(CompactJob::read(&mut input, &reader)?),
            action::EXPORT => Box::new(ExportJob::read(&mut input, log)?),
            _ => return Err(Malformed.into()),
        };
        if input.is_empty() { Ok(work) } else { Err(Malformed.into()) }
    })
}

/// Time that one slice has.
struct Clock {
    until_ms: f64,
}

impl Clock {
    fn start() -> Self {
        Clock { until_ms: js_sys::Date::now() + SLICE_MS }
    }

    fn is_over(&self) -> bool {
        js_sys::Date::now() >= self.until_ms
    }
}

impl Work for Verification<AnyStorage> {
    fn step(&mut self, engine: &Engine, _: &mut Input<'_>) -> Result<Slice, Failure> {
        engine.with_open_log(|_| Ok(verify(self)))
    }
}

fn verify(verification: &mut Verification<AnyStorage>) -> Slice {
    let clock = Clock::start();
    let mut rest = Output::default();
    while verification.step() {
        if clock.is_over() {
            let now = verification.progress();
            return Slice::More { bytes_done: now.bytes_done, bytes_total: now.bytes, rest };
        }
    }
    let bytes_total = verification.progress().bytes;
    let empty = Verification::new(verification.reader(), VerifyOptions::default());
    put_report(&mut rest, &core::mem::replace(verification, empty).finish());
    Slice::Done { bytes_total, rest }
}

fn put_report(out: &mut Output, report: &VerifyReport) {
    out.u8(u8::from(report.is_whole()));
    out.u8(u8::from(report.complete));
    for number in [
        report.segments,
        report.bytes,
        report.events,
        report.erased_events,
        report.pruned_runs,
        report.streams,
    ] {
        out.u64(number);
    }
    out.count(report.faults.len());
    for fault in &report.faults {
        out.text(fault.kind.as_str());
        out.u64(fault.count);
        out.text(&fault.file.name());
        out.u64(fault.offset);
        out.text(&fault.expected);
        out.text(&fault.found);
    }
}

/// Where segments begin, in bytes before each: what progress over sequences is counted in.
struct Places {
    /// First sequences, and bytes of the segments before.
    starts: Vec<(Sequence, u64)>,
    total: u64,
}

impl Places {
    fn of<S: Storage>(reader: &Reader<S>) -> Self {
        let mut total = 0;
        let starts = reader.segment_bytes().map(|(first, bytes)| {
            total += bytes;
            (first, total - bytes)
        });
        Places { starts: starts.collect(), total }
    }

    fn bytes_before(&self, sequence: Sequence) -> u64 {
        let behind = self.starts.partition_point(|(first, _)| *first < sequence);
        self.starts.get(behind).map_or(self.total, |(_, before)| *before)
    }
}
