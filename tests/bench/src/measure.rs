//! Medians, percentiles, and the events that all tables append.

use annals::{Append, Batch, Coordinate, EventKind, Payload};
use std::time::{Duration, Instant};

/// The kind of all events.
pub const KIND: EventKind = EventKind::new(1, 1);

/// Entities have a hundred events each, in sixteen scopes.
pub fn coordinates(events: usize) -> Vec<Coordinate> {
    let name = |at: usize| Coordinate::new(format!("order:{at:08}"), format!("tenant-{}", at % 16));
    (0..(events / 100).max(1)).map(|at| name(at).expect("a valid coordinate")).collect()
}

/// The coordinate of the event at `number`, spread over all of them.
pub fn spread(coordinates: &[Coordinate], number: usize) -> &Coordinate {
    &coordinates[number.wrapping_mul(7_919) % coordinates.len()]
}

/// A batch of the events from `first` on.
pub fn batch(coordinates: &[Coordinate], first: usize, count: usize, payload: &[u8]) -> Batch {
    let append = |number| {
        Append::new(spread(coordinates, number).clone(), KIND, Payload::raw(payload))
    };
    (first..first + count).map(append).collect()
}

/// The middle of the samples.
pub fn median<T: Copy + PartialOrd>(samples: &mut [T]) -> T {
    percentile(samples, 50)
}

/// The sample that so many of a hundred do not exceed.
pub fn percentile<T: Copy + PartialOrd>(samples: &mut [T], percent: usize) -> T {
    samples.sort_by(|a, b| a.partial_cmp(b).expect("no sample is NaN"));
    samples[(samples.len() * percent / 100).min(samples.len() - 1)]
}

/// How long `act` takes.
pub fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = act();
    (value, start.elapsed())
}

/// Thousands a second.
pub fn thousands(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64() / 1e3
}
