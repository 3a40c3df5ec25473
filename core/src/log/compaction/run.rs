//! Running a compaction: every record of the inputs is read, decided on and written.

use super::output::{Output, OutputEnd};
use super::{Compacted, Compaction, CompactionProgress, CompactionStrategy};
use crate::format::pruned::PrunedRun;
use crate::format::record::{RecordRef, RecordState};
use crate::format::{Fault, scan};
use crate::log::decode::EventRef;
use crate::log::segments::{Life, SealedSegment};
use crate::log::source::FileSource;
use crate::log::{Corruption, StoreError};
use crate::model::Sequence;
use crate::storage::{FileId, Storage, StorageError};
use alloc::sync::Arc;
use core::ops::ControlFlow;

/// How many bytes are read between two chances to stop, at most.
const LOOK_STEP_LEN: u64 = 256 * 1024;

impl<S: Storage> Compaction<S> {
    /// The sequence behind the last segment taken: where to look for the next compaction.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.inputs.last().map_or(Sequence::ZERO, |input| input.footer.end_sequence)
    }

    /// Writes the output. To be run beside appends and readers; `progress` is told how far it is
    /// and may stop it. `Ok(None)` where there is nothing to change, or it was stopped.
    ///
    /// # Errors
    ///
    /// Corruption of an input and storage errors. Nothing has changed then.
    pub fn run(
        &self,
        mut progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<Option<Compacted<S>>, StoreError> {
        let mut looked_bytes = 0;
        if !self.is_needed && !self.changes_anything(&mut looked_bytes, &mut progress)? {
            return Ok(None);
        }
        let id = FileId::segment(self.header.number);
        let file = Arc::new(self.storage.create(id)?);
        let written = self.write(&file, looked_bytes, &mut progress);
        match written {
            Ok(Some((output, progress))) => Ok(Some(Compacted {
                shared: Arc::clone(&self.shared),
                inputs: self.inputs.clone(),
                output: Arc::new(output),
                progress,
            })),
            stopped => {
                drop(file);
                // A half-made output is removed when the store opens, if it stays now.
                let _ = self.storage.remove(id);
                stopped.map(|_| None)
            }
        }
    }

    /// Whether the strategy changes any event; `false` also where `progress` stops it.
    fn changes_anything(
        &self,
        looked_bytes: &mut u64,
        progress: &mut impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        let mut changes = false;
        for input in &self.inputs {
            let before = *looked_bytes;
            let mut told = before;
            let walked = each_record(input, |offset, record, sequence| {
                *looked_bytes = before + (offset - input.frames_start());
                if *looked_bytes - told >= LOOK_STEP_LEN {
                    told = *looked_bytes;
                    let looked_bytes = *looked_bytes;
                    let now = CompactionProgress { looked_bytes, ..CompactionProgress::default() };
                    if progress(&now).is_break() {
                        return Err(Stop::Asked);
                    }
                }
                if record.state == RecordState::Pruned {
                    return Ok(());
                }
                let event = event_of(input, record, sequence)?;
                changes = match &self.strategy {
                    CompactionStrategy::Merge => false,
                    CompactionStrategy::Retention(keep) => !keep(&event),
                    CompactionStrategy::Erase(erase) => {
                        record.state == RecordState::Whole && erase(&event)
                    }
                };
                if changes { Err(Stop::Asked) } else { Ok(()) }
            });
            match walked {
                Ok(()) => *looked_bytes = before + input.footer.frames_end - input.frames_start(),
                Err(Stop::Asked) => return Ok(changes),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(changes)
    }

    fn write(
        &self,
        file: &Arc<S::File>,
        looked_bytes: u64,
        progress: &mut impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<Option<(SealedSegment<S>, CompactionProgress)>, StoreError> {
        let total_bytes =
            self.inputs.iter().map(|input| input.footer.frames_end - input.frames_start()).sum();
        let hasher = self.shared.hasher;
        let mut output = Output::begin(&*self.storage, &**file, self.header.clone(), hasher)?;
        output.progress.total_bytes = total_bytes;
        output.progress.looked_bytes = looked_bytes;
        for input in &self.inputs {
            let mut stopped = false;
            let read_before = output.progress.read_bytes;
            let mut told = read_before;
            let walked = each_record(input, |offset, record, sequence| {
                self.take(&mut output, input, record, sequence)?;
                output.progress.read_bytes = read_before + (offset - input.frames_start());
                let is_full = output.is_full();
                if is_full {
                    output.flush()?;
                }
                // What is erased or dropped is read and not written.
                if is_full || output.progress.read_bytes - told >= LOOK_STEP_LEN {
                    told = output.progress.read_bytes;
                    stopped = progress(&output.progress).is_break();
                }
                if stopped { Err(Stop::Asked) } else { Ok(()) }
            });
            match walked {
                Ok(()) => {}
                Err(Stop::Asked) => return Ok(None),
                Err(Stop::Failed(error)) => return Err(error),
            }
            let input_bytes = input.footer.frames_end - input.frames_start();
            output.progress.read_bytes = read_before + input_bytes;
        }
        let (footer, done) = output.finish(self.output_end())?;
        let _ = progress(&done);
        let (header, life) = (self.header.clone(), Life::new(self.header.number, &self.storage));
        Ok(Some((SealedSegment::new(header, footer, Arc::clone(file), life), done)))
    }

    /// Where the output ends: where its last input does.
    fn output_end(&self) -> OutputEnd {
        let last = &self.inputs.last().expect("a compaction has inputs").footer;
        let (sequence, chain_hash, hlc) = (last.end_sequence, Some(last.chain_hash), last.last_hlc);
        let newest_loss = self.inputs.iter().map(|input| input.newest_loss()).max();
        OutputEnd { sequence, chain_hash, hlc, newest_loss }
    }

    /// Decides on one record and writes what is left of it.
    fn take(
        &self,
        output: &mut Output<'_, S::File>,
        input: &SealedSegment<S>,
        record: &RecordRef<'_>,
        sequence: Sequence,
    ) -> Result<(), StoreError> {
        if record.state == RecordState::Pruned {
            let run = PrunedRun::decode(record).map_err(|fault| input.corruption(fault))?;
            output.prune(run);
            return Ok(());
        }
        let event = event_of(input, record, sequence)?;
        match &self.strategy {
            CompactionStrategy::Retention(keep) if !keep(&event) => {
                let header = event.header();
                output.progress.dropped_events += 1;
                output.prune(PrunedRun {
                    entity: header.entity().into(),
                    first_version: header.version(),
                    last_version: header.version(),
                    last_sequence: sequence,
                    prev_hash: header.prev_hash(),
                    last_hash: event.event_hash(),
                });
                Ok(())
            }
            CompactionStrategy::Erase(erase)
                if record.state == RecordState::Whole && erase(&event) =>
            {
                output.progress.erased_events += 1;
                output.push(&event, record, Some(event.content_hash()))
            }
            _ => output.push(&event, record, None),
        }
    }
}

/// Why a walk over records ended early.
enum Stop {
    Asked,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Stop::Failed(error.into())
    }
}

/// Shows `visit` every record of a sealed segment, with its frame's offset and its sequence.
fn each_record<S: Storage, E>(
    input: &SealedSegment<S>,
    mut visit: impl FnMut(u64, &RecordRef<'_>, Sequence) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<StoreError> + From<StorageError>,
{
    let (start, end) = (input.frames_start(), input.footer.frames_end);
    let mut source = FileSource::new(&*input.file, end);
    let walked = scan::frames(&mut source, start, end, input.header.salt, |offset, frame| {
        let mut sequence = frame.first_sequence;
        for record in frame.records() {
            let (_, record) = record.map_err(|fault| input.corruption(fault.behind(offset)))?;
            visit(offset, &record, sequence)?;
            if record.state != RecordState::Pruned {
                sequence = sequence.next();
            }
        }
        Ok::<(), E>(())
    })?;
    match walked.fault {
        Some(fault) => Err(input.corruption(fault).into()),
        None => Ok(()),
    }
}

fn event_of<'a, S: Storage>(
    input: &SealedSegment<S>,
    record: &RecordRef<'a>,
    sequence: Sequence,
) -> Result<EventRef<'a>, StoreError> {
    EventRef::new(*record, sequence).map_err(|fault| input.corruption(fault))
}

impl<S: Storage> SealedSegment<S> {
    fn frames_start(&self) -> u64 {
        self.header.encoded_len() as u64
    }

    fn corruption(&self, fault: Fault) -> StoreError {
        Corruption::at(self.file_id(), 0, fault).into()
    }
}
