//! What an application does: of ten calls five are appends, four look-ups of an id, one reads the
//! stream that was last appended to.

use crate::bench::Bench;
use crate::engine::{Class, Result};
use crate::events::{Events, Sum};
use crate::measure::{nanos_each, timed};
use crate::sheet::Unit;

pub const NAME: &str = "mixed, a call";

pub fn run(bench: &mut Bench, calls: usize) {
    let events = Events::new("order", calls / 2, bench.payload);
    bench.rounds(NAME, bench.rounds, |bench, kind| {
        if kind.syncs_always {
            return Ok(());
        }
        let (_dir, engine) = bench.fresh(kind, Class::Written)?;
        let (mut sum, mut ids) = (Sum::default(), Vec::with_capacity(calls));
        let (done, time) = timed(|| -> Result<()> {
            for call in 0..calls {
                match call % 10 {
                    0..5 => ids.push(engine.append(&events.at(ids.len()))?),
                    5..9 => {
                        let id = ids[call.wrapping_mul(7_919) % ids.len()];
                        engine.get(&id, &mut |seen| sum.glance(seen))?;
                    }
                    _ => {
                        let entity = events.at(ids.len() - 1).entity;
                        engine.stream(entity, 0, &mut |seen| sum.glance(seen))?;
                    }
                }
            }
            Ok(())
        });
        done?;
        bench.check(NAME, calls, kind.name, sum.value());
        bench.put(NAME, Unit::Time, 0, kind.name, nanos_each(time, calls));
        engine.close()
    });
}
