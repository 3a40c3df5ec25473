//! How many events there were, and when, in bounded space however many are looked at.
//!
//! Parts of time have one of the lengths of a ladder on which each is a multiple of the one before,
//! so parts become longer ones without being counted again, the counts of several pages add up, and
//! a part begins at a full second, hour or day of UTC. The page adds up in `histogram.ts`.

use serde::Serialize;
use std::collections::BTreeMap;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
/// Behind the last, each is twice the one before.
const STEPS_US: [i64; 22] = [
    1,
    10,
    100,
    1000,
    2000,
    10_000,
    20_000,
    100_000,
    200_000,
    SECOND_US,
    2 * SECOND_US,
    10 * SECOND_US,
    30 * SECOND_US,
    60 * SECOND_US,
    120 * SECOND_US,
    600 * SECOND_US,
    1800 * SECOND_US,
    HOUR_US,
    2 * HOUR_US,
    6 * HOUR_US,
    12 * HOUR_US,
    24 * HOUR_US,
];
/// With fewer, parts on both sides of 1970 would never become few enough.
const PARTS_MIN: u64 = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Histogram {
    parts_max: u64,
    step_us: i64,
    /// The counts, by the number of their parts: the one that begins at 0 has 0.
    counts: BTreeMap<i64, u64>,
    /// The earliest and the latest time.
    span: Option<(i64, i64)>,
}

/// What was counted, as the page takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rates {
    first_us: i64,
    last_us: i64,
    step_us: i64,
    /// The number of the first part: it begins at so many times `step_us`.
    part: i64,
    counts: Vec<u64>,
}

impl Histogram {
    pub(super) fn new(parts_max: usize) -> Self {
        let parts_max = u64::try_from(parts_max).unwrap_or(u64::MAX).max(PARTS_MIN);
        Histogram { parts_max, step_us: STEPS_US[0], counts: BTreeMap::new(), span: None }
    }

    pub(super) fn add(&mut self, time_us: i64) {
        let (first, last) = self.span.unwrap_or((time_us, time_us));
        let (first, last) = (first.min(time_us), last.max(time_us));
        self.span = Some((first, last));
        while first.div_euclid(self.step_us).abs_diff(last.div_euclid(self.step_us))
            >= self.parts_max
        {
            self.coarsen();
        }
        *self.counts.entry(time_us.div_euclid(self.step_us)).or_default() += 1;
    }

    /// What was counted; `None` where nothing was.
    pub(super) fn rates(&self) -> Option<Rates> {
        let (first_us, last_us) = self.span?;
        let (part, end) = (first_us.div_euclid(self.step_us), last_us.div_euclid(self.step_us));
        let counts = (part..=end).map(|at| self.counts.get(&at).copied().unwrap_or_default());
        Some(Rates { first_us, last_us, step_us: self.step_us, part, counts: counts.collect() })
    }

    fn coarsen(&mut self) {
        let longer = STEPS_US.iter().copied().find(|step| *step > self.step_us);
        let step_us = longer.unwrap_or(self.step_us.saturating_mul(2));
        let share = step_us / self.step_us;
        let counts = std::mem::take(&mut self.counts);
        for (part, count) in counts {
            *self.counts.entry(part.div_euclid(share)).or_default() += count;
        }
        self.step_us = step_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(parts_max: usize, times_us: &[i64]) -> Rates {
        let mut histogram = Histogram::new(parts_max);
        times_us.iter().for_each(|time| histogram.add(*time));
        histogram.rates().unwrap()
    }

    #[test]
    fn each_length_is_a_multiple_of_the_one_before() {
        assert!(STEPS_US.windows(2).all(|two| two[1] > two[0] && two[1] % two[0] == 0));
    }

    #[test]
    fn parts_are_as_short_as_their_number_allows_and_begin_at_full_ones() {
        let rates = counted(10, &[HOUR_US * 5 + 1, HOUR_US * 5, HOUR_US * 9 - 1]);
        let expected = Rates {
            first_us: HOUR_US * 5,
            last_us: HOUR_US * 9 - 1,
            step_us: HOUR_US / 2,
            part: 10,
            counts: vec![2, 0, 0, 0, 0, 0, 0, 1],
        };
        assert_eq!(rates, expected);
    }

    #[test]
    fn any_times_fit_and_none_is_lost() {
        for times in [&[0][..], &[-1, 0], &[i64::MIN, 0, i64::MAX], &[i64::MAX, i64::MIN, -1, 1]] {
            for parts_max in [0, 4, 400] {
                let rates = counted(parts_max, times);
                assert_eq!(rates.counts.iter().sum::<u64>(), times.len() as u64);
                assert!(rates.counts.len() <= parts_max.max(4), "{}", rates.counts.len());
            }
        }
    }
}
