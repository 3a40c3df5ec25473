//! Proving what is stored, each engine as far as it can: Annals and batpak prove the hash chain,
//! SQLite and redb that their trees and indexes fit.

use crate::bench::Bench;
use crate::engine::{Result, Unsupported};
use crate::measure::timed;
use crate::sheet::Unit;
use crate::workload::grown::Grown;

const NAME: &str = "verify, an event";

pub fn run(bench: &mut Bench, grown: &mut Grown<'_>) -> Result<()> {
    let (verified, time) = timed(|| grown.engine.verify());
    match verified {
        Err(error) if error.is::<Unsupported>() => return Ok(()),
        verified => verified?,
    }
    let count = grown.events.count;
    let cost = time.as_nanos() as f64 / count as f64;
    bench.put(NAME, Unit::Time, count, grown.kind.name, cost);
    Ok(())
}
