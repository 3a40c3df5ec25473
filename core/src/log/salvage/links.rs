//! Which records are right together, and where marks must carry a chain over a gap.
//!
//! The segments are gone through from the newest to the oldest, since it is the later event that
//! vouches for the earlier one: it names its hash.

use super::look::{Looked, Place, Sound, look};
use super::{SalvageLoss, Steps};
use crate::format::pruned::PrunedRun;
use crate::format::record::{RecordRef, RecordState};
use crate::format::segment::StoreId;
use crate::index::KeyHasher;
use crate::log::recovery::index_frames;
use crate::model::wire::decode_header;
use crate::model::{Hash, Sequence, Version};
use crate::storage::StorageFile;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

/// What the chains say of all segments.
#[derive(Default)]
pub(super) struct Links {
    /// Records that are not taken over: the place of their segment, and their offset.
    pub(super) rejected: HashSet<(usize, u64)>,
    /// The marks of each place: before the event of that stream and version, or behind all events
    /// where it is in a later place.
    pub(super) marks: BTreeMap<usize, HashMap<(u128, Version), PrunedRun>>,
}

/// The earliest record of a stream so far.
#[derive(Clone, Copy)]
struct Next {
    place: usize,
    sound: Sound,
}

/// Decides on all records; `None` where it was stopped.
pub(super) fn check<F: StorageFile>(
    places: &mut [Place<F>],
    store_id: StoreId,
    losses: &mut Vec<SalvageLoss>,
    steps: &mut Steps<'_>,
) -> Option<Links> {
    let hasher = KeyHasher::new(&store_id);
    let mut links = Links::default();
    let mut streams: HashMap<u128, Next> = HashMap::new();
    for at in (0..places.len()).rev() {
        let end = places[at].end;
        let Some(survey) = &places[at].survey else { continue };
        let looked = look(survey, end);
        let damaged = !looked.losses.is_empty() || !is_whole(&places[at], &looked, hasher);
        places[at].is_rewritten |= damaged;
        let file_len = places[at].survey.as_ref().map_or(0, |survey| survey.len);
        for sound in looked.sound.iter().rev() {
            if let Some(reason) = fault(sound, streams.get(&sound.stream)) {
                links.rejected.insert((at, sound.offset));
                places[at].is_rewritten = true;
                let sequence = Some(sound.sequence).filter(|_| !sound.is_mark);
                losses.push(SalvageLoss {
                    file: places[at].survey.as_ref().map(|survey| survey.id),
                    offset: sound.offset,
                    first_sequence: sequence,
                    last_sequence: sequence,
                    reason: reason.into(),
                });
                continue;
            }
            let next = streams.insert(sound.stream, Next { place: at, sound: *sound });
            if let Some(next) = next
                && sound.last_version.checked_next() != Some(next.sound.first_version)
            {
                let from = sound.last_version.checked_next().unwrap_or(Version::MAX);
                links.mark(places, at, from, sound.hash, next);
            }
        }
        losses.extend(looked.losses);
        if steps.did(file_len).is_break() {
            return None;
        }
    }
    for next in streams.into_values() {
        if next.sound.first_version > Version::ZERO {
            links.mark(places, 0, Version::ZERO, Hash::ZERO, next);
        }
    }
    Some(links)
}

/// Why a record can't be the one before `next` in its stream.
fn fault(sound: &Sound, next: Option<&Next>) -> Option<&'static str> {
    if (sound.first_version == Version::ZERO) != (sound.prev_hash == Hash::ZERO) {
        return Some("its version and the hash that it names contradict each other");
    }
    let next = next?.sound;
    if next.first_version <= sound.last_version {
        return Some("its version comes again later in its stream");
    }
    let follows = sound.last_version.checked_next() == Some(next.first_version);
    (follows && next.prev_hash != sound.hash)
        .then_some("the event behind it in its stream names another hash: it was changed")
}

impl Links {
    /// Notes the mark of the versions from `from` to before `next`. It goes to the last segment
    /// before the gap's end that is written anyway, or else has that of the next event written.
    fn mark<F: StorageFile>(
        &mut self,
        places: &mut [Place<F>],
        least: usize,
        from: Version,
        prev_hash: Hash,
        next: Next,
    ) {
        let rewritten = (least..=next.place).rev().find(|at| places[*at].is_rewritten);
        let at = rewritten.unwrap_or(next.place);
        places[at].is_rewritten = true;
        let Some(entity) = entity_of(&places[next.place], &next.sound) else { return };
        let last_sequence = next.sound.sequence.min(places[at].end).checked_prev();
        let run = PrunedRun {
            entity,
            first_version: from,
            last_version: next.sound.first_version.checked_prev().unwrap_or(Version::ZERO),
            last_sequence: last_sequence.unwrap_or(Sequence::ZERO),
            prev_hash,
            last_hash: next.sound.prev_hash,
        };
        let key = (next.sound.stream, next.sound.first_version);
        self.marks.entry(at).or_default().insert(key, run);
    }
}

/// The stream's name, from the record itself: names are not held for all streams.
fn entity_of<F: StorageFile>(place: &Place<F>, sound: &Sound) -> Option<String> {
    let survey = place.survey.as_ref()?;
    let mut bytes = vec![0; sound.len];
    survey.file.read_exact_at(&mut bytes, sound.offset).ok()?;
    let record = RecordRef::parse_checked(&bytes, survey.header.salt).ok()?;
    match record.state {
        RecordState::Pruned => Some(PrunedRun::decode(&record).ok()?.entity),
        _ => Some(decode_header(record.header).ok()?.entity().into()),
    }
}

/// Whether a segment can be copied byte by byte: everything in it is as it was written.
fn is_whole<F: StorageFile>(place: &Place<F>, looked: &Looked, hasher: KeyHasher) -> bool {
    let Some(survey) = place.survey.as_ref().filter(|_| !place.is_rewritten) else { return false };
    let Some(footer) = &survey.footer else { return looked.end == place.end };
    let (file, header) = (&*survey.file, &survey.header);
    let Ok(scanned) = index_frames(file, header, footer.frames_end, hasher) else { return false };
    let block_len = usize::try_from(footer.index_len).unwrap_or(usize::MAX);
    let mut block = vec![0; block_len];
    scanned.end.fault.is_none()
        && u64::from(scanned.index.event_count()) == footer.event_count
        && file.read_exact_at(&mut block, footer.frames_end).is_ok()
        && block == scanned.index.encode(header.salt)
        && frames_hash(file, survey.frames_start, footer.frames_end) == Some(footer.frames_hash)
}

fn frames_hash<F: StorageFile>(file: &F, from: u64, to: u64) -> Option<Hash> {
    let (mut hasher, mut at, mut chunk) = (blake3::Hasher::new(), from, Vec::new());
    while at < to {
        chunk.resize(usize::try_from(to - at).unwrap_or(usize::MAX).min(1024 * 1024), 0);
        file.read_exact_at(&mut chunk, at).ok()?;
        hasher.update(&chunk);
        at += chunk.len() as u64;
    }
    Some(Hash::from_bytes(*hasher.finalize().as_bytes()))
}
