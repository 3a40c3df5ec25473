//! What Annals costs, beside its peers and the floor that the machine sets.
//!
//! Absolute figures move with the machine and with what else it does. So every engine does the
//! same work in the same run, they take turns, medians and quartiles over rounds are shown, and
//! ratios are what to look at. What they answer is compared: a wrong answer fails the run.
//! `cargo xtask bench -- --help` lists what can be chosen.

#![deny(unsafe_code)]

mod bench;
mod engine;
mod events;
mod machine;
mod measure;
mod report;
mod sheet;
mod workload;

use bench::Bench;
use clap::{Parser, ValueEnum};
use sheet::Sheet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Annals beside its peers and the floor.
#[derive(Debug, Parser)]
struct Args {
    /// Which parts; all of them without this.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Only engines whose name contains one of these; Annals always takes part.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Bytes of a payload.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_024])]
    payloads: Vec<usize>,
    /// How many events the grown stores have, from 10,000 on in steps of ten.
    #[arg(long, default_value_t = 1_000_000)]
    events_max: usize,
    /// As `--events-max`, for payloads above 512 B.
    #[arg(long, default_value_t = 100_000)]
    events_max_large: usize,
    /// How often the engines take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// As `--rounds`, for stores of a million events and more.
    #[arg(long, default_value_t = 3)]
    rounds_large: usize,
    /// A directory on the disk to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Where tables and plots go; only to the terminal without this.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Run nothing: make tables and plots of the samples that the benches in a browser left here.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["parts", "quick"])]
    browser: Option<PathBuf>,
    /// A tenth of the work and one round: does it run, and are the answers equal?
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Memory and hashes.
    Floor,
    /// Single appends, not synced.
    Append,
    /// Appends and reads by turns.
    Mixed,
    /// Synced appends of 1, 8 and 64 producers, and synced batches.
    Durable,
    /// Appends beside subscribers.
    Fanout,
    /// Compaction.
    Compact,
    /// Verify, merge, erase and drop, beside reading the same files.
    Keep,
    /// Export, import and snapshot, beside copying the same files.
    Backup,
    /// Stores of 10,000 events and more: load, open, reads, projections, verify, disk, heap.
    Grown,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let facts = machine::Facts::gather(&args.dir);
    if let Some(samples) = &args.browser {
        report::draw_browser(samples, facts, args.out.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |name: &str| {
        args.engines.is_empty()
            || name == sheet::OURS
            || args.engines.iter().any(|part| name.contains(part.as_str()))
    };
    let mut bench = Bench {
        engines: engine::ALL.iter().copied().filter(|kind| wanted(kind.name)).collect(),
        dir: args.dir.clone(),
        rounds: if args.quick { 1 } else { args.rounds },
        payload: 0,
        sheet: Sheet::default(),
    };
    for payload in &args.payloads {
        bench.payload = *payload;
        run(&args, &mut bench);
    }
    report::write(&bench, &facts, args.out.as_deref())?;
    if bench.sheet.wrong().is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("\nfailed:\n{}", bench.sheet.wrong().join("\n"));
    Ok(ExitCode::FAILURE)
}

fn run(args: &Args, bench: &mut Bench) {
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    let scale = |count: usize| if args.quick { count / 10 } else { count };
    if wanted(Part::Floor) {
        workload::floor::run(bench, scale(200_000));
    }
    if wanted(Part::Append) {
        workload::append::run(bench, scale(10_000));
    }
    if wanted(Part::Mixed) {
        workload::mixed::run(bench, scale(10_000));
    }
    if wanted(Part::Durable) {
        workload::durable::run(bench, scale(3_200));
        workload::bulk::run(bench, scale(20));
    }
    if wanted(Part::Fanout) {
        workload::fanout::run(bench, scale(5_000));
    }
    if wanted(Part::Compact) {
        workload::compact::run(bench, scale(50_000));
    }
    if wanted(Part::Keep) {
        workload::keep::run(bench, scale(100_000));
    }
    if wanted(Part::Backup) {
        workload::backup::run(bench, scale(100_000));
    }
    if wanted(Part::Grown) {
        let large = bench.payload > 512;
        let max = if large { args.events_max_large } else { args.events_max };
        let mut count = 10_000;
        while count <= if args.quick { 10_000 } else { max } {
            let rounds = if count >= 1_000_000 { args.rounds_large } else { bench.rounds };
            workload::grown::run(bench, count, rounds);
            count *= 10;
        }
    }
}
