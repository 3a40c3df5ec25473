//! Durable batches of a thousand. Batches that are not synced are how the grown stores are loaded.

use crate::bench::Bench;
use crate::engine::Class;
use crate::events::Events;
use crate::measure::{nanos_each, timed};
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::floor;
use std::time::Duration;

pub const BATCH: usize = 1_000;
pub const DURABLE: &str = "durable batches of 1000, an event";

pub fn run(bench: &mut Bench, batches: usize) {
    let count = batches * BATCH;
    let events = Events::new("order", count, bench.payload);
    bench.rounds(DURABLE, bench.rounds, |bench, kind| {
        if kind.name == "batpak 0.1" {
            // It has no batches: this would be the single durable append once more.
            return Ok(());
        }
        let (_dir, engine) = bench.fresh(kind, Class::Durable)?;
        let batches: Vec<_> = (0..batches).map(|at| events.range(at * BATCH, BATCH)).collect();
        let (appended, time) =
            timed(|| batches.iter().try_for_each(|batch| engine.append_batch(batch).map(drop)));
        appended?;
        bench.put(DURABLE, Unit::Time, 0, kind.name, nanos_each(time, count));
        engine.close()?;
        if kind.name == OURS {
            let dir = bench.temp()?;
            let len = BATCH * floor::event_len(bench.payload);
            let times = floor::synced_writes(dir.path(), batches.len(), len, Duration::MAX)?;
            bench.put(
                DURABLE,
                Unit::Time,
                0,
                FLOOR,
                nanos_each(times.iter().sum(), times.len() * BATCH),
            );
        }
        Ok(())
    });
}
