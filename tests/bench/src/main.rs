//! What Annals costs, beside the floor that the machine sets.
//!
//! Absolute figures move with the machine and with what else it does, so every table puts Annals
//! beside bare writes of the same bytes in the same run, the two take turns, and medians are
//! shown. Run it in this folder: `cargo run --release -- --help`.

mod append;
mod backup;
mod durable;
mod fanout;
mod floor;
mod growth;
mod keep;
mod measure;

use clap::{Parser, ValueEnum};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Benches of Annals beside the floor.
#[derive(Debug, Parser)]
struct Args {
    /// Which tables; all of them without this.
    #[arg(value_enum)]
    tables: Vec<Table>,
    /// A directory on the disk to be measured.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// How often Annals and the floor take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// The largest number of events in the growth table.
    #[arg(long, default_value_t = 1_000_000)]
    events_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Single and bulk appends, not synced.
    Append,
    /// Synced appends of 1, 8 and 64 producers.
    Durable,
    /// Appends beside 0, 100 and 1,000 subscribers, most of them slow.
    Fanout,
    /// Open, memory, get, stream and poll, at 10 k to the largest number of events.
    Growth,
    /// Verifying and compacting, beside plainly reading the same files.
    Keep,
    /// Export, import and snapshot beside reading and writing the same bytes.
    Backup,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let wanted = |table| args.tables.is_empty() || args.tables.contains(&table);
    std::fs::create_dir_all(&args.dir)?;
    println!("payload {} B, {} rounds, medians", args.payload, args.rounds);
    if wanted(Table::Append) {
        append::table(&args)?;
    }
    if wanted(Table::Durable) {
        durable::table(&args)?;
    }
    if wanted(Table::Fanout) {
        fanout::table(&args)?;
    }
    if wanted(Table::Growth) {
        growth::table(&args)?;
    }
    if wanted(Table::Keep) {
        keep::table(&args)?;
    }
    if wanted(Table::Backup) {
        backup::table(&args)?;
    }
    Ok(())
}
