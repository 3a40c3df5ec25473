//! Clocks, quartiles, and bytes on the disk and in memory.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long `act` takes.
pub fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = act();
    (value, start.elapsed())
}

/// Nanoseconds for each of `count`.
pub fn nanos_each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count.max(1) as f64
}

/// The sample that so many of a hundred do not exceed.
pub fn percentile(samples: &mut [f64], percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[(samples.len() * percent / 100).min(samples.len() - 1)]
}

/// Median and quartiles, with what lies between two samples taken in proportion.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len() - 1) as f64;
            let (below, share) = (place.floor() as usize, place.fract());
            let above = (below + 1).min(sorted.len() - 1);
            sorted[below] * (1.0 - share) + sorted[above] * share
        };
        Spread { low: at(0.25), median: at(0.5), high: at(0.75) }
    }
}

/// Bytes that a directory takes up, holes left out.
pub fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { disk_bytes(&entry.path())? } else { file_bytes(&meta) };
    }
    Ok(sum)
}

#[cfg(unix)]
fn file_bytes(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn file_bytes(meta: &fs::Metadata) -> u64 {
    meta.len()
}

/// Bytes that are allocated now, by Rust and by C alike; `None` where nobody counts them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn heap_bytes() -> Option<f64> {
    // SAFETY: it only reads the allocator's counters.
    #[expect(unsafe_code, reason = "the C allocator is the only one who counts for C, too")]
    let info = unsafe { libc::mallinfo2() };
    Some((info.uordblks + info.hblkhd) as f64)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn heap_bytes() -> Option<f64> {
    None
}
