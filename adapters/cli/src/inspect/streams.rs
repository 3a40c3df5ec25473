//! The streams with what they hold, counted once and then brought up to date.

use crate::stream_counts::StreamCounts;
use annals::{FsStorage, Reader, Region, Sequence, StoreError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) counts: StreamCounts,
    /// Every event before it is counted.
    end: Sequence,
    /// First sequences and bytes of the segments as they were then.
    segments: Vec<(Sequence, u64)>,
}

impl Streams {
    /// Counts what has come since the last time, or everything anew where events have gone.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub(super) fn update(&mut self, reader: &Reader<FsStorage>) -> Result<(), StoreError> {
        let segments: Vec<_> = reader.segment_bytes().collect();
        // Events go only with the segments that they are in. Only the newest grows, and a look at
        // the indexes of all is for where more than that is another.
        let may_have_gone = !is_grown(&self.segments, &segments);
        self.segments = segments;
        self.count(reader)?;
        if may_have_gone && self.counts.events() != reader.stats()?.events {
            *self = Streams { segments: std::mem::take(&mut self.segments), ..Streams::default() };
            self.count(reader)?;
        }
        Ok(())
    }

    fn count(&mut self, reader: &Reader<FsStorage>) -> Result<(), StoreError> {
        let mut query = reader.query(&Region::all()).starting_at(self.end);
        let counts = &mut self.counts;
        while query.next_with(|event| counts.add(event))?.is_some() {}
        self.end = reader.end();
        Ok(())
    }
}

/// Whether segments are the same but for the newest one, which may have grown.
fn is_grown(before: &[(Sequence, u64)], now: &[(Sequence, u64)]) -> bool {
    let (Some((last_before, before)), Some((last, now))) = (before.split_last(), now.split_last())
    else {
        return before.is_empty();
    };
    before == now && last_before.0 == last.0 && last_before.1 <= last.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_sealed_replaced_or_smaller_is_looked_at() {
        let segment = |first, bytes| (Sequence::new(first), bytes);
        let before = [segment(0, 100), segment(7, 50)];
        assert!(is_grown(&[], &before));
        assert!(is_grown(&before, &before));
        assert!(is_grown(&before, &[segment(0, 100), segment(7, 60)]));
        for now in [
            &[][..],
            &[segment(0, 100)],
            &[segment(0, 100), segment(7, 40)],
            &[segment(0, 90), segment(7, 50)],
            &[segment(0, 100), segment(8, 50)],
            &[segment(0, 100), segment(7, 60), segment(9, 10)],
        ] {
            assert!(!is_grown(&before, now), "{now:?}");
        }
    }
}
