//! Batches of a thousand, acknowledged when the system has them; and what they take up.

use crate::bench::Bench;
use crate::engine::{Class, Id, Kind, Result, Setup};
use crate::events::Events;
use crate::measure::{disk_bytes, timed};
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::bulk::BATCH;
use crate::workload::floor;
use std::path::Path;
use std::time::Duration;

pub const NAME: &str = "batches of 1000, an event";
pub const DISK: &str = "disk, an event";
const IDS: usize = 2_000;

/// Returns the ids of some of the events.
pub fn run(bench: &mut Bench, kind: Kind, dir: &Path, events: &Events) -> Result<Vec<Id>> {
    let engine = (kind.open)(dir, &Setup::new(Class::Written))?;
    let count = events.count;
    let (mut ids, mut spent) = (Vec::with_capacity(IDS), Duration::ZERO);
    let wanted = (IDS * BATCH / count).clamp(1, BATCH);
    for first in (0..count).step_by(BATCH) {
        let batch = events.range(first, BATCH.min(count - first));
        let (appended, time) = timed(|| engine.append_batch(&batch));
        spent += time;
        let step = (batch.len() / wanted).max(1);
        ids.extend(appended?.iter().step_by(step).take(wanted));
    }
    bench.put(NAME, Unit::Time, count, kind.name, spent.as_nanos() as f64 / count as f64);
    engine.sync()?;
    engine.close()?;
    let bytes = disk_bytes(dir)? as f64 / count as f64;
    bench.put(DISK, Unit::Bytes, count, kind.name, bytes);
    if kind.name == OURS {
        let other = bench.temp()?;
        let batches = count.div_ceil(BATCH);
        let len = BATCH * floor::event_len(bench.payload);
        let time = floor::writes(other.path(), batches, len)?.as_nanos() as f64 / count as f64;
        bench.put(NAME, Unit::Time, count, FLOOR, time);
        let names = events.at(0).entity.len() + events.at(0).scope.len();
        bench.put(DISK, Unit::Bytes, count, FLOOR, (bench.payload + names) as f64);
    }
    Ok(ids)
}
