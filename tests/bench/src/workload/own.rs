//! What only Annals has, beside plainly reading and writing the same bytes.

use crate::bench::Bench;
use crate::engine::Result;
use crate::events::Events;
use crate::measure::timed;
use crate::workload::bulk::BATCH;
use annals::{Append, Batch, Coordinate, Durability, EventKind, Payload, Store, StoreConfig};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

const CHUNK_BYTES: usize = 1 << 20;

/// A store with so many events, in segments of a sixteenth of it.
pub fn filled(bench: &Bench, dir: &Path, count: usize) -> Result<Store> {
    let events = Events::new("order", count, bench.payload);
    let segment = (count * (bench.payload + 120) / 16).max(64 << 10) as u64;
    let config =
        StoreConfig::new(dir).with_durability(Durability::OnSync).with_segment_max_bytes(segment);
    let store = Store::open(config)?;
    for first in (0..count).step_by(BATCH) {
        let mut batch = Batch::new();
        for event in events.range(first, BATCH.min(count - first)) {
            let coordinate = Coordinate::new(event.entity, event.scope)?;
            let payload = Payload::raw(event.payload);
            batch = batch.push(Append::new(coordinate, EventKind::new(1, event.kind), payload));
        }
        store.append_batch(batch)?;
    }
    store.sync()?;
    Ok(store)
}

/// Reads all segments of a store.
pub fn plain_read(store: &Path) -> Result<Duration> {
    let (read, time) = timed(|| pass(store, None));
    read.map(|()| time)
}

/// Copies all segments of a store into one file, and syncs it.
pub fn plain_copy(store: &Path, to: &Path) -> Result<Duration> {
    let mut out = File::create(to)?;
    let (copied, time) = timed(|| pass(store, Some(&mut out)));
    copied.map(|()| time)
}

fn pass(store: &Path, mut out: Option<&mut File>) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let mut file = File::open(path)?;
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            if let Some(out) = &mut out {
                out.write_all(&chunk[..read])?;
            }
        }
    }
    Ok(out.map_or(Ok(()), |out| out.sync_all())?)
}
