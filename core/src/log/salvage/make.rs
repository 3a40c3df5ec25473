//! Writing the new store: segments copied, or written anew.

use super::links::Links;
use super::look::{Place, Survey, look};
use super::{SalvageReport, Steps};
use crate::format::pruned::PrunedRun;
use crate::format::record::{RecordRef, RecordState};
use crate::format::segment::{SegmentHeader, StoreId};
use crate::index::KeyHasher;
use crate::log::StoreError;
use crate::log::compaction::{Output, OutputEnd};
use crate::log::config::Host;
use crate::log::decode::EventRef;
use crate::model::{Hash, Hlc, Sequence};
use crate::storage::{FileId, Storage, StorageFile};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// Where the new store stands.
struct Tip {
    chain_hash: Hash,
    hlc: Hlc,
    next_number: u64,
}

/// Writes all segments; `Break` where it was stopped.
pub(super) fn segments<F: StorageFile, T: Storage, H: Host>(
    places: &[Place<F>],
    links: &Links,
    target: &T,
    host: &H,
    store_id: StoreId,
    report: &mut SalvageReport,
    steps: &mut Steps<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    let numbers = places.iter().filter_map(|place| place.survey.as_ref()).map(|of| of.id.number);
    let next_number = numbers.max().unwrap_or(0) + 1;
    let mut tip = Tip { chain_hash: Hash::ZERO, hlc: Hlc::ZERO, next_number };
    for (at, place) in places.iter().enumerate() {
        let copied = place.survey.as_ref().filter(|survey| {
            !place.is_rewritten && survey.header.prev_chain_hash == tip.chain_hash
        });
        let is_empty = place.base == place.end && at + 1 == places.len();
        match copied {
            // Nothing is left of the last one.
            None if is_empty && !links.marks.contains_key(&at) => {}
            Some(survey) => copy(survey, place.end, target, &mut tip, report)?,
            None => {
                let work = Work { places, at, links, target, host, store_id };
                rewrite(&work, &mut tip, report)?;
            }
        }
        report.end = place.end;
        let done = place.survey.as_ref().map_or(0, |survey| survey.len);
        if steps.did(done).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    target.sync_dir()?;
    Ok(ControlFlow::Continue(()))
}

fn copy<F: StorageFile, T: Storage>(
    survey: &Survey<F>,
    end: Sequence,
    target: &T,
    tip: &mut Tip,
    report: &mut SalvageReport,
) -> Result<(), StoreError> {
    let looked = look(survey, end);
    let len = match &survey.footer {
        Some(_) => survey.len,
        // Behind the last frame of the active segment there are zeros at most. A file that was
        // cut may lack some of those that pad the frame.
        None => looked.frames_end.min(survey.len),
    };
    let file = target.create(survey.id)?;
    let (mut at, mut chunk) = (0, Vec::new());
    while at < len {
        chunk.resize(usize::try_from(len - at).unwrap_or(usize::MAX).min(1024 * 1024), 0);
        survey.file.read_exact_at(&mut chunk, at)?;
        file.write_all_at(&chunk, at)?;
        at += chunk.len() as u64;
    }
    file.sync_data()?;
    tip.hlc = looked.hlc.map_or(tip.hlc, |hlc| hlc.max(tip.hlc));
    if let Some(footer) = &survey.footer {
        tip.chain_hash = footer.chain_hash;
        tip.hlc = footer.last_hlc.max(tip.hlc);
    }
    report.copied_segments += 1;
    report.kept_events += looked.sound.iter().filter(|sound| !sound.is_mark).count() as u64;
    Ok(())
}

/// What a segment is written anew from.
struct Work<'a, F, T, H> {
    places: &'a [Place<F>],
    at: usize,
    links: &'a Links,
    target: &'a T,
    host: &'a H,
    store_id: StoreId,
}

fn rewrite<F: StorageFile, T: Storage, H: Host>(
    work: &Work<'_, F, T, H>,
    tip: &mut Tip,
    report: &mut SalvageReport,
) -> Result<(), StoreError> {
    let place = &work.places[work.at];
    let mut salt = [0; 4];
    work.host.fill_random(&mut salt);
    let header = SegmentHeader {
        store_id: work.store_id,
        number: tip.next_number,
        base_sequence: place.base,
        created_us: work.host.now_us(),
        salt: u32::from_le_bytes(salt),
        prev_chain_hash: tip.chain_hash,
        // 0 is no segment's number: nobody knows which one held them.
        replaces: vec![place.survey.as_ref().map_or(0, |survey| survey.id.number)],
    };
    tip.next_number += 1;
    let file = work.target.create(FileId::segment(header.number))?;
    let mut output = Output::begin(work.target, &file, header, KeyHasher::new(&work.store_id))?;
    let mut marks = work.links.marks.get(&work.at).cloned().unwrap_or_default();
    report.pruned_runs += marks.len() as u64;
    let mut hlc = tip.hlc;
    if let Some(survey) = &place.survey {
        for sound in &look(survey, place.end).sound {
            if work.links.rejected.contains(&(work.at, sound.offset)) {
                continue;
            }
            if let Some(run) = marks.remove(&(sound.stream, sound.first_version)) {
                output.prune(run);
            }
            let mut bytes = vec![0; sound.len];
            survey.file.read_exact_at(&mut bytes, sound.offset)?;
            let damaged = |fault| StoreError::corruption(survey.id, sound.offset, fault);
            let record = RecordRef::parse_checked(&bytes, survey.header.salt).map_err(damaged)?;
            if record.state == RecordState::Pruned {
                output.prune(PrunedRun::decode(&record).map_err(damaged)?);
                continue;
            }
            let event = EventRef::new(record, sound.sequence).map_err(damaged)?;
            hlc = hlc.max(event.header().hlc());
            output.push(&event, &record, None)?;
            if output.is_full() {
                output.flush()?;
            }
        }
        hlc = survey.footer.as_ref().map_or(hlc, |footer| footer.last_hlc.max(hlc));
    }
    let mut left: Vec<PrunedRun> = marks.into_values().collect();
    left.sort_by(|a, b| (&a.entity, a.first_version).cmp(&(&b.entity, b.first_version)));
    for run in left {
        output.prune(run);
    }
    let end = OutputEnd {
        sequence: place.end,
        chain_hash: work.wanted_chain_hash(),
        hlc,
        // What is not said counts as a loss: caches must not rely on what was made before.
        newest_loss: None,
    };
    let (footer, done) = output.finish(end)?;
    (tip.chain_hash, tip.hlc) = (footer.chain_hash, hlc);
    report.rewritten_segments += 1;
    report.kept_events += done.kept_events;
    Ok(())
}

impl<F, T, H> Work<'_, F, T, H> {
    /// The hash that the next segment names, or that this one had.
    fn wanted_chain_hash(&self) -> Option<Hash> {
        let next = self.places.get(self.at + 1).and_then(|next| next.survey.as_ref());
        let named = next.filter(|next| next.is_header_whole);
        let own = self.places[self.at].survey.as_ref().and_then(|own| own.footer.as_ref());
        named
            .map(|next| next.header.prev_chain_hash)
            .or_else(|| own.map(|footer| footer.chain_hash))
    }
}
