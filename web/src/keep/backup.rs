//! Backups in slices: out as bytes that are asked for, in as bytes that are given.

use annals_core::{
    Export, ExportOptions, Import, ImportSummary, Sequence, Verification, VerifyOptions,
};

use super::{Clock, Slice, Work};
use crate::engine::{Engine, WebLog};
use crate::failure::Failure;
use crate::files::AnyStorage;
use crate::host::WebHost;
use crate::wire::{Input, Output};

/// Bytes that are given away at once, at most.
const CHUNK_LEN_MAX: usize = 1024 * 1024;

/// A backup on its way out.
pub(crate) struct ExportJob {
    export: Export<AnyStorage>,
}

impl ExportJob {
    pub(super) fn read(input: &mut Input<'_>, log: &WebLog) -> Result<Self, Failure> {
        let from = input.option(Input::u64)?.map_or(Sequence::ZERO, Sequence::new);
        Ok(ExportJob { export: log.export(&ExportOptions::default().with_from(from))? })
    }

    /// `position u64 | len_max u32`. An answer that was lost can't be given again.
    fn slice(&mut self, input: &mut Input<'_>) -> Result<Slice, Failure> {
        let (position, len_max) = (input.u64()?, input.u32()?);
        if position != self.export.position() {
            return Ok(Slice::Unknown);
        }
        let len_max = usize::try_from(len_max).map_or(CHUNK_LEN_MAX, |len| len.min(CHUNK_LEN_MAX));
        let mut chunk = vec![0; len_max.max(1)];
        let len = self.export.next_chunk(&mut chunk)?;
        let (bytes_done, bytes_total) = (self.export.position(), self.export.len());
        let mut rest = Output::default();
        rest.bytes(&chunk[..len]);
        Ok(match len {
            0 => Slice::Done { bytes_total, rest },
            _ => Slice::More { bytes_done, bytes_total, rest },
        })
    }
}

impl Work for ExportJob {
    fn step(&mut self, engine: &Engine, input: &mut Input<'_>) -> Result<Slice, Failure> {
        engine.with_open_log(|_| self.slice(input))
    }
}

/// A backup on its way in.
pub(crate) struct ImportJob {
    import: Option<Import<AnyStorage, WebHost>>,
    verify: bool,
    phase: Phase,
}

enum Phase {
    Taking,
    Verifying(Box<Verification<AnyStorage>>),
    Publishing,
    Published(ImportSummary),
}

impl ImportJob {
    /// Closes the log: it is opened again when the backup was taken in, or was given up.
    pub(super) fn begin(engine: &Engine, input: &mut Input<'_>) -> Result<Self, Failure> {
        engine.with_log(|log| Ok(log.close_in_place()?))?;
        let verify = input.u8()? == 1;
        let import = Some(Import::new(engine.storage.clone(), WebHost));
        engine.log.take();
        Ok(ImportJob { import, verify, phase: Phase::Taking })
    }

    /// `0 | position u64 | bytes`, the next ones, or `1`: that was all. The progress says how many
    /// bytes were taken in.
    fn slice(&mut self, input: &mut Input<'_>) -> Result<Slice, Failure> {
        let Some(import) = &mut self.import else { return Ok(Slice::Unknown) };
        let is_all = input.u8()? == 1;
        let whole = import.header().is_some_and(|header| header.first_sequence == Sequence::ZERO);
        match &mut self.phase {
            Phase::Taking if !is_all => {
                let (position, bytes) = (input.u64()?, input.bytes()?);
                // What was taken before and is given again is passed over.
                let behind = import.position().checked_sub(position);
                let behind = behind.and_then(|behind| usize::try_from(behind).ok());
                match behind.and_then(|behind| bytes.get(behind..)) {
                    Some(bytes) => import.feed(bytes)?,
                    None => return Ok(Slice::Unknown),
                };
                // As long as nobody knows how many there are, there are those.
                let bytes_done = import.position();
                let bytes_total = import.header().map_or(bytes_done, |header| header.stream_len);
                return Ok(more(bytes_done, bytes_total));
            }
            Phase::Taking => {
                let reader = import.reader()?;
                self.phase = match self.verify && whole {
                    true => {
                        let verification = Verification::new(reader, VerifyOptions::default());
                        Phase::Verifying(Box::new(verification))
                    }
                    false => Phase::Publishing,
                };
            }
            Phase::Verifying(verification) => {
                let clock = Clock::start();
                while verification.step() {
                    if clock.is_over() {
                        let now = verification.progress();
                        return Ok(more(now.bytes_done, now.bytes));
                    }
                }
                let Phase::Verifying(verification) =
                    std::mem::replace(&mut self.phase, Phase::Publishing)
                else {
                    return Ok(Slice::Unknown);
                };
                let report = verification.finish();
                match report.faults.first() {
                    Some(fault) => return Err(Failure::not_whole(fault)),
                    None if !report.complete => {
                        return Err(Failure::invalid("not all was verified"));
                    }
                    None => {}
                }
            }
            Phase::Publishing => {
                let summary = import.publish()?;
                self.phase = Phase::Published(summary);
                self.import = None;
                return Ok(more(summary.bytes, summary.bytes));
            }
            Phase::Published(_) => {}
        }
        let bytes = import.position();
        Ok(more(bytes, bytes))
    }
}

impl Work for ImportJob {
    fn step(&mut self, engine: &Engine, input: &mut Input<'_>) -> Result<Slice, Failure> {
        let Phase::Published(summary) = &self.phase else { return self.slice(input) };
        // Whoever is told that it is done finds the events.
        let mut rest = Output::default();
        put_imported(&mut rest, summary);
        let bytes_total = summary.bytes;
        engine.log.replace(Some(engine.open_log()?));
        Ok(Slice::Done { bytes_total, rest })
    }
}

fn more(bytes_done: u64, bytes_total: u64) -> Slice {
    Slice::More { bytes_done, bytes_total, rest: Output::default() }
}

/// What the client learns of an import that counts.
fn put_imported(out: &mut Output, summary: &ImportSummary) {
    let header = &summary.header;
    out.text(&header.store_id.to_string());
    out.u64(header.first_sequence.get());
    out.u64(header.end_sequence.get());
    out.u64(summary.bytes);
}
