//! Appends that are not synced, one by one and in batches of a thousand.

use crate::measure::{KIND, batch, coordinates, median, spread, thousands, timed};
use crate::{Args, floor};
use annals::{Durability, Payload, Store, StoreConfig};
use std::error::Error;

const SINGLES: usize = 50_000;
const BULK: usize = 300_000;
const BATCH: usize = 1_000;

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    let (mut single, mut bare, mut bulk) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let dir = tempfile::tempdir_in(&args.dir)?;
        let write = floor::writes(dir.path(), SINGLES, floor::event_len(args.payload))?;
        bare.push(write.as_nanos());
        single.push(singles(args)?);
        bulk.push(bulks(args)?);
    }
    let (single, bare, bulk) = (median(&mut single), median(&mut bare), median(&mut bulk));
    println!("\nnot synced, one producer");
    println!("  single append       {single:>8} ns");
    println!("  bare write          {bare:>8} ns   append / write {:.2}", single as f64 / bare as f64);
    println!("  bulk, {BATCH} a batch  {bulk:>8.0} k/s");
    Ok(())
}

fn singles(args: &Args) -> Result<u128, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let config = StoreConfig::new(dir.path()).with_durability(Durability::OnSync);
    let store = Store::open(config)?;
    let (coordinates, payload) = (coordinates(SINGLES), vec![7; args.payload]);
    let ((), time) = timed(|| {
        for number in 0..SINGLES {
            let at = spread(&coordinates, number);
            store.append(at, KIND, Payload::raw(payload.as_slice())).expect("appended");
        }
    });
    Ok(time.as_nanos() / SINGLES as u128)
}

fn bulks(args: &Args) -> Result<f64, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let config = StoreConfig::new(dir.path()).with_durability(Durability::OnSync);
    let store = Store::open(config)?;
    let (coordinates, payload) = (coordinates(BULK), vec![7; args.payload]);
    let batches: Vec<_> =
        (0..BULK / BATCH).map(|at| batch(&coordinates, at * BATCH, BATCH, &payload)).collect();
    let ((), time) = timed(|| {
        for batch in batches {
            store.append_batch(batch).expect("appended");
        }
    });
    Ok(thousands(BULK, time))
}
