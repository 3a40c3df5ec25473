//! `annals verify`: whether a store is whole, as far as its bytes can tell.
//!
//! It tells all it finds, and its exit code tells a script: whole, damaged, or not looked at.

use crate::args::VerifyArgs;
use crate::failure::{Code, Failure};
use crate::open;
use crate::output::{Output, counted};
use crate::progress;
use crate::stop;
use annals::{
    Corruption, FaultKind, ReadOnlyLog, Storage, StoreError, VerifyFault, VerifyOptions,
    VerifyReport, verify_parallel,
};
use console::Style;
use indicatif::BinaryBytes;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct VerifyJson<'a> {
    whole: bool,
    /// Why the store could not be opened at all, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_opened: Option<String>,
    #[serde(flatten)]
    report: &'a VerifyReport,
    /// What is damaged in the meta log, where the names of kinds stand.
    meta_damage: Vec<String>,
    /// Bytes behind the last whole frame: an append that was cut short, which is no damage.
    torn_tail_bytes: u64,
    seconds: f64,
}

pub(crate) fn run(dir: &Path, args: &VerifyArgs, out: &mut Output) -> Result<Code, Failure> {
    let started = Instant::now();
    let log = match open::look_and_open(dir)? {
        Ok(log) => log,
        Err(StoreError::Corruption(corruption)) => {
            return not_opened(&corruption, args, started.elapsed(), out);
        }
        Err(error) => return Err(open::of_store(dir, error)),
    };
    stop::listen();
    let bar = progress::of_bytes(Some(0));
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok());
    let jobs = jobs.unwrap_or(NonZeroUsize::MIN);
    let options = VerifyOptions::default();
    let report = verify_parallel(&log.reader(), &options, jobs, |progress| {
        bar.set_length(progress.bytes);
        bar.set_position(progress.bytes_done);
        stop::flow()
    });
    bar.finish_and_clear();
    if stop::asked() && report.faults.is_empty() {
        let looked_at = counted(report.events, "event was", "events were");
        let message = format!("no damage so far; {looked_at} looked at, the rest was not");
        return Err(stop::stopped(&message).hint("run it again"));
    }
    let meta_damage = &log.recovery().meta_damage;
    let is_whole = report.is_whole() && meta_damage.is_empty();
    let elapsed = started.elapsed();
    if args.json {
        out.json(&VerifyJson {
            whole: is_whole,
            not_opened: None,
            report: &report,
            meta_damage: meta_damage.iter().map(ToString::to_string).collect(),
            torn_tail_bytes: log.recovery().torn_tail.map_or(0, |torn| torn.len),
            seconds: elapsed.as_secs_f64(),
        })?;
    } else {
        tell(&report, is_whole, elapsed, out)?;
        for corruption in meta_damage {
            let kind = Style::new().red().apply_to(format!("{:<15}", "meta_log"));
            out.line(format_args!("  {kind} {corruption}"))?;
        }
        tell_torn_tail(&log, out)?;
    }
    judge(&report, meta_damage)
}

fn judge(report: &VerifyReport, meta_damage: &[Corruption]) -> Result<Code, Failure> {
    if report.is_whole() && meta_damage.is_empty() {
        return Ok(Code::Done);
    }
    if meta_damage.is_empty()
        && report.faults.iter().all(|fault| fault.kind == FaultKind::Unreadable)
    {
        return Err(Failure::usage("not all of the store could be read")
            .hint("see to it that its files can be read, then verify again"));
    }
    Err(damaged())
}

fn damaged() -> Failure {
    Failure::no("the store is damaged").hint(
        "copy its directory before anything else, then restore a backup, or keep what is whole \
         with `annals repair --salvage DEST`",
    )
}

fn not_opened(
    corruption: &Corruption,
    args: &VerifyArgs,
    elapsed: Duration,
    out: &mut Output,
) -> Result<Code, Failure> {
    if args.json {
        out.json(&VerifyJson {
            whole: false,
            not_opened: Some(corruption.to_string()),
            report: &VerifyReport::default(),
            meta_damage: Vec::new(),
            torn_tail_bytes: 0,
            seconds: elapsed.as_secs_f64(),
        })?;
    } else {
        out.line(verdict(false))?;
        out.line(format_args!("  it can't be opened: {corruption}"))?;
    }
    Err(damaged())
}

fn tell(
    report: &VerifyReport,
    is_whole: bool,
    elapsed: Duration,
    out: &mut Output,
) -> Result<(), Failure> {
    out.line(format_args!(
        "{} {} of {} in {}, {} read in {elapsed:.2?}",
        verdict(is_whole),
        counted(report.events, "event", "events"),
        counted(report.streams, "stream", "streams"),
        counted(report.segments, "segment", "segments"),
        BinaryBytes(report.bytes),
    ))?;
    if report.erased_events > 0 {
        let erased = counted(report.erased_events, "event has", "events have");
        out.line(format_args!("  {erased} been erased"))?;
    }
    if report.pruned_runs > 0 {
        let runs = counted(report.pruned_runs, "run", "runs");
        out.line(format_args!("  {runs} of events have been dropped by retention"))?;
    }
    report.faults.iter().try_for_each(|fault| tell_fault(fault, out))
}

fn tell_fault(fault: &VerifyFault, out: &mut Output) -> Result<(), Failure> {
    let VerifyFault { kind, count, file, offset, expected, found, .. } = fault;
    let kind = Style::new().red().apply_to(format!("{kind:<15}")).to_string();
    out.line(format_args!("  {kind} {file} at byte {offset}"))?;
    out.line(format_args!("    expected {expected}"))?;
    out.line(format_args!("    found    {found}"))?;
    match count {
        0 | 1 => Ok(()),
        count => out.line(format_args!("    the first of {count} such faults")),
    }
}

fn tell_torn_tail<S: Storage>(log: &ReadOnlyLog<S>, out: &mut Output) -> Result<(), Failure> {
    let Some(torn) = log.recovery().torn_tail else { return Ok(()) };
    let len = counted(torn.len, "byte", "bytes");
    out.line(format_args!(
        "  {len} of {} from byte {} on belong to an append that is under way or was cut short",
        torn.file, torn.offset
    ))
}

fn verdict(is_whole: bool) -> String {
    match is_whole {
        true => Style::new().green().bold().apply_to("whole:").to_string(),
        false => Style::new().red().bold().apply_to("damaged:").to_string(),
    }
}
