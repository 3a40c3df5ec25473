//! Behaviour 36, exhaustively: every bit, every length, every exchange of a small store.
//!
//! `ANNALS_RUNS=N` does N rounds of random damage.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeMap;

use annals::{FileId, MemoryStorage, Storage, StorageFile};
use annals_tests::corruption::{Specimen, Verdict};
use annals_tests::sim_disk::Random;

fn overwrite(files: &MemoryStorage, id: FileId, bytes: &[u8]) {
    let file = files.open(id).unwrap_or_else(|_| files.create(id).unwrap());
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// Judges damaged copies, and counts.
struct Count<'a> {
    specimen: &'a Specimen,
    verdicts: BTreeMap<Verdict, u64>,
}

impl<'a> Count<'a> {
    fn new(specimen: &'a Specimen) -> Self {
        Count { specimen, verdicts: BTreeMap::new() }
    }

    fn judge(&mut self, what: &dyn std::fmt::Display, files: &MemoryStorage) -> Verdict {
        let verdict = self.specimen.judge(files);
        let verdict = verdict.unwrap_or_else(|why| panic!("{what}: {why}"));
        *self.verdicts.entry(verdict).or_default() += 1;
        verdict
    }

    fn damage(
        &mut self,
        what: &dyn std::fmt::Display,
        id: FileId,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Verdict {
        let files = self.specimen.files();
        let segments = self.specimen.segments();
        let (_, bytes) = segments.iter().find(|(other, _)| *other == id).unwrap();
        let mut bytes = bytes.clone();
        change(&mut bytes);
        overwrite(&files, id, &bytes);
        self.judge(what, &files)
    }

    fn print(&self, what: &str) {
        println!("{what}: {}, {:?}", self.verdicts.values().sum::<u64>(), self.verdicts);
    }
}

fn newest(specimen: &Specimen) -> FileId {
    specimen.segments().last().unwrap().0
}

/// Flips every bit of these segments, one at a time.
fn flip_every_bit(count: &mut Count<'_>, ids: &[FileId]) -> BTreeMap<FileId, Vec<Verdict>> {
    let mut verdicts: BTreeMap<FileId, Vec<Verdict>> = BTreeMap::new();
    for (id, bytes) in count.specimen.segments().into_iter().filter(|(id, _)| ids.contains(id)) {
        for bit in 0..bytes.len() * 8 {
            let what = format!("bit {} of byte {} of {id}", bit % 8, bit / 8);
            let verdict = count.damage(&what, id, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            verdicts.entry(id).or_default().push(verdict);
        }
    }
    verdicts
}

#[test]
fn b36_no_flipped_bit_of_a_sealed_segment_is_ever_returned() {
    let specimen = Specimen::new(1, false);
    let mut count = Count::new(&specimen);
    let ids: Vec<_> = specimen.segments().iter().map(|(id, _)| *id).collect();
    for (id, verdicts) in flip_every_bit(&mut count, &ids[..3]) {
        assert!(!verdicts.contains(&Verdict::Prefix), "{id} is sealed: it can't look torn");
        for kind in [Verdict::Harmless, Verdict::Reported, Verdict::Refused] {
            assert!(verdicts.contains(&kind), "{id} has bits whose loss is {kind:?}");
        }
    }
    count.print("bit flips in sealed segments");
}

#[test]
fn b36_no_flipped_bit_of_an_active_segment_is_ever_returned() {
    let open = Specimen::new(1, false);
    let mut count = Count::new(&open);
    let verdicts = flip_every_bit(&mut count, &[newest(&open)]);
    assert!(verdicts[&newest(&open)].contains(&Verdict::Prefix), "the last frame may look torn");
    count.print("bit flips in an open segment");

    let closed = Specimen::new(1, true);
    let mut count = Count::new(&closed);
    let verdicts = flip_every_bit(&mut count, &[newest(&closed)]);
    assert!(!verdicts[&newest(&closed)].contains(&Verdict::Prefix), "a close vouches for all");
    count.print("bit flips in a closed segment");
}

#[test]
fn b36_a_file_of_any_shorter_length_is_reported_or_a_prefix() {
    for closed in [false, true] {
        let specimen = Specimen::new(2, closed);
        let mut count = Count::new(&specimen);
        for (id, bytes) in specimen.segments() {
            for len in 0..bytes.len() {
                let what = format!("{id} cut to {len} bytes");
                let verdict = count.damage(&what, id, |bytes| bytes.truncate(len));
                let allowed = match (id == newest(&specimen), closed) {
                    (true, false) => [Verdict::Prefix, Verdict::Harmless].contains(&verdict),
                    // What the store had when it was closed is written down.
                    (true, true) => [Verdict::Refused, Verdict::Harmless].contains(&verdict),
                    (false, _) => verdict == Verdict::Refused,
                };
                assert!(allowed, "{what}: {verdict:?}");
            }
        }
        count.print("lengths");
    }
}

#[test]
fn b36_a_zeroed_or_garbled_range_is_reported_or_harmless() {
    let specimen = Specimen::new(3, true);
    let mut count = Count::new(&specimen);
    let mut random = Random::new(3);
    for (id, bytes) in specimen.segments() {
        for start in (0..bytes.len()).step_by(5) {
            let len = [1, 4, 8, 32, 512, 4096][random.index(6)].min(bytes.len() - start);
            let what = format!("{len} bytes from {start} of {id}");
            let zeroed = count.damage(&format!("{what} zeroed"), id, |bytes| {
                bytes[start..start + len].fill(0);
            });
            let garbled = count.damage(&format!("{what} garbled"), id, |bytes| {
                random.fill(&mut bytes[start..start + len]);
            });
            assert!(zeroed != Verdict::Prefix && garbled != Verdict::Prefix, "{what}");
        }
    }
    count.print("ranges zeroed and garbled");
}

#[test]
fn b36_a_removed_or_repeated_range_is_reported_or_a_prefix() {
    let specimen = Specimen::new(4, false);
    let mut count = Count::new(&specimen);
    let mut random = Random::new(4);
    for (id, bytes) in specimen.segments() {
        for start in (0..bytes.len()).step_by(7) {
            let len = [1, 7, 8, 64, 200, 1000][random.index(6)].min(bytes.len() - start);
            let what = format!("{len} bytes from {start} of {id}");
            let removed = count.damage(&format!("{what} removed"), id, |bytes| {
                bytes.drain(start..start + len);
            });
            let repeated = count.damage(&format!("{what} repeated"), id, |bytes| {
                let range = bytes[start..start + len].to_vec();
                bytes.splice(start..start, range);
            });
            for verdict in [removed, repeated] {
                assert!(verdict != Verdict::Prefix || id == newest(&specimen), "{what}");
            }
        }
    }
    count.print("ranges removed and repeated");
}

#[test]
fn b36_swapped_ranges_are_reported_or_a_prefix() {
    let specimen = Specimen::new(5, false);
    let mut count = Count::new(&specimen);
    let mut random = Random::new(5);
    for (id, bytes) in specimen.segments() {
        for _ in 0..400 {
            let len = [8, 16, 64, 200][random.index(4)];
            let one = random.index(bytes.len() - 2 * len);
            let other = one + len + random.index(bytes.len() - one - 2 * len + 1);
            let what = format!("{len} bytes at {one} and {other} of {id} swapped");
            let verdict = count.damage(&what, id, |bytes| {
                let (front, back) = bytes.split_at_mut(other);
                front[one..one + len].swap_with_slice(&mut back[..len]);
            });
            assert!(verdict != Verdict::Prefix || id == newest(&specimen), "{what}");
        }
    }
    count.print("ranges swapped");
}

/// All ranges of so many bytes.
fn ranges(len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..len).flat_map(move |start| (start + 1..=len).map(move |end| start..end))
}

#[test]
fn b36_any_range_of_a_tiny_store_may_be_missing() {
    let specimen = Specimen::tiny(9);
    let mut count = Count::new(&specimen);
    for (id, bytes) in specimen.segments() {
        for range in ranges(bytes.len()) {
            let what = format!("{range:?} of {id} removed");
            let verdict = count.damage(&what, id, |bytes| drop(bytes.drain(range)));
            assert!(verdict != Verdict::Prefix || id == newest(&specimen), "{what}");
        }
    }
    count.print("all ranges removed");
}

#[test]
fn b36_any_range_of_a_tiny_store_may_change_places_with_the_next() {
    let specimen = Specimen::tiny(9);
    let mut count = Count::new(&specimen);
    for (id, bytes) in specimen.segments() {
        for range in ranges(bytes.len()).filter(|range| range.len() % 2 == 0) {
            let what = format!("the halves of {range:?} of {id} swapped");
            let half = range.len() / 2;
            let verdict = count.damage(&what, id, |bytes| bytes[range].rotate_left(half));
            assert!(verdict != Verdict::Prefix || id == newest(&specimen), "{what}");
        }
    }
    count.print("all neighbouring ranges swapped");
}

#[test]
fn b36_exchanged_duplicated_and_missing_files_are_reported() {
    for closed in [false, true] {
        let specimen = Specimen::new(6, closed);
        let foreign = Specimen::new(7, closed);
        let segments = specimen.segments();
        let mut count = Count::new(&specimen);
        for (place, (id, bytes)) in segments.iter().enumerate() {
            for (other, other_bytes) in segments.iter().filter(|(other, _)| other != id) {
                let files = specimen.files();
                overwrite(&files, *id, other_bytes);
                let verdict = count.judge(&format!("{other} in place of {id} too"), &files);
                assert_eq!(verdict, Verdict::Refused);
                overwrite(&files, *other, bytes);
                let verdict = count.judge(&format!("{id} and {other} exchanged"), &files);
                assert_eq!(verdict, Verdict::Refused);
            }
            for number in [0, 100, u64::MAX] {
                let files = specimen.files();
                overwrite(&files, FileId::segment(number), bytes);
                let verdict = count.judge(&format!("{id} again as {number}"), &files);
                assert_eq!(verdict, Verdict::Refused, "{id} again as {number}, closed {closed}");
            }
            let files = specimen.files();
            overwrite(&files, *id, &foreign.segments()[place].1);
            let verdict = count.judge(&format!("{id} of another store"), &files);
            assert_eq!(verdict, Verdict::Refused);

            let files = specimen.files();
            files.remove(*id).unwrap();
            let verdict = count.judge(&format!("{id} missing"), &files);
            // Nothing names the newest segment of a store that was not closed.
            let is_unknown = *id == newest(&specimen) && !closed;
            assert_eq!(verdict, if is_unknown { Verdict::Prefix } else { Verdict::Refused });
        }
        count.print("files");
    }
}

#[test]
fn b36_random_damage_in_several_places_is_never_wrong_data() {
    let rounds = std::env::var("ANNALS_RUNS").map_or(2_000, |runs| runs.parse().unwrap());
    let specimen = Specimen::new(8, false);
    let segments = specimen.segments();
    let mut count = Count::new(&specimen);
    for round in 0..rounds {
        let mut random = Random::new(round);
        let files = specimen.files();
        for (id, bytes) in &segments {
            let mut bytes = bytes.clone();
            for _ in 0..random.below(4) {
                let at = random.index(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            overwrite(&files, *id, &bytes);
        }
        count.judge(&format!("random damage of seed {round}"), &files);
    }
    count.print("random damage");
}
