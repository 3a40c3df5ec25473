//! `annals erase`: metadata and payloads that must go, and a record that they did.

use crate::args::EraseArgs;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::{Output, counted};
use crate::{confirm, progress, stop};
use annals::{ErasurePlan, ErasureReport, ErasureTarget, FsStorage, Reader, Region};
use indicatif::BinaryBytes;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct EraseJson {
    dry_run: bool,
    /// Events that were erased, or would be.
    erased: u64,
    erased_before: u64,
    content_bytes: u64,
    segments: u64,
    /// The sequence of the record.
    record: Option<u64>,
    waiting_files: Vec<String>,
}

pub(crate) fn run(dir: &Path, args: &EraseArgs, out: &mut Output) -> Result<Code, Failure> {
    let reader = open::for_reading(dir)?.reader();
    let target = target_of(args, &reader)?;
    let plan = reader.plan_erasure(&target, || ControlFlow::Continue(()));
    let plan = plan.map_err(|error| of_store(dir, error))?;
    drop(reader);
    if args.dry_run {
        tell_plan(args, &plan, out)?;
        return Ok(Code::Done);
    }
    if plan.events > 0 {
        let events = counted(plan.events, "event", "events");
        confirm::sure(args.yes, &format!("The content of {events} will be gone for good."))?;
    }
    stop::listen();
    let store = open::for_keeping(dir)?;
    let bar = progress::of_bytes(Some(plan.segment_bytes));
    let report = store.erase_with_progress(target, |now| {
        bar.set_position(now.read_bytes);
        stop::flow()
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        of_store(dir, error).hint("run the same again when the cause is gone: it goes on")
    })?;
    store.close()?;
    if !report.complete {
        let erased = counted(report.erased, "event is", "events are");
        let message = format!("{erased} erased, the rest is not yet");
        return Err(stop::stopped(&message).hint("run the same again: it goes on"));
    }
    tell(args, &plan, &report, out)?;
    Ok(Code::Done)
}

fn target_of(args: &EraseArgs, reader: &Reader<FsStorage>) -> Result<ErasureTarget, Failure> {
    let region = args.region.region(reader)?;
    let is_filtered = region != Region::all();
    match args.id {
        Some(_) if is_filtered => {
            Err(Failure::usage("--id names one event: leave the filters out"))
        }
        Some(id) => Ok(id.into()),
        None if is_filtered || args.all => Ok(region.into()),
        None => Err(Failure::usage("nothing says what is to be erased")
            .hint("give a filter, --id, or --all for everything")),
    }
}

fn tell_plan(args: &EraseArgs, plan: &ErasurePlan, out: &mut Output) -> Result<(), Failure> {
    if args.json {
        return out.json(&EraseJson {
            dry_run: true,
            erased: plan.events,
            erased_before: plan.erased_before,
            content_bytes: plan.content_bytes,
            segments: plan.segments,
            record: None,
            waiting_files: Vec::new(),
        });
    }
    let events = counted(plan.events, "event", "events");
    let content = BinaryBytes(plan.content_bytes);
    out.line(format_args!("{events} with {content} of content would be erased"))?;
    let segments = counted(plan.segments, "segment", "segments");
    let bytes = BinaryBytes(plan.segment_bytes);
    out.line(format_args!("  {segments} of {bytes} would be written anew"))?;
    tell_erased_before(plan.erased_before, out)?;
    out.line("nothing was changed")
}

fn tell(
    args: &EraseArgs,
    plan: &ErasurePlan,
    report: &ErasureReport,
    out: &mut Output,
) -> Result<(), Failure> {
    let files = report.waiting_files.iter().map(ToString::to_string);
    if args.json {
        return out.json(&EraseJson {
            dry_run: false,
            erased: report.erased,
            erased_before: report.erased_before,
            content_bytes: plan.content_bytes,
            segments: report.segments,
            record: report.record.map(|receipt| receipt.sequence.get()),
            waiting_files: files.collect(),
        });
    }
    match report.record {
        Some(receipt) => {
            let events = counted(report.erased, "event", "events");
            out.line(format_args!("erased {events}; event {} records it", receipt.sequence))?;
        }
        None => out.line("there was nothing to erase")?,
    }
    tell_erased_before(report.erased_before, out)?;
    for file in files {
        out.line(format_args!("  {file} could not be removed yet: the next opening removes it"))?;
    }
    Ok(())
}

fn tell_erased_before(erased_before: u64, out: &mut Output) -> Result<(), Failure> {
    match erased_before {
        0 => Ok(()),
        some => {
            out.line(format_args!("  {} erased before", counted(some, "event was", "events were")))
        }
    }
}
