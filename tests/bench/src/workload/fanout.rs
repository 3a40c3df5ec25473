//! Appends that ten subscribers hear of, until the last one has heard of the last.
//!
//! Maps and tables have no subscriptions: their users ask again and again, which is another job.

use crate::bench::Bench;
use crate::engine::{Class, Result, Unsupported};
use crate::events::Events;
use crate::measure::{nanos_each, timed};
use crate::sheet::Unit;

pub const NAME: &str = "10 subscribers, an append until all know";
const LISTENERS: usize = 10;

/// Fewer than any engine keeps for a slow subscriber.
pub fn run(bench: &mut Bench, count: usize) {
    let events = Events::new("order", count, bench.payload);
    bench.rounds(NAME, bench.rounds, |bench, kind| {
        if kind.syncs_always {
            return Ok(());
        }
        let (_dir, engine) = bench.fresh(kind, Class::Written)?;
        let mut listeners = Vec::with_capacity(LISTENERS);
        for _ in 0..LISTENERS {
            match engine.listen() {
                Err(error) if error.is::<Unsupported>() => return engine.close(),
                listener => listeners.push(listener?),
            }
        }
        let (done, time) = timed(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = listeners
                    .into_iter()
                    .map(|mut listener| {
                        scope.spawn(move || -> Result<()> {
                            let mut told = 0;
                            while told < count as u64 {
                                told += listener.wait()?;
                            }
                            Ok(())
                        })
                    })
                    .collect();
                (0..count).try_for_each(|at| engine.append(&events.at(at)).map(drop))?;
                let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                    thread.join().map_err(|_| "a subscriber panicked")?
                };
                threads.into_iter().try_for_each(joined)
            })
        });
        done?;
        bench.put(NAME, Unit::Time, 0, kind.name, nanos_each(time, count));
        engine.close()
    });
}
