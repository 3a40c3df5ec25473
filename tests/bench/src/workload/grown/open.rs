//! Opening a store that was closed, with its files in the system's cache; and the memory it takes.

use crate::bench::Bench;
use crate::engine::{Class, Engine, Kind, Result, Setup};
use crate::events::Events;
use crate::measure::{heap_bytes, timed};
use crate::sheet::Unit;
use crate::workload::grown::Grown;
use std::path::Path;
use std::sync::Mutex;

pub const NAME: &str = "open";
pub const HEAP: &str = "heap once open";
const AFTER: &str = "heap after all reads";

/// What was allocated before the store was opened.
static BEFORE: Mutex<f64> = Mutex::new(0.0);

pub fn run(bench: &mut Bench, kind: Kind, dir: &Path, events: &Events) -> Result<Box<dyn Engine>> {
    let before = heap_bytes();
    let (engine, time) = timed(|| (kind.open)(dir, &Setup::new(Class::Written)));
    let engine = engine?;
    bench.put(NAME, Unit::Time, events.count, kind.name, time.as_nanos() as f64);
    if let (Some(before), Some(now), Ok(mut kept)) = (before, heap_bytes(), BEFORE.lock()) {
        *kept = before;
        bench.put(HEAP, Unit::Bytes, events.count, kind.name, (now - before).max(1.0));
    }
    Ok(engine)
}

pub fn heap_after_reads(bench: &mut Bench, grown: &Grown<'_>) {
    if let (Some(now), Ok(before)) = (heap_bytes(), BEFORE.lock()) {
        let bytes = (now - *before).max(1.0);
        bench.put(AFTER, Unit::Bytes, grown.events.count, grown.kind.name, bytes);
    }
}
