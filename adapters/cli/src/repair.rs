//! `annals repair`: what is provably whole in a damaged store, in a new one.

use crate::args::RepairArgs;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::{Output, counted};
use crate::progress;
use crate::stop;
use annals::{
    SalvageReport, StoreError, SystemHost, VerifyOptions, VerifyReport, salvage, verify_parallel,
};
use console::Style;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct RepairJson<'a> {
    #[serde(flatten)]
    report: &'a SalvageReport,
    /// The verification of the new store.
    verified: &'a VerifyReport,
}

pub(crate) fn run(dir: &Path, args: &RepairArgs, out: &mut Output) -> Result<Code, Failure> {
    let (source, target) = open::for_salvage(dir, &args.salvage)?;
    let target = Arc::new(target);
    stop::listen();
    let bar = progress::of_bytes(Some(0));
    let salvaged = salvage(&source, &target, SystemHost::default(), |progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.done_bytes);
        stop::flow()
    });
    bar.finish_and_clear();
    drop(target);
    let report = match salvaged {
        Ok(Some(report)) => report,
        Ok(None) => {
            return Err(stop::stopped("what is in the new directory is no whole store")
                .hint("remove the new directory, then run it again"));
        }
        Err(error @ StoreError::InvalidInput(_)) => return Err(Failure::usage(error.to_string())),
        Err(error) => return Err(of_store(&args.salvage, error)),
    };
    let verified = verified(&args.salvage)?;
    if args.json {
        out.json(&RepairJson { report: &report, verified: &verified })?;
    } else {
        tell(&args.salvage, &report, out)?;
    }
    if !verified.is_whole() {
        return Err(Failure::no("the new store is not whole")
            .hint("keep the damaged one; `annals verify` on the new one says what is wrong"));
    }
    let left = !report.losses.is_empty() || !report.meta_damage.is_empty();
    Ok(if left { Code::No } else { Code::Done })
}

/// Proves the new store whole.
fn verified(dir: &Path) -> Result<VerifyReport, Failure> {
    let log = open::for_reading(dir)?;
    let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = VerifyOptions::default();
    let bar = progress::of_bytes(Some(0));
    let report = verify_parallel(&log.reader(), &options, jobs, |progress| {
        bar.set_length(progress.bytes);
        bar.set_position(progress.bytes_done);
        stop::flow()
    });
    bar.finish_and_clear();
    match stop::asked() {
        true => Err(stop::stopped("the new store is made, but was not proven whole")
            .hint("`annals verify` the new one")),
        false => Ok(report),
    }
}

fn tell(target: &Path, report: &SalvageReport, out: &mut Output) -> Result<(), Failure> {
    out.line(format_args!(
        "kept {} in {}: {} copied, {} written anew",
        counted(report.kept_events, "event", "events"),
        target.display(),
        counted(report.copied_segments, "segment", "segments"),
        report.rewritten_segments,
    ))?;
    if report.pruned_runs > 0 {
        let runs = counted(report.pruned_runs, "run", "runs");
        out.line(format_args!("  {runs} of events are gone, with a mark in their place"))?;
    }
    if report.losses.is_empty() && report.meta_damage.is_empty() {
        return out.line("  nothing was left");
    }
    out.line(Style::new().bold().apply_to("left:"))?;
    for loss in &report.losses {
        out.line(format_args!("  {loss}"))?;
    }
    for damage in &report.meta_damage {
        out.line(format_args!("  {damage}; names of kinds and checkpoints there are gone"))?;
    }
    Ok(())
}
