//! Appends beside subscribers: of ten, nine are slow and one waits for every event.
//!
//! A slow one sleeps between two events, far longer than an append takes, so it is told again and
//! again what it has lost. What an append costs beside them is what waking the others costs, and
//! what they all take from the processors.

use crate::Args;
use crate::measure::{KIND, coordinates, median, percentile, spread, thousands};
use annals::{Durability, FollowError, Payload, Region, Store, StoreConfig, Subscription};
use std::error::Error;
use std::time::{Duration, Instant};

const APPENDS: usize = 20_000;
const SUBSCRIBERS: [usize; 3] = [0, 100, 1_000];
const PAUSE: Duration = Duration::from_millis(50);
const CAPACITY: usize = 16;

/// Who listens.
#[derive(Clone, Copy, PartialEq)]
enum Audience {
    /// All of them sleep between two events.
    Slow,
    /// One in ten waits for every event.
    Mixed,
}

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    println!("\nsubscribers              k/s   p50 us   p99 us   taken   lost");
    for audience in [Audience::Slow, Audience::Mixed] {
        for subscribers in SUBSCRIBERS {
            let rows: Result<Vec<_>, _> =
                (0..args.rounds).map(|_| row(args, subscribers, audience)).collect();
            let rows = rows?;
            let [rate, p50, p99, taken, lost] = [0, 1, 2, 3, 4]
                .map(|column| median(&mut rows.iter().map(|row| row[column]).collect::<Vec<_>>()));
            let name = match audience {
                Audience::Slow => "slow",
                Audience::Mixed => "1 in 10 fast",
            };
            println!("  {subscribers:>6} {name:<12} {rate:>6.1} {p50:>8.0} {p99:>8.0} {taken:>7.0} {lost:>9.0}");
        }
    }
    Ok(())
}

fn row(args: &Args, subscribers: usize, audience: Audience) -> Result<[f64; 5], Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let config = StoreConfig::new(dir.path())
        .with_durability(Durability::OnSync)
        .with_subscription_capacity(CAPACITY);
    let store = Store::open(config)?;
    let threads: Vec<_> = (0..subscribers)
        .map(|number| {
            let slow = audience == Audience::Slow || number % 10 != 0;
            let live = store.subscribe(&Region::all());
            std::thread::Builder::new().stack_size(128 * 1024).spawn(move || listen(live, slow))
        })
        .collect::<Result<_, _>>()?;
    let (coordinates, payload) = (coordinates(APPENDS), vec![7; args.payload]);
    let mut micros = Vec::with_capacity(APPENDS);
    let start = Instant::now();
    for number in 0..APPENDS {
        let before = Instant::now();
        store.append(spread(&coordinates, number), KIND, Payload::raw(payload.as_slice()))?;
        micros.push(before.elapsed().as_secs_f64() * 1e6);
    }
    let rate = thousands(APPENDS, start.elapsed());
    store.close()?;
    let (mut taken, mut lost) = (0, 0);
    for thread in threads {
        let (more_taken, more_lost) = thread.join().expect("no panic");
        taken += more_taken;
        lost += more_lost;
    }
    assert_eq!(taken + lost, (APPENDS * subscribers) as u64, "none is forgotten");
    let (p50, p99) = (percentile(&mut micros, 50), percentile(&mut micros, 99));
    Ok([rate, p50, p99, taken as f64, lost as f64])
}

/// Takes events until the store is closed; returns how many were taken, and how many lost.
fn listen(mut live: Subscription, slow: bool) -> (u64, u64) {
    let (mut taken, mut lost) = (0, 0);
    loop {
        match live.recv() {
            Ok(_) => taken += 1,
            Err(FollowError::Lagged(more)) => lost += more,
            Err(FollowError::Closed) => return (taken, lost),
            Err(error) => panic!("{error}"),
        }
        if slow {
            std::thread::sleep(PAUSE);
        }
    }
}
