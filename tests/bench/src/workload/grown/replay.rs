//! All events in their order, as views of what was read and as values of their own.

use crate::bench::Bench;
use crate::engine::Result;
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::floor;
use crate::workload::grown::Grown;

pub const BORROWED: &str = "replay borrowed, an event";
pub const OWNED: &str = "replay owned, an event";

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    let (count, name) = (grown.events.count, grown.kind.name);
    bench.ask(BORROWED, count, name, count, |see| grown.engine.replay_borrowed(see))?;
    bench.ask(OWNED, count, name, count, |see| grown.engine.replay_owned(see))?;
    if name == OURS {
        let dir = bench.temp()?;
        let time = floor::checked_read(dir.path(), count, bench.payload)?;
        let cost = time.as_nanos() as f64 / count as f64;
        bench.put(BORROWED, Unit::Time, count, FLOOR, cost);
    }
    Ok(())
}
