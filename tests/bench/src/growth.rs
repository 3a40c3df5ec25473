//! What grows with the log and what does not.

use crate::measure::{batch, coordinates, median, percentile, thousands, timed};
use crate::{ALLOCATOR, Args};
use annals::{Durability, EventId, Region, Store, StoreConfig};
use std::error::Error;
use std::path::Path;

const BATCH: usize = 1_000;
const SAMPLES: usize = 2_000;

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    println!(
        "\n{:>10} {:>9} {:>8} {:>9} {:>11} {:>11} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "events", "load k/s", "B/event", "open ms", "heap KiB", "after reads", "get p50", "get p99",
        "stream us", "poll ns", "walk M/s"
    );
    let mut events = 10_000;
    while events <= args.events_max {
        row(args, events)?;
        events *= 10;
    }
    Ok(())
}

fn row(args: &Args, events: usize) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let (rate, ids) = load(args, dir.path(), events)?;
    let before = live_bytes();
    let (store, open) = timed(|| Store::open(config(dir.path())));
    let store = store?;
    let opened = live_bytes() - before;
    let bytes = store.reader().stats()?.bytes as f64 / events as f64;
    let mut gets: Vec<u128> = ids.iter().map(|id| nanos(|| store.get(*id).is_ok())).collect();
    let coordinates = coordinates(events);
    let mut streams: Vec<u128> = coordinates
        .iter()
        .step_by((coordinates.len() / 200).max(1))
        .map(|at| nanos(|| store.stream(at.entity()).count() > 0) / 1_000)
        .collect();
    let end = store.reader().end();
    let region = Region::all().scope("tenant-3").sequences(end..);
    let mut polls: Vec<u128> =
        (0..SAMPLES).map(|_| nanos(|| store.query(&region).count() == 0)).collect();
    let (seen, walk) = timed(|| {
        let mut query = store.query(&Region::all());
        let mut seen = 0;
        while let Ok(Some(_)) = query.next_with(|event| event.payload().map(<[u8]>::len)) {
            seen += 1;
        }
        seen
    });
    assert_eq!(seen, events, "every event is there");
    println!(
        "{events:>10} {rate:>9.0} {bytes:>8.1} {:>9.2} {:>11} {:>11} {:>8} {:>8} {:>9} {:>8} {:>8.1}",
        open.as_secs_f64() * 1e3,
        opened / 1024,
        (live_bytes() - before) / 1024,
        median(&mut gets),
        percentile(&mut gets, 99),
        median(&mut streams),
        median(&mut polls),
        thousands(seen, walk) / 1e3,
    );
    Ok(())
}

fn load(args: &Args, dir: &Path, events: usize) -> Result<(f64, Vec<EventId>), Box<dyn Error>> {
    let store = Store::open(config(dir))?;
    let (coordinates, payload) = (coordinates(events), vec![7; args.payload]);
    let mut ids = Vec::with_capacity(SAMPLES);
    let (result, time) = timed(|| -> Result<(), annals::StoreError> {
        for at in 0..events / BATCH {
            let receipts = store.append_batch(batch(&coordinates, at * BATCH, BATCH, &payload))?;
            let wanted = SAMPLES.div_ceil(events / BATCH);
            ids.extend(receipts.iter().step_by((BATCH / wanted).max(1)).map(|of| of.id).take(wanted));
        }
        Ok(())
    });
    result?;
    store.close()?;
    Ok((thousands(events, time), ids))
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir).with_durability(Durability::OnSync)
}

fn nanos(act: impl FnOnce() -> bool) -> u128 {
    let (held, time) = timed(act);
    assert!(held, "the answer is right");
    time.as_nanos()
}

fn live_bytes() -> isize {
    let stats = ALLOCATOR.stats();
    let sum = |bytes: usize| isize::try_from(bytes).expect("fits");
    // What reallocations add and take is in both numbers already.
    sum(stats.bytes_allocated) - sum(stats.bytes_deallocated)
}
