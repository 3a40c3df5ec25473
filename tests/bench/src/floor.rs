//! What the machine itself takes for the same bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// About the bytes that one event with this payload takes up in a segment.
pub fn event_len(payload: usize) -> usize {
    payload + 140
}

/// The time of each of `count` writes of `len` bytes, one behind the other.
pub fn writes(dir: &Path, count: usize, len: usize) -> io::Result<Duration> {
    let file = File::create(dir.join("floor"))?;
    let bytes = vec![7; len];
    let start = Instant::now();
    for at in 0..count as u64 {
        file.write_all_at(&bytes, at * len as u64)?;
    }
    Ok(start.elapsed() / u32::try_from(count).expect("few"))
}

/// The time of each of `count` writes with a sync of data, into a file that is long enough.
pub fn synced_writes(dir: &Path, count: usize, len: usize) -> io::Result<Vec<Duration>> {
    let file = File::create(dir.join("floor"))?;
    file.write_all_at(&vec![0; count * len], 0)?;
    file.sync_all()?;
    let bytes = vec![7; len];
    let mut times = Vec::with_capacity(count);
    for at in 0..count as u64 {
        let start = Instant::now();
        file.write_all_at(&bytes, at * len as u64)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}
