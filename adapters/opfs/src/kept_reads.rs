//! Committed bytes that were read lately, so that reading them again does not cross to the browser.
//!
//! What is kept is found by where it was read from, not by pages: events of one stream lie far
//! apart, and a page around each would hold little else. Each read has four places, by its hash, that
//! others share. The second of two reads is kept, not the first, so who reads each event once
//! neither pays for keeping it nor drives out others. A file is known by its *stamp*, which no
//! other ever has. What is kept of a file is forgotten before bytes of it change.

use std::cell::{Cell, RefCell};

/// Longer reads are not kept: what they cost is the copy, which this does not spare.
const READ_LEN_MAX: usize = 4 * 1024;
/// How many places there are, in groups by the hash of a read.
const GROUPS_LOG2: u32 = 12;
const GROUP: usize = 4;
const PLACES: usize = GROUP << GROUPS_LOG2;
/// What is held at most, but for the places: 256 B for each of them.
const BYTES_MAX: usize = 4 << 20;

/// See the module. One for all files of a directory.
#[derive(Default)]
pub(crate) struct KeptReads {
    last_stamp: Cell<u64>,
    /// In each group, marks of reads that were done once, the newest first.
    once: RefCell<Vec<u32>>,
    /// In each group, what is kept, the newest first.
    kept: RefCell<Vec<Option<Kept>>>,
    bytes: Cell<usize>,
    /// The place whose read goes next, where there are too many bytes.
    hand: Cell<usize>,
}

struct Kept {
    stamp: u64,
    offset: u64,
    bytes: Box<[u8]>,
}

impl KeptReads {
    /// What no file has had before.
    pub(crate) fn next_stamp(&self) -> u64 {
        let stamp = self.last_stamp.get() + 1;
        self.last_stamp.set(stamp);
        stamp
    }

    /// Fills `buf` where its bytes are kept.
    pub(crate) fn read(&self, stamp: u64, buf: &mut [u8], offset: u64) -> bool {
        let all = self.kept.borrow();
        let (first, _) = group_and_mark(stamp, offset);
        let mut group = all.iter().skip(first).take(GROUP).flatten();
        let kept = group.find(|kept| (kept.stamp, kept.offset) == (stamp, offset));
        let Some(bytes) = kept.and_then(|kept| kept.bytes.get(..buf.len())) else { return false };
        buf.copy_from_slice(bytes);
        true
    }

    /// Keeps what was read, unless it is the first time.
    pub(crate) fn keep(&self, stamp: u64, bytes: &[u8], offset: u64) {
        if bytes.len() > READ_LEN_MAX {
            return;
        }
        let (first, mark) = group_and_mark(stamp, offset);
        let mut once = self.once.borrow_mut();
        if once.is_empty() {
            *once = vec![0; PLACES];
        }
        let marks = &mut once[first..first + GROUP];
        if !marks.contains(&mark) {
            marks.rotate_right(1);
            marks[0] = mark;
            return;
        }
        let mut all = self.kept.borrow_mut();
        if all.is_empty() {
            all.resize_with(PLACES, || None);
        }
        let kept = Kept { stamp, offset, bytes: bytes.into() };
        // The oldest one goes.
        all[first..first + GROUP].rotate_right(1);
        self.put(&mut all, first, Some(kept));
        while self.bytes.get() > BYTES_MAX {
            let next = (self.hand.get() + 1) % all.len();
            self.hand.set(next);
            if next != first {
                self.put(&mut all, next, None);
            }
        }
    }

    /// Drops all that is kept of a file.
    pub(crate) fn forget(&self, stamp: u64) {
        let mut all = self.kept.borrow_mut();
        for place in 0..all.len() {
            if all[place].as_ref().is_some_and(|kept| kept.stamp == stamp) {
                self.put(&mut all, place, None);
            }
        }
    }

    /// Drops all that is kept.
    pub(crate) fn clear(&self) {
        self.kept.take();
        self.bytes.set(0);
    }

    fn put(&self, all: &mut [Option<Kept>], place: usize, kept: Option<Kept>) {
        let len = |kept: &Option<Kept>| kept.as_ref().map_or(0, |kept| kept.bytes.len());
        let more = self.bytes.get() + len(&kept);
        self.bytes.set(more - len(&all[place]));
        all[place] = kept;
    }
}

/// Where the group of a read begins, and what most likely tells the read from others in it.
fn group_and_mark(stamp: u64, offset: u64) -> (usize, u32) {
    let hash = (offset ^ stamp.rotate_right(16)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let [low, high] = [hash & u64::from(u32::MAX), hash >> (u64::BITS - GROUPS_LOG2)];
    let number = |bits| usize::try_from(bits).unwrap_or_default();
    (number(high) * GROUP, u32::try_from(low | 1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept(reads: &KeptReads, stamp: u64, offset: u64, bytes: &[u8]) -> bool {
        let mut buf = vec![0; bytes.len()];
        reads.read(stamp, &mut buf, offset) && buf == bytes
    }

    #[test]
    fn the_second_read_of_a_place_is_kept_and_no_other_takes_it_for_its_own() {
        let reads = KeptReads::default();
        reads.keep(1, b"event", 40);
        assert!(!is_kept(&reads, 1, 40, b"event"));
        reads.keep(1, b"event", 40);
        assert!(is_kept(&reads, 1, 40, b"event") && is_kept(&reads, 1, 40, b"ev"));
        assert!(!is_kept(&reads, 1, 40, b"events"), "longer than what is kept");
        assert!(!is_kept(&reads, 2, 40, b"event") && !is_kept(&reads, 1, 41, b"vent"));
        assert!(!reads.read(1, &mut [0; 5], 39));
    }

    #[test]
    fn what_is_forgotten_of_one_file_stays_of_another() {
        let reads = KeptReads::default();
        for (stamp, bytes) in [(1, b"one"), (2, b"two"), (1, b"one"), (2, b"two")] {
            reads.keep(stamp, bytes, 0);
        }
        reads.forget(1);
        assert!(!is_kept(&reads, 1, 0, b"one") && is_kept(&reads, 2, 0, b"two"));
        reads.clear();
        assert!(!is_kept(&reads, 2, 0, b"two"));
        assert_eq!(reads.bytes.get(), 0);
    }

    #[test]
    fn large_reads_are_not_kept_and_of_small_ones_no_more_than_the_limit() {
        let reads = KeptReads::default();
        let large = vec![7; READ_LEN_MAX + 1];
        for _ in 0..2 {
            reads.keep(1, &large, 0);
            for at in 0..4096 {
                reads.keep(1, &large[1..], 8192 * at);
                reads.keep(1, &large[1..], 8192 * at);
            }
        }
        assert!(!reads.read(1, &mut [0; 1], 0) || is_kept(&reads, 1, 0, &large[1..]));
        assert!((BYTES_MAX - READ_LEN_MAX..=BYTES_MAX).contains(&reads.bytes.get()));
        let held = reads.kept.borrow().iter().flatten().map(|kept| kept.bytes.len()).sum::<usize>();
        assert_eq!(held, reads.bytes.get());
    }
}
