//! The state of an entity: from nothing, and once more behind one new event.
//!
//! Annals and batpak keep the last state themselves; for the others the application keeps it, with
//! the version it is of, and reads what is newer.

use crate::bench::Bench;
use crate::engine::{Result, Total};
use crate::measure::{nanos_each, timed};
use crate::sheet::Unit;
use crate::workload::grown::Grown;

const COLD: &str = "projection of 100 events, cold";
const WARM: &str = "projection, one event behind";
const ENTITIES: usize = 100;

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    let (count, name) = (grown.events.count, grown.kind.name);
    // What comes behind the last event belongs to so many different entities.
    let new = grown.events.range(count, ENTITIES.min(count / 100));
    let mut totals = vec![Total::default(); new.len()];
    for (what, appended) in [(COLD, false), (WARM, true)] {
        if appended {
            new.iter().try_for_each(|event| grown.engine.append(event).map(drop))?;
        }
        let (projected, time) = timed(|| {
            let mut each = new.iter().zip(&mut totals);
            each.try_for_each(|(event, total)| grown.engine.project(event.entity, total))
        });
        projected?;
        let sum = totals.iter().map(|total| total.events << 32 | total.sum).sum();
        bench.check(what, count, name, sum);
        bench.put(what, Unit::Time, count, name, nanos_each(time, new.len()));
    }
    Ok(())
}
