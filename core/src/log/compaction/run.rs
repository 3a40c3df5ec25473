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
use crate::storage::{FileId, Storage, StorageError, StorageErrorKind, StorageFile};
use alloc::sync::Arc;
use core::fmt;
use core::ops::ControlFlow;

/// How many bytes are read between two chances to stop, or one frame if that is larger.
const STEP_LEN: u64 = 256 * 1024;

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
        let mut run = self.clone().in_steps();
        let mut told = (0, 0);
        loop {
            match run.step(STEP_LEN)? {
                CompactionStep::More => {
                    let now = run.progress();
                    let bytes = (now.looked_bytes, now.read_bytes);
                    if bytes != told && progress(&now).is_break() {
                        return Ok(None);
                    }
                    told = bytes;
                }
                CompactionStep::Nothing => return Ok(None),
                CompactionStep::Done(compacted) => {
                    let _ = progress(&compacted.progress());
                    return Ok(Some(compacted));
                }
            }
        }
    }

    /// To be run step by step, for hosts that have other things to do in between.
    #[must_use]
    pub fn in_steps(self) -> CompactionRun<S> {
        let state = State::Looking(Walk { next: 0, now: None });
        CompactionRun { compaction: self, state, looked_bytes: 0 }
    }

    /// Whether the strategy changes an event that stands in the next `bytes_max` bytes or so;
    /// `None` where that is not known yet.
    fn look(
        &self,
        walk: &mut Walk<S>,
        bytes_max: u64,
        looked_bytes: &mut u64,
    ) -> Result<Option<bool>, StoreError> {
        let Some(now) = walk.now(&self.inputs) else { return Ok(Some(false)) };
        let (input, before) = (Arc::clone(&now.input), now.offset);
        let walked = now.advance(bytes_max, |record, sequence| {
            if record.state == RecordState::Pruned {
                return Ok(());
            }
            let event = event_of(&input, record, sequence)?;
            let changes = match &self.strategy {
                CompactionStrategy::Merge => false,
                CompactionStrategy::Retention(keep) => !keep(&event),
                CompactionStrategy::Erase(erase) => {
                    record.state == RecordState::Whole && erase(&event)
                }
            };
            if changes { Err(Stop::Found) } else { Ok(()) }
        });
        *looked_bytes += now.offset - before;
        match walked {
            Ok(()) => walk.go_on(),
            Err(Stop::Enough) => {}
            Err(Stop::Found) => return Ok(Some(true)),
            Err(Stop::Failed(error)) => return Err(error),
        }
        Ok(None)
    }

    fn begin_output(&self, looked_bytes: u64) -> Result<HalfMade<S>, StoreError> {
        let id = FileId::segment(self.header.number);
        let file = Arc::new(self.storage.create(id)?);
        let storage = Arc::clone(&self.storage);
        let mut half_made = HalfMade { storage, id, file: Some(file), output: None };
        let file = half_made.file.as_ref().map(Arc::clone).expect("it was put there");
        let hasher = self.shared.hasher;
        let mut output = Output::begin(&*self.storage, file, self.header.clone(), hasher)?;
        output.progress.total_bytes =
            self.inputs.iter().map(|input| input.footer.frames_end - input.frames_start()).sum();
        output.progress.looked_bytes = looked_bytes;
        half_made.output = Some(output);
        Ok(half_made)
    }

    /// Writes what is left of the next `bytes_max` bytes or so; whether there are more.
    fn write(
        &self,
        output: &mut Output<Arc<S::File>>,
        walk: &mut Walk<S>,
        bytes_max: u64,
    ) -> Result<bool, StoreError> {
        let Some(now) = walk.now(&self.inputs) else { return Ok(false) };
        let (input, before) = (Arc::clone(&now.input), now.offset);
        let walked = now.advance(bytes_max, |record, sequence| {
            self.take(output, &input, record, sequence)?;
            if output.is_full() {
                output.flush()?;
            }
            Ok(())
        });
        output.progress.read_bytes += now.offset - before;
        match walked {
            Ok(()) => walk.go_on(),
            Err(Stop::Enough) => {}
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Found) => unreachable!("nothing is looked for here"),
        }
        Ok(true)
    }

    fn finish(&self, mut half_made: HalfMade<S>) -> Result<Compacted<S>, StoreError> {
        let output = half_made.output.take().expect("an output that was begun");
        let (footer, progress) = output.finish(self.output_end())?;
        // It is whole from here on, and stays.
        let file = half_made.file.take().expect("the file of an output that was begun");
        let (header, life) = (self.header.clone(), Life::new(self.header.number, &self.storage));
        Ok(Compacted {
            shared: Arc::clone(&self.shared),
            inputs: self.inputs.clone(),
            output: Arc::new(SealedSegment::new(header, footer, file, life)),
            progress,
        })
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
        output: &mut Output<Arc<S::File>>,
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

/// A compaction that is run step by step. Dropped before its end, it leaves nothing behind.
pub struct CompactionRun<S: Storage> {
    compaction: Compaction<S>,
    state: State<S>,
    looked_bytes: u64,
}

impl<S: Storage> fmt::Debug for CompactionRun<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (compaction, progress) = (&self.compaction, self.progress());
        f.debug_struct("CompactionRun")
            .field("compaction", compaction)
            .field("progress", &progress)
            .finish_non_exhaustive()
    }
}

/// What one step of a compaction came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum CompactionStep<S: Storage> {
    /// There is more to do.
    More,
    /// The output is whole: [`Log::finish_compaction`](crate::Log::finish_compaction).
    Done(Compacted<S>),
    /// There is nothing to change.
    Nothing,
}

enum State<S: Storage> {
    /// For an event that the strategy changes.
    Looking(Walk<S>),
    /// There is one: an output is to be made.
    Found,
    Writing(Walk<S>, HalfMade<S>),
    /// All is written but what comes behind the frames.
    Written(HalfMade<S>),
    Over,
}

impl<S: Storage> CompactionRun<S> {
    /// The sequence behind the last segment taken: where to look for the next compaction.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.compaction.end()
    }

    /// What was done so far.
    #[must_use]
    pub fn progress(&self) -> CompactionProgress {
        let looked_bytes = self.looked_bytes;
        match &self.state {
            State::Writing(_, half_made) | State::Written(half_made) => half_made.progress(),
            _ => CompactionProgress { looked_bytes, ..CompactionProgress::default() },
        }
    }

    /// Reads about `bytes_max` bytes of the inputs, one frame at least, and writes what is left of
    /// them. The last step writes the index, too, and waits until all is on stable storage.
    ///
    /// # Errors
    ///
    /// Corruption of an input and storage errors. Nothing has changed then, and it is over; but
    /// where the output's file was not ready
    /// ([`NotReady`](crate::StorageErrorKind::NotReady)), make it so and take the step again.
    pub fn step(&mut self, bytes_max: u64) -> Result<CompactionStep<S>, StoreError> {
        let compaction = &self.compaction;
        let state = core::mem::replace(&mut self.state, State::Over);
        self.state = match state {
            State::Looking(_) if compaction.is_needed => State::Found,
            State::Looking(mut walk) => {
                match compaction.look(&mut walk, bytes_max, &mut self.looked_bytes)? {
                    None => State::Looking(walk),
                    Some(true) => State::Found,
                    Some(false) => return Ok(CompactionStep::Nothing),
                }
            }
            State::Found => match compaction.begin_output(self.looked_bytes) {
                Ok(half_made) => State::Writing(Walk { next: 0, now: None }, half_made),
                Err(error) => {
                    let not_ready = matches!(&error, StoreError::Storage(error)
                        if error.kind() == StorageErrorKind::NotReady);
                    if not_ready {
                        self.state = State::Found;
                    }
                    return Err(error);
                }
            },
            State::Writing(mut walk, mut half_made) => {
                let output = half_made.output.as_mut().expect("an output that was begun");
                match compaction.write(output, &mut walk, bytes_max)? {
                    true => State::Writing(walk, half_made),
                    false => State::Written(half_made),
                }
            }
            State::Written(half_made) => {
                return compaction.finish(half_made).map(CompactionStep::Done);
            }
            State::Over => return Ok(CompactionStep::Nothing),
        };
        Ok(CompactionStep::More)
    }
}

/// How far the inputs were walked.
struct Walk<S: Storage> {
    /// The input behind the one that is walked now.
    next: usize,
    now: Option<InputWalk<S>>,
}

/// A walk over the records of one input.
struct InputWalk<S: Storage> {
    input: Arc<SealedSegment<S>>,
    source: FileSource<Arc<S::File>>,
    /// The next frame.
    offset: u64,
}

impl<S: Storage> Walk<S> {
    /// The walk over the input that comes next; `None` behind the last.
    fn now(&mut self, inputs: &[Arc<SealedSegment<S>>]) -> Option<&mut InputWalk<S>> {
        if self.now.is_none()
            && let Some(input) = inputs.get(self.next)
        {
            self.next += 1;
            let source = FileSource::new(Arc::clone(&input.file), input.footer.frames_end);
            let offset = input.frames_start();
            self.now = Some(InputWalk { input: Arc::clone(input), source, offset });
        }
        self.now.as_mut()
    }

    /// Goes on to the next input.
    fn go_on(&mut self) {
        self.now = None;
    }
}

impl<S: Storage> InputWalk<S> {
    /// Shows `visit` the next records with their sequences; [`Stop::Enough`] where more frames are
    /// left behind `bytes_max` bytes.
    fn advance(
        &mut self,
        bytes_max: u64,
        mut visit: impl FnMut(&RecordRef<'_>, Sequence) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let InputWalk { input, source, offset: next } = self;
        let (from, end, salt) = (*next, input.footer.frames_end, input.header.salt);
        let walked = scan::frames(source, from, end, salt, |offset, frame| {
            *next = offset;
            // One at least, so that every step comes further.
            if offset > from && offset - from >= bytes_max {
                return Err(Stop::Enough);
            }
            let mut sequence = frame.first_sequence;
            for record in frame.records() {
                let (_, record) = record.map_err(|fault| input.corruption(fault.behind(offset)))?;
                visit(&record, sequence)?;
                if record.state != RecordState::Pruned {
                    sequence = sequence.next();
                }
            }
            Ok::<(), Stop>(())
        })?;
        *next = walked.offset;
        match walked.fault {
            Some(fault) => Err(input.corruption(fault).into()),
            None => Ok(()),
        }
    }
}

/// An output that does not count yet. Dropped, it takes its file back.
struct HalfMade<S: Storage> {
    storage: Arc<S>,
    id: FileId,
    /// `None` once it is kept.
    file: Option<Arc<S::File>>,
    output: Option<Output<Arc<S::File>>>,
}

impl<S: Storage> HalfMade<S> {
    fn progress(&self) -> CompactionProgress {
        self.output.as_ref().map_or_else(CompactionProgress::default, |output| output.progress)
    }
}

impl<S: Storage> Drop for HalfMade<S> {
    fn drop(&mut self) {
        // Some hosts remove no file that is open.
        self.output = None;
        if let Some(file) = self.file.take() {
            // Its footer may be whole by now. It must not come back with a power cut, when the
            // store has gone on without it. What can't be done here is left to the next opening.
            let _ = file.set_len(0).and_then(|()| file.sync_data());
            drop(file);
            let _ = self.storage.remove(self.id);
            let _ = self.storage.sync_dir();
        }
    }
}

/// Why a walk over records ended early.
enum Stop {
    /// No more was asked for.
    Enough,
    /// What was looked for.
    Found,
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
