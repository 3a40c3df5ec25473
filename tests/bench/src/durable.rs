//! Appends on stable storage before they are acknowledged, of 1, 8 and 64 producers.

use crate::measure::{KIND, coordinates, median, percentile, spread, thousands};
use crate::{Args, floor};
use annals::{Payload, Store, StoreConfig};
use std::error::Error;
use std::time::{Duration, Instant};

const APPENDS: usize = 12_800;
const BARE: usize = 3_000;

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    println!("\ndurable                k/s   p50 us   p99 us");
    let mut bare: Vec<[f64; 3]> = Vec::new();
    let mut ours: [Vec<[f64; 3]>; 3] = Default::default();
    for _ in 0..args.rounds {
        let dir = tempfile::tempdir_in(&args.dir)?;
        let times = floor::synced_writes(dir.path(), BARE, floor::event_len(args.payload))?;
        let sum = times.iter().sum();
        bare.push(row(times, sum));
        for (at, producers) in [1, 8, 64].into_iter().enumerate() {
            ours[at].push(producers_row(args, producers)?);
        }
    }
    let bare = medians(&bare);
    print_row("write + fdatasync", bare);
    for (at, producers) in [1, 8, 64].into_iter().enumerate() {
        let ours = medians(&ours[at]);
        print_row(&format!("{producers} producers"), ours);
        println!("                       {:.2} of the bare rate", ours[0] / bare[0]);
    }
    Ok(())
}

fn producers_row(args: &Args, producers: usize) -> Result<[f64; 3], Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let store = Store::open(StoreConfig::new(dir.path()))?;
    let (coordinates, payload) = (coordinates(APPENDS), vec![7; args.payload]);
    let each = APPENDS / producers / if producers == 1 { 4 } else { 1 };
    let produce = |producer: usize| {
        let mut times = Vec::with_capacity(each);
        for number in 0..each {
            let start = Instant::now();
            let at = spread(&coordinates, producer * each + number);
            store.append(at, KIND, Payload::raw(payload.as_slice())).expect("appended");
            times.push(start.elapsed());
        }
        times
    };
    // The first appends make the segment and its zeros.
    produce(0);
    let start = Instant::now();
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..producers).map(|producer| scope.spawn({ let produce = &produce; move || produce(producer) })).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    Ok(row(times, start.elapsed()))
}

fn row(times: Vec<Duration>, all: Duration) -> [f64; 3] {
    let mut micros: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    let rate = thousands(micros.len(), all);
    [rate, percentile(&mut micros, 50), percentile(&mut micros, 99)]
}

fn medians(rows: &[[f64; 3]]) -> [f64; 3] {
    [0, 1, 2].map(|column| median(&mut rows.iter().map(|row| row[column]).collect::<Vec<_>>()))
}

fn print_row(name: &str, [rate, p50, p99]: [f64; 3]) {
    println!("  {name:<18} {rate:>6.1} {p50:>8.0} {p99:>8.0}");
}
