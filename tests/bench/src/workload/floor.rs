//! What the machine itself takes for the same bytes: the least that any engine could.

use crate::bench::Bench;
use crate::engine::Result;
use crate::events::Events;
use crate::measure::{nanos_each, timed};
use crate::sheet::{FLOOR, Unit};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// About the bytes that one event with this payload takes up in a segment of ours.
pub fn event_len(payload: usize) -> usize {
    payload + 110
}

/// Memory and hashes, an event.
pub fn run(bench: &mut Bench, count: usize) {
    let events = Events::new("order", count, bench.payload);
    let bytes: Vec<u8> = (0..count).flat_map(|at| events.at(at).payload.to_vec()).collect();
    let mut to = vec![0; bench.payload];
    let each = |bench: &mut Bench, name, act: &mut dyn FnMut(&[u8])| {
        let ((), time) = timed(|| bytes.chunks_exact(bench.payload).for_each(&mut *act));
        bench.put(name, Unit::Time, 0, FLOOR, nanos_each(time, count));
    };
    for _ in 0..bench.rounds {
        each(bench, "memcpy of the payload", &mut |payload| {
            to.copy_from_slice(payload);
            black_box(&to);
        });
        each(bench, "CRC-32 of the payload", &mut |payload| {
            black_box(crc32fast::hash(payload));
        });
        each(bench, "BLAKE3 of the payload", &mut |payload| {
            black_box(blake3::hash(payload));
        });
    }
}

/// The time of `count` writes of `len` bytes, one behind the other.
pub fn writes(dir: &Path, count: usize, len: usize) -> io::Result<Duration> {
    let mut file = File::create(dir.join("floor"))?;
    let bytes = vec![7; len];
    let (written, time) = timed(|| (0..count).try_for_each(|_| file.write_all(&bytes)));
    written.map(|()| time)
}

/// The time of each write with a sync of data, into a file that is long enough: `count` of them, or
/// as many as `limit` allows.
pub fn synced_writes(
    dir: &Path,
    count: usize,
    len: usize,
    limit: Duration,
) -> io::Result<Vec<Duration>> {
    let path = dir.join("floor");
    std::fs::write(&path, vec![0; count * len])?;
    let mut file = File::options().write(true).open(path)?;
    file.sync_all()?;
    let bytes = vec![7; len];
    let mut times = Vec::with_capacity(count);
    let begun = Instant::now();
    while times.len() < count && begun.elapsed() < limit {
        let start = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The time to read all files of a directory, with a CRC over what each event takes up.
pub fn checked_read(dir: &Path, events: usize, payload: usize) -> Result<Duration> {
    let len = event_len(payload);
    let path = dir.join("floor");
    std::fs::write(&path, vec![7; events * len])?;
    let mut bytes = vec![0; len * 512];
    let (read, time) = timed(|| -> io::Result<u32> {
        let (mut file, mut sum) = (File::open(&path)?, 0);
        loop {
            let read = file.read(&mut bytes)?;
            if read == 0 {
                return Ok(sum);
            }
            sum ^= bytes[..read].chunks(len).map(crc32fast::hash).fold(0, |sum, crc| sum ^ crc);
        }
    });
    black_box(read?);
    std::fs::remove_file(path)?;
    Ok(time)
}
