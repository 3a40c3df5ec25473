//! Appends of one producer, one by one, acknowledged when the system has them.

use crate::bench::Bench;
use crate::engine::Class;
use crate::events::Events;
use crate::measure::{nanos_each, timed};
use crate::sheet::{FLOOR, Unit};
use crate::workload::floor;

pub const NAME: &str = "single append";

pub fn run(bench: &mut Bench, count: usize) {
    let events = Events::new("order", count, bench.payload);
    bench.rounds(NAME, bench.rounds, |bench, kind| {
        if kind.syncs_always {
            return Ok(());
        }
        let (_dir, engine) = bench.fresh(kind, Class::Written)?;
        let (appended, time) =
            timed(|| (0..count).try_for_each(|at| engine.append(&events.at(at)).map(drop)));
        appended?;
        bench.put(NAME, Unit::Time, 0, kind.name, nanos_each(time, count));
        engine.close()?;
        if kind.name == crate::sheet::OURS {
            let dir = bench.temp()?;
            let time = floor::writes(dir.path(), count, floor::event_len(bench.payload))?;
            bench.put(NAME, Unit::Time, 0, FLOOR, nanos_each(time, count));
        }
        Ok(())
    });
}
