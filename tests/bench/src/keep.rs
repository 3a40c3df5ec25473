//! Verifying, merging and erasing beside plainly reading the same files.

use crate::Args;
use crate::measure::{batch, coordinates, median, timed};
use annals::{
    CompactionConfig, CompactionStrategy, Durability, EventRef, Store, StoreConfig, VerifyOptions,
    verify_parallel,
};
use std::error::Error;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const EVENTS: usize = 1_000_000;
const BATCH: usize = 1_000;
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let store = Store::open(config(dir.path()))?;
    let events = EVENTS.min(args.events_max);
    let (coordinates, payload) = (coordinates(events), vec![7; args.payload]);
    for at in 0..events / BATCH {
        store.append_batch(batch(&coordinates, at * BATCH, BATCH, &payload))?;
    }
    store.close()?;
    let store = Store::open(config(dir.path()))?;
    let bytes = store.stats()?.bytes;
    let mib = |time: Duration| bytes as f64 / time.as_secs_f64() / 1024.0 / 1024.0;
    let (mut plain, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (read, time) = timed(|| read_all(dir.path()));
        assert!(read? >= bytes, "every byte is read");
        plain.push(mib(time));
        for (jobs, rates) in [(1, &mut one), (2, &mut two)] {
            let jobs = NonZeroUsize::new(jobs).ok_or("no threads")?;
            let (options, reader) = (VerifyOptions::default(), store.reader());
            let go_on = |_| ControlFlow::Continue(());
            let (report, time) = timed(|| verify_parallel(&reader, &options, jobs, go_on));
            assert!(report.is_whole(), "{:?}", report.faults);
            rates.push(mib(time));
        }
    }
    println!("\n{events} events, {:.0} MiB", bytes as f64 / 1024.0 / 1024.0);
    println!("{:>28} {:>9}", "", "MiB/s");
    println!("{:>28} {:>9.0}", "plain read", median(&mut plain));
    println!("{:>28} {:>9.0}", "verify, 1 thread", median(&mut one));
    println!("{:>28} {:>9.0}", "verify, 2 threads", median(&mut two));
    let erase = |event: &EventRef<'_>| event.sequence().get() % 10 == 0;
    let keep = |event: &EventRef<'_>| event.sequence().get() % 10 != 1;
    for (name, strategy) in [
        ("merge", CompactionStrategy::Merge),
        ("erase a tenth", CompactionStrategy::Erase(Arc::new(erase))),
        ("drop a tenth", CompactionStrategy::Retention(Arc::new(keep))),
    ] {
        let config = CompactionConfig::new(strategy).with_seal_active(true);
        let (done, time) = timed(|| store.compact(&config, |_| ControlFlow::Continue(())));
        let read = done?.read_bytes as f64 / 1024.0 / 1024.0;
        println!("{name:>28} {:>9.0}", read / time.as_secs_f64());
    }
    Ok(())
}

fn read_all(dir: &Path) -> Result<u64, std::io::Error> {
    let (mut chunk, mut sum) = (vec![0; 1024 * 1024], 0);
    for entry in std::fs::read_dir(dir)? {
        let mut file = std::fs::File::open(entry?.path())?;
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                read => sum += read as u64,
            }
        }
    }
    Ok(sum)
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir)
        .with_durability(Durability::OnSync)
        .with_segment_max_bytes(SEGMENT_BYTES)
}
