//! Erasure and compaction in slices: segments written anew, beside appends.

use std::ops::ControlFlow;
use std::sync::Arc;

use annals_core::{
    CompactionConfig, CompactionProgress, CompactionRun, CompactionStep, CompactionStrategy,
    Erasable, Erasure, ErasureReport, ErasureStep, EventRef, Reader, Region, Sequence, Storage,
};

use super::{Clock, Places, STEP_LEN, Slice, Work};
use crate::answer::put_receipts;
use crate::engine::{Engine, WebLog};
use crate::failure::Failure;
use crate::files::AnyStorage;
use crate::request::read_region;
use crate::wire::{Input, Output};

/// Bytes that the output of a compaction has at most. Its index is made in memory and in one go.
const OUTPUT_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// An erasure under way.
pub(crate) struct EraseJob {
    erasure: Erasure,
    running: Option<(Erasable, CompactionRun<AnyStorage>)>,
    places: Places,
    bytes_before: u64,
    /// Nothing is left to be erased. Files that were replaced are deleted before the record says so.
    is_over: bool,
}

impl EraseJob {
    pub(super) fn begin(log: &mut WebLog, region: Region) -> Result<Self, Failure> {
        let places = Places::of(&log.reader());
        let erasure = log.begin_erasure(&region.into())?;
        Ok(EraseJob { erasure, running: None, places, bytes_before: 0, is_over: false })
    }

    fn slice(&mut self, log: &mut WebLog) -> Result<Slice, Failure> {
        if self.is_over {
            let mut rest = Output::default();
            put_erased(&mut rest, &log.finish_erasure(&mut self.erasure)?);
            return Ok(Slice::Done { bytes_total: self.places.total, rest });
        }
        let clock = Clock::start();
        let mut bytes_done = self.bytes_before;
        while !self.is_over && !clock.is_over() {
            bytes_done = self.go_on(log, &clock)?;
        }
        let rest = Output::default();
        Ok(Slice::More { bytes_done, bytes_total: self.places.total, rest })
    }

    /// Takes one step, and says how far it is.
    fn go_on(&mut self, log: &mut WebLog, clock: &Clock) -> Result<u64, Failure> {
        let erasure = &mut self.erasure;
        if let Some((found, run)) = &mut self.running {
            match run.step(STEP_LEN)? {
                CompactionStep::Done(compacted) => {
                    let found = *found;
                    self.bytes_before = self.places.bytes_before(run.end());
                    // Its hold on the old files goes first.
                    self.running = None;
                    log.finish_erasing(erasure, found, &compacted)?;
                }
                CompactionStep::Nothing => self.running = None,
                _ => return Ok(self.bytes_before + run.progress().read_bytes),
            }
            return Ok(self.bytes_before);
        }
        let look_on = || match clock.is_over() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        match erasure.step(&log.reader(), look_on)? {
            ErasureStep::Erase(found) => {
                let begun = log.begin_erasing(erasure, found)?;
                self.running = begun.map(|compaction| (found, compaction.in_steps()));
            }
            ErasureStep::Done => self.is_over = true,
            _ => {}
        }
        Ok(self.bytes_before)
    }
}

impl Work for EraseJob {
    fn step(&mut self, engine: &Engine, _: &mut Input<'_>) -> Result<Slice, Failure> {
        engine.with_open_log(|log| self.slice(log))
    }
}

fn put_erased(out: &mut Output, report: &ErasureReport) {
    out.u64(report.erased);
    out.u64(report.erased_before);
    out.u64(report.segments);
    out.count(report.waiting_files.len());
    report.waiting_files.iter().for_each(|file| out.text(&file.name()));
    put_receipts(out, report.record.as_slice());
}

/// A compaction under way.
pub(crate) struct CompactJob {
    config: CompactionConfig,
    from: Sequence,
    /// What is appended later is for the next one.
    until: Sequence,
    running: Option<CompactionRun<AnyStorage>>,
    sums: CompactionProgress,
    places: Places,
    bytes_before: u64,
}

impl CompactJob {
    pub(super) fn read<S: Storage>(
        input: &mut Input<'_>,
        reader: &Reader<S>,
    ) -> Result<Self, Failure> {
        let drop = match input.u8()? {
            0 => None,
            _ => Some(read_region(input, reader)?),
        };
        let drops = drop.is_some();
        let strategy = match drop {
            None => CompactionStrategy::Merge,
            Some(region) => CompactionStrategy::Retention(Arc::new(move |event: &EventRef<'_>| {
                !region.matches_ref(event.sequence(), event.header())
            })),
        };
        let seal = input.u8()? == 1;
        let output_max_bytes = input.option(Input::u64)?.unwrap_or(OUTPUT_MAX_BYTES);
        let config = CompactionConfig::new(strategy)
            .with_output_max_bytes(output_max_bytes)
            .with_seal_active(seal || drops);
        Ok(CompactJob {
            config,
            from: Sequence::ZERO,
            until: reader.end(),
            running: None,
            sums: CompactionProgress::default(),
            places: Places::of(reader),
            bytes_before: 0,
        })
    }

    fn slice(&mut self, log: &mut WebLog) -> Result<Slice, Failure> {
        let clock = Clock::start();
        let bytes_total = self.places.total;
        while !clock.is_over() {
            let Some(run) = &mut self.running else {
                let next = match self.from < self.until {
                    true => log.begin_compaction(&self.config, self.from)?,
                    false => None,
                };
                let Some(compaction) = next else { return Ok(self.done()) };
                self.config.seal_active = false;
                self.from = compaction.end();
                self.running = Some(compaction.in_steps());
                continue;
            };
            match run.step(STEP_LEN)? {
                CompactionStep::More => continue,
                CompactionStep::Done(compacted) => {
                    self.running = None;
                    self.sums.add(&log.finish_compaction(&compacted)?);
                }
                _ => self.running = None,
            }
            self.bytes_before = self.places.bytes_before(self.from);
        }
        let now = self.running.as_ref().map(CompactionRun::progress).unwrap_or_default();
        let bytes_done = self.bytes_before + now.read_bytes.max(now.looked_bytes);
        Ok(Slice::More { bytes_done, bytes_total, rest: Output::default() })
    }

    fn done(&self) -> Slice {
        let mut rest = Output::default();
        rest.u64(self.sums.kept_events);
        rest.u64(self.sums.dropped_events);
        Slice::Done { bytes_total: self.places.total, rest }
    }
}

impl Work for CompactJob {
    fn step(&mut self, engine: &Engine, _: &mut Input<'_>) -> Result<Slice, Failure> {
        engine.with_open_log(|log| self.slice(log))
    }
}
