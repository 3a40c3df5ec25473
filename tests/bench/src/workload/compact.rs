//! Compaction of a store that keeps all of its events: fewer files, no free pages, one level.
//!
//! Engines with segments get small ones first, so that there is something to merge.

use crate::bench::Bench;
use crate::engine::{Class, Setup, Unsupported};
use crate::events::{Events, Sum};
use crate::measure::{disk_bytes, nanos_each, timed};
use crate::sheet::Unit;
use crate::workload::bulk::BATCH;

pub const NAME: &str = "compaction, an event";
pub const AFTER: &str = "disk after compaction, an event";
const SEGMENTS: u64 = 16;

pub fn run(bench: &mut Bench, count: usize) {
    let events = Events::new("order", count, bench.payload);
    bench.rounds(NAME, bench.rounds, |bench, kind| {
        let dir = bench.temp()?;
        let bytes = (count * (bench.payload + 120)) as u64 / SEGMENTS;
        let setup = Setup { class: Class::Written, segment_bytes: Some(bytes.max(64 << 10)) };
        let mut engine = (kind.open)(dir.path(), &setup)?;
        for first in (0..count).step_by(BATCH) {
            engine.append_batch(&events.range(first, BATCH.min(count - first)))?;
        }
        engine.sync()?;
        let (compacted, time) = timed(|| engine.compact());
        match compacted {
            Err(error) if error.is::<Unsupported>() => return engine.close(),
            compacted => compacted?,
        }
        let mut sum = Sum::default();
        engine.replay_owned(&mut |seen| sum.whole(seen))?;
        bench.check(NAME, count, kind.name, sum.value());
        engine.close()?;
        bench.put(NAME, Unit::Time, 0, kind.name, nanos_each(time, count));
        let bytes = disk_bytes(dir.path())? as f64 / count as f64;
        bench.put(AFTER, Unit::Bytes, 0, kind.name, bytes);
        Ok(())
    });
}
