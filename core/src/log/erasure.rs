//! Erasure: metadata and payloads that must go leave every file, and a record says that they did.
//!
//! The order is what keeps the record true at every crash. First a note in the meta log says that an
//! erasure is under way. Then each segment that holds a match is written anew without it, the active
//! one sealed first. Then what projections have kept goes, since it was made of payloads. Then the
//! removal of the old files is put on stable storage, the record is appended and synced, and the
//! note goes. A crash on the way leaves some payloads erased, the note, and no record: erasing the
//! same again goes on and ends with the one record, whose id the note holds.

mod plan;

pub use plan::{ErasurePlan, ErasureTarget};

use crate::log::StoreError;
use crate::log::compaction::{Compacted, Compaction, CompactionProgress, CompactionStrategy};
use crate::log::config::Host;
use crate::log::decode::EventRef;
use crate::log::meta::{Change, MetaSync};
use crate::log::reader::Reader;
use crate::log::writer::Log;
use crate::model::{
    Append, AppendOptions, AppendReceipt, Coordinate, EventId, EventKind, Payload, Region, Sequence,
};
use crate::storage::{FileId, Storage};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use plan::Seen;
use serde::{Deserialize, Serialize};

/// What the record of an erasure says, in JSON, version 1: how many, and not what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErasureRecord {
    /// Events whose content this erasure has made unreadable.
    pub erased: u64,
    /// Events of its target whose content was gone before, by an earlier erasure or by this one
    /// before a crash.
    pub erased_before: u64,
    /// When it began, in microseconds since 1970. When it ended is the event's own time.
    pub begun_us: i64,
    /// Whether an erasure before it was interrupted, so that there is one record for both.
    pub interrupted: bool,
}

impl ErasureRecord {
    /// The entity of the stream that all records of erasures are in.
    pub const ENTITY: &str = "annals:erasure";
    /// Its scope.
    pub const SCOPE: &str = "annals";

    /// The address of all records of erasures.
    ///
    /// # Panics
    ///
    /// Never: both parts are valid.
    #[must_use]
    pub fn coordinate() -> Coordinate {
        Coordinate::new(Self::ENTITY, Self::SCOPE).expect("both parts are valid")
    }
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErasureReport {
    /// Events whose content was erased now.
    pub erased: u64,
    /// Events of the target whose content was gone before.
    pub erased_before: u64,
    /// Segments that were written anew.
    pub segments: u64,
    /// Whether it went through to the end. One that was stopped goes on when the same is erased
    /// again.
    pub complete: bool,
    /// The receipt of the record; `None` where nothing had to be erased, or it was stopped.
    pub record: Option<AppendReceipt>,
    /// Replaced files that readers still hold, with the erased bytes in them: they go with the last
    /// such reader, or when the store is opened next.
    pub waiting_files: Vec<FileId>,
}

/// An erasure under way; see [`Log::begin_erasure`].
#[derive(Debug)]
pub struct Erasure {
    region: Region,
    /// What was appended later is not its matter.
    end: Sequence,
    from: Sequence,
    /// The look for the next segment, where it was broken off.
    look: Option<Look>,
    note: Note,
    is_noted: bool,
    interrupted: bool,
    replaced: BTreeSet<FileId>,
    progress: CompactionProgress,
    erased_before: u64,
    segments: u64,
}

/// How far the look for the next segment is.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Sequence,
    /// Where to stop looking.
    end: Sequence,
    found: Option<Sequence>,
    erased_before: u64,
}

/// A segment that holds something to be erased.
#[derive(Debug, Clone, Copy)]
pub struct Erasable {
    /// Any sequence in it.
    sequence: Sequence,
    erased_before: u64,
}

/// What an erasure does next.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErasureStep {
    /// A segment is to be written anew: [`Log::begin_erasing`].
    Erase(Erasable),
    /// There is none any more: [`Log::finish_erasure`].
    Done,
    /// It was stopped: [`Log::stop_erasure`], or take another step, which goes on looking there.
    Stopped,
}

/// The note in the meta log that an erasure is under way.
#[derive(Debug, Clone, Copy)]
struct Note {
    /// The id that the record will have.
    id: EventId,
    begun_us: i64,
}

/// The key of the note: 16 bytes of the record's id, then `begun_us`, i64.
const NOTE_KEY: &[u8] = b"e/pending";
/// How many events are looked at between two chances to stop.
const LOOK_STEP: u64 = 1024;

impl Note {
    fn encode(self) -> Vec<u8> {
        [&self.id.as_bytes()[..], &self.begun_us.to_le_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, begun_us) = bytes.split_first_chunk::<16>()?;
        let begun_us = i64::from_le_bytes(begun_us.try_into().ok()?);
        Some(Note { id: EventId::from_bytes(*id), begun_us })
    }
}

impl Erasure {
    /// What was done so far, over all segments.
    #[must_use]
    pub fn progress(&self) -> CompactionProgress {
        self.progress
    }

    /// Looks for the next segment that holds something to be erased. It needs no writer; `go_on` is
    /// asked now and then whether to.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn step<S: Storage>(
        &mut self,
        reader: &Reader<S>,
        mut go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<ErasureStep, StoreError> {
        let fresh = Look { at: self.from, end: self.end, found: None, erased_before: 0 };
        let mut look = self.look.take().unwrap_or(fresh);
        let mut query = reader.query(&self.region).starting_at(look.at);
        let mut looked = 0_u64;
        while let Some(seen) = query.next_with(Seen::of)?.filter(|seen| seen.sequence < look.end) {
            match seen.content_len {
                None => look.erased_before += 1,
                Some(_) if look.found.is_some() => {}
                Some(_) if seen.is_record => {}
                Some(_) => {
                    // What is erased in the same segment is counted with it.
                    let sealed = reader.view.sealed.get(reader.view.place_of(seen.sequence));
                    let end = sealed.map_or(look.end, |sealed| sealed.footer.end_sequence);
                    look.end = end.min(look.end);
                    look.found = Some(seen.sequence);
                }
            }
            looked += 1;
            if looked.is_multiple_of(LOOK_STEP) && go_on().is_break() {
                look.at = seen.sequence.next();
                self.look = Some(look);
                return Ok(ErasureStep::Stopped);
            }
        }
        let erased_before = look.erased_before;
        if let Some(sequence) = look.found {
            return Ok(ErasureStep::Erase(Erasable { sequence, erased_before }));
        }
        self.erased_before += erased_before;
        self.from = self.end;
        Ok(ErasureStep::Done)
    }

    fn report(&self, record: Option<AppendReceipt>, complete: bool) -> ErasureReport {
        ErasureReport {
            erased: self.progress.erased_events,
            erased_before: self.erased_before,
            segments: self.segments,
            complete,
            record,
            waiting_files: self.replaced.iter().copied().collect(),
        }
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Erases metadata and payloads for good. Headers, hashes and the chain stay; events come with
    /// [`Payload::Erased`] from then on. What is appended later is not touched.
    ///
    /// When it is done, no file of the store has a byte of them any more, but for the files that
    /// the report calls waiting, and the log has one [`EventKind::ERASURE`] event more: an
    /// [`ErasureRecord`] that says when and how many. States that projections keep in the store
    /// are removed too. A crash on the way, or `progress` that stops it, leaves some of them erased
    /// and no record: erase the same again.
    ///
    /// A host with threads takes the steps one by one, so that appends go on meanwhile: see
    /// [`begin_erasure`](Log::begin_erasure).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] for an id that no event has; corruption of a segment that is read;
    /// storage errors. It may be tried again then.
    pub fn erase(
        &mut self,
        target: &ErasureTarget,
        mut progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<ErasureReport, StoreError> {
        let mut erasure = self.begin_erasure(target)?;
        loop {
            let so_far = erasure.progress;
            let found = match erasure.step(&self.reader, || progress(&so_far))? {
                ErasureStep::Erase(found) => found,
                ErasureStep::Done => return self.finish_erasure(&mut erasure),
                ErasureStep::Stopped => return self.stop_erasure(&erasure),
            };
            let Some(compaction) = self.begin_erasing(&mut erasure, found)? else { continue };
            let mut stopped = false;
            let compacted = compaction.run(|now| {
                let mut sum = so_far;
                sum.add(now);
                let told = progress(&sum);
                stopped = told.is_break();
                told
            })?;
            drop(compaction);
            if let Some(compacted) = compacted {
                self.finish_erasing(&mut erasure, found, &compacted)?;
            }
            if stopped {
                return self.stop_erasure(&erasure);
            }
        }
    }

    /// Begins an erasure: the active segment is sealed if it holds a match. Then
    /// [`Erasure::step`] says which segment is next, [`begin_erasing`](Log::begin_erasing) begins
    /// to write it anew, [`Compaction::run`] does so beside appends and readers,
    /// [`finish_erasing`](Log::finish_erasing) takes it in, until nothing is left and
    /// [`finish_erasure`](Log::finish_erasure) ends it. No other compaction may run meanwhile.
    ///
    /// # Errors
    ///
    /// As [`erase`](Log::erase).
    pub fn begin_erasure(&mut self, target: &ErasureTarget) -> Result<Erasure, StoreError> {
        self.check_healthy()?;
        self.commit(|_, _| {})?;
        let region = target.region(&self.reader)?;
        let begun_us = self.host.now_us();
        let (note, interrupted) = match self.interrupted_erasure()? {
            Some(note) => (note, true),
            None => (Note { id: self.new_id(begun_us), begun_us }, false),
        };
        if self.active_holds(&region)? {
            self.seal()?;
        }
        Ok(Erasure {
            region,
            end: self.reader.end,
            from: Sequence::ZERO,
            look: None,
            note,
            is_noted: interrupted,
            interrupted,
            replaced: BTreeSet::new(),
            progress: CompactionProgress::default(),
            erased_before: 0,
            segments: 0,
        })
    }

    /// Begins to write anew the segment that [`Erasure::step`] found; `None` where it must look
    /// again, since the segments have changed.
    ///
    /// # Errors
    ///
    /// Storage errors.
    pub fn begin_erasing(
        &mut self,
        erasure: &mut Erasure,
        found: Erasable,
    ) -> Result<Option<Compaction<S>>, StoreError> {
        let place = self.reader.view.place_of(found.sequence);
        let Some(sealed) = self.reader.view.sealed.get(place).cloned() else {
            self.seal()?;
            return Ok(None);
        };
        if !erasure.is_noted {
            let value = Some(erasure.note.encode());
            self.write_meta(vec![Change { key: NOTE_KEY.to_vec(), value }], MetaSync::Now)?;
            erasure.is_noted = true;
        }
        let (region, end) = (erasure.region.clone(), erasure.end);
        let erase = move |event: &EventRef<'_>| {
            event.sequence() < end
                && event.header().kind() != EventKind::ERASURE
                && region.matches_ref(event.sequence(), event.header())
        };
        let strategy = CompactionStrategy::Erase(Arc::new(erase));
        Ok(Some(self.compaction_of(vec![sealed], strategy, true)))
    }

    /// Puts a segment that was written anew in the place of the old one.
    ///
    /// # Errors
    ///
    /// As [`finish_compaction`](Log::finish_compaction).
    pub fn finish_erasing(
        &mut self,
        erasure: &mut Erasure,
        found: Erasable,
        compacted: &Compacted<S>,
    ) -> Result<(), StoreError> {
        let (end, replaced) = (compacted.end(), compacted.replaced());
        let done = self.finish_compaction(compacted)?;
        erasure.replaced.extend(replaced);
        erasure.progress.add(&done);
        erasure.erased_before += found.erased_before;
        erasure.segments += 1;
        erasure.from = end;
        Ok(())
    }

    /// Ends an erasure: the record is appended and on stable storage when this returns, unless
    /// there was nothing to be erased.
    ///
    /// # Errors
    ///
    /// Storage errors: calling it again, or erasing the same again, appends the record.
    ///
    /// # Panics
    ///
    /// Where [`Erasure::step`] has not said that it is done.
    pub fn finish_erasure(&mut self, erasure: &mut Erasure) -> Result<ErasureReport, StoreError> {
        assert!(erasure.from == erasure.end, "an erasure ends when nothing is left to be erased");
        if erasure.progress.erased_events == 0 && !erasure.interrupted {
            return Ok(erasure.report(None, true));
        }
        self.purge_projections()?;
        self.keep_waiting(erasure)?;
        self.storage.sync_dir().map_err(|error| self.poisoned_by(error))?;
        let record = ErasureRecord {
            erased: erasure.progress.erased_events,
            erased_before: erasure.erased_before,
            begun_us: erasure.note.begun_us,
            interrupted: erasure.interrupted,
        };
        let append =
            Append::new(ErasureRecord::coordinate(), EventKind::ERASURE, Payload::json(&record)?);
        let options = AppendOptions::default().with_idempotency_key(erasure.note.id);
        let mut receipt = self.append_own(&append.with_options(options))?;
        self.sync()?;
        receipt.durable = true;
        self.forget_note()?;
        Ok(erasure.report(Some(receipt), true))
    }

    /// What an erasure that is given up has done. Erasing the same again goes on.
    ///
    /// # Errors
    ///
    /// Storage errors.
    pub fn stop_erasure(&mut self, erasure: &Erasure) -> Result<ErasureReport, StoreError> {
        let listed = self.storage.list()?;
        let mut report = erasure.report(None, false);
        report.waiting_files.retain(|file| listed.contains(file));
        Ok(report)
    }

    /// Whether an erasure began and never came to its end, because of a crash or because it was
    /// stopped: some of its payloads may still be there. Erase the same again.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn is_erasure_pending(&self) -> Result<bool, StoreError> {
        let Some(note) = self.meta_value(NOTE_KEY).and_then(Note::decode) else {
            return Ok(false);
        };
        Ok(self.reader.find(note.id, |_| ())?.is_none())
    }

    /// The note of an erasure that has no record yet.
    fn interrupted_erasure(&mut self) -> Result<Option<Note>, StoreError> {
        let Some(note) = self.meta_value(NOTE_KEY).and_then(Note::decode) else {
            return Ok(None);
        };
        if self.reader.find(note.id, |_| ())?.is_some() {
            // Only the note was left to be removed.
            self.forget_note()?;
            return Ok(None);
        }
        Ok(Some(note))
    }

    fn forget_note(&mut self) -> Result<(), StoreError> {
        self.write_meta(vec![Change { key: NOTE_KEY.to_vec(), value: None }], MetaSync::Now)
    }

    /// Whether the active segment holds an event of a region that is not erased.
    fn active_holds(&self, region: &Region) -> Result<bool, StoreError> {
        let Some(active) = &self.reader.view.active else { return Ok(false) };
        let mut query = self.reader.query(region).starting_at(active.header.base_sequence);
        while let Some(seen) = query.next_with(Seen::of)? {
            if seen.content_len.is_some() && !seen.is_record {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps those of the replaced files that are still there.
    fn keep_waiting(&self, erasure: &mut Erasure) -> Result<(), StoreError> {
        let listed = self.storage.list()?;
        erasure.replaced.extend(self.stale_meta_files());
        erasure.replaced.retain(|file| listed.contains(file));
        Ok(())
    }
}
