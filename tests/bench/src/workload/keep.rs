//! Verifying, merging, erasing and dropping. The floor reads the same files.

use crate::bench::Bench;
use crate::engine::Result;
use crate::measure::{nanos_each, timed};
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::own;
use annals::{
    CompactionConfig, CompactionStrategy, EventPredicate, EventRef, VerifyOptions, verify_parallel,
};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

const NAME: &str = "keep";

pub fn run(bench: &mut Bench, count: usize) {
    for _ in 0..bench.rounds {
        if let Err(error) = round(bench, count) {
            bench.sheet.fail(NAME, OURS, &error);
        }
    }
}

fn round(bench: &mut Bench, count: usize) -> Result<()> {
    let dir = bench.temp()?;
    let store = own::filled(bench, dir.path(), count)?;
    let floor = nanos_each(own::plain_read(dir.path())?, count);
    let mut put = |name: &str, cost| {
        bench.put(name, Unit::Time, 0, OURS, cost);
        bench.put(name, Unit::Time, 0, FLOOR, floor);
    };
    for (name, jobs) in [("verify, one thread, an event", 1), ("verify, two threads, an event", 2)]
    {
        let jobs = NonZeroUsize::new(jobs).ok_or("no threads")?;
        let (options, reader) = (VerifyOptions::default(), store.reader());
        let go_on = |_| ControlFlow::Continue(());
        let (report, time) = timed(|| verify_parallel(&reader, &options, jobs, go_on));
        if !report.is_whole() {
            return Err(format!("{:?}", report.faults).into());
        }
        put(name, nanos_each(time, count));
    }
    let erased: EventPredicate = Arc::new(|event: &EventRef<'_>| event.sequence().get() % 10 == 0);
    let kept: EventPredicate = Arc::new(|event: &EventRef<'_>| event.sequence().get() % 10 != 1);
    for (name, strategy) in [
        ("merge, an event", CompactionStrategy::Merge),
        ("erase a tenth, an event", CompactionStrategy::Erase(erased)),
        ("drop a tenth, an event", CompactionStrategy::Retention(kept)),
    ] {
        let config = CompactionConfig::new(strategy).with_seal_active(true);
        let (done, time) = timed(|| store.compact(&config, |_| ControlFlow::Continue(())));
        done?;
        put(name, nanos_each(time, count));
    }
    Ok(store.close()?)
}
