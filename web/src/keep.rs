//! Long work in slices: verification, erasure, compaction, backups out and in.
//!
//! Each request does some of it and says how far it is; whoever wants it done asks again. So others
//! are served in between, a leader never goes silent over it, and it ends when nobody asks any more.
//! A job has an id that its client made up: a leader that does not know it says so.

mod backup;
mod rewrite;

use annals_core::{EventId, Reader, Sequence, Storage, Verification, VerifyOptions, VerifyReport};

use crate::failure::Failure;
use crate::files::AnyStorage;
use crate::request::read_region;
use crate::wire::{Input, Malformed, Output};
use backup::{ExportJob, read_export};
pub(crate) use backup::{ImportJob, put_imported};
use rewrite::{CompactJob, EraseJob};

use crate::engine::WebLog;

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
        let mut input = Input::new(bytes);
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
        let mut out = Output::default();
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
    work: Work,
}

pub(crate) enum Work {
    Verify(Box<Verification<AnyStorage>>),
    Erase(Box<EraseJob>),
    Compact(Box<CompactJob>),
    Export(Box<ExportJob>),
    Import(Box<ImportJob>),
}

impl Work {
    /// Whether it needs the store, or its segments, for itself.
    fn keeps_out(&self, action: u8) -> bool {
        match self {
            Work::Import(_) => true,
            Work::Erase(_) | Work::Compact(_) => {
                matches!(action, action::ERASE | action::COMPACT | action::IMPORT)
            }
            Work::Verify(_) | Work::Export(_) => action == action::IMPORT,
        }
    }
}

impl Jobs {
    /// Whether a job for `action` may begin now. Jobs that nobody has asked for in a while are
    /// given up for it.
    pub(crate) fn admits(&mut self, action: u8) -> bool {
        let now = js_sys::Date::now();
        self.all.retain(|job| {
            let idle_ms = now - job.asked_ms;
            let is_in_the_way = job.work.keeps_out(action);
            idle_ms < if is_in_the_way { IDLE_MS } else { READING_IDLE_MS }
        });
        !self.all.iter().any(|job| job.work.keeps_out(action))
    }

    /// Whether a backup is being taken in, unless nobody has asked for that in a while.
    pub(crate) fn is_importing(&mut self) -> bool {
        let now = js_sys::Date::now();
        let is_import = |job: &Job| matches!(job.work, Work::Import(_));
        self.all.retain(|job| !is_import(job) || now - job.asked_ms < IDLE_MS);
        self.all.iter().any(is_import)
    }

    pub(crate) fn add(&mut self, id: EventId, work: Work) {
        self.remove(id);
        self.all.push(Job { id, asked_ms: js_sys::Date::now(), work });
    }

    pub(crate) fn get(&mut self, id: EventId) -> Option<&mut Work> {
        let job = self.all.iter_mut().find(|job| job.id == id)?;
        job.asked_ms = js_sys::Date::now();
        Some(&mut job.work)
    }

    pub(crate) fn remove(&mut self, id: EventId) {
        self.all.retain(|job| job.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }
}

/// Begins a job on an open log; an import begins without one.
pub(crate) fn begin(log: &mut WebLog, request: JobRequest<'_>) -> Result<Work, Failure> {
    let (reader, mut input) = (log.reader(), request.input);
    let work = match request.action {
        action::VERIFY => {
            Work::Verify(Box::new(Verification::new(reader, VerifyOptions::default())))
        }
        action::ERASE => {
            let region = read_region(&mut input, &reader)?;
            Work::Erase(Box::new(EraseJob::begin(log, region)?))
        }
        action::COMPACT => Work::Compact(Box::new(CompactJob::read(&mut input, &reader)?)),
        action::EXPORT => Work::Export(Box::new(read_export(&mut input, log)?)),
        _ => return Err(Malformed.into()),
    };
    if input.is_empty() { Ok(work) } else { Err(Malformed.into()) }
}

/// Goes on with a job on an open log.
pub(crate) fn step(
    work: &mut Work,
    log: &mut WebLog,
    input: &mut Input<'_>,
) -> Result<Slice, Failure> {
    match work {
        Work::Verify(verification) => Ok(verify(verification)),
        Work::Erase(job) => job.step(log),
        Work::Compact(job) => job.step(log),
        Work::Export(job) => job.step(input),
        Work::Import(_) => Err(Malformed.into()),
    }
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
