//! `annals compact`: fewer and larger segments, or segments without events that may go.

use crate::args::CompactArgs;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::{Output, counted};
use crate::{confirm, progress, stop};
use annals::{
    CompactionConfig, CompactionPlan, CompactionProgress, CompactionStrategy, EventRef, FsStorage,
    Reader, Region, StoreError,
};
use indicatif::BinaryBytes;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct CompactJson {
    dry_run: bool,
    /// Sealed segments that are looked at.
    segments: u64,
    segment_bytes: u64,
    kept_events: u64,
    dropped_events: u64,
}

pub(crate) fn run(dir: &Path, args: &CompactArgs, out: &mut Output) -> Result<Code, Failure> {
    let reader = open::for_reading(dir)?.reader();
    let region = args.region.region(&reader)?;
    if args.drops == (region == Region::all()) {
        let message = match args.drops {
            true => "--drop needs a filter: it says which events go",
            false => "filters say which events go, with --drop",
        };
        return Err(Failure::usage(message).hint("`annals compact --help` has examples"));
    }
    let config = config_of(args, &region);
    let plan = reader.plan_compaction(&config);
    let mut going = 0;
    if args.drops {
        going = count(&reader, &region).map_err(|error| of_store(dir, error))?;
    }
    drop(reader);
    if args.dry_run {
        tell_plan(args, plan, going, out)?;
        return Ok(Code::Done);
    }
    if going > 0 {
        let events = counted(going, "event", "events");
        confirm::sure(args.yes, &format!("{events} will be gone for good."))?;
    }
    stop::listen();
    let store = open::for_keeping(dir)?;
    let bar = progress::of_bytes(Some(plan.segment_bytes));
    let mut before = 0;
    let done = store.compact_until(&config, stop::cancel(), |now| {
        let bytes = now.read_bytes.max(now.looked_bytes);
        bar.set_position(before + bytes);
        if now.read_bytes == now.total_bytes {
            before += now.total_bytes;
        }
        stop::flow()
    });
    bar.finish_and_clear();
    let done = done.map_err(|error| of_store(dir, error))?;
    store.close()?;
    if stop::asked() {
        let kept = counted(done.kept_events, "event", "events");
        let dropped = counted(done.dropped_events, "event", "events");
        let message = format!("{kept} written anew and {dropped} dropped, the rest is as it was");
        return Err(stop::stopped(&message).hint("run the same again: it goes on"));
    }
    tell(args, plan, &done, out)?;
    Ok(Code::Done)
}

fn config_of(args: &CompactArgs, region: &Region) -> CompactionConfig {
    let strategy = match args.drops {
        false => CompactionStrategy::Merge,
        true => {
            let region = region.clone();
            CompactionStrategy::Retention(Arc::new(move |event: &EventRef<'_>| {
                !region.matches_ref(event.sequence(), event.header())
            }))
        }
    };
    let mut config = CompactionConfig::new(strategy)
        .with_output_max_bytes(args.output_max_bytes)
        .with_seal_active(args.seal || args.drops);
    config.bytes_per_second = args.bytes_per_second;
    config
}

fn count(reader: &Reader<FsStorage>, region: &Region) -> Result<u64, StoreError> {
    let mut query = reader.query(region);
    let mut events = 0;
    while query.next_with(|_| ())?.is_some() {
        events += 1;
    }
    Ok(events)
}

fn tell_plan(
    args: &CompactArgs,
    plan: CompactionPlan,
    going: u64,
    out: &mut Output,
) -> Result<(), Failure> {
    if args.json {
        return out.json(&CompactJson {
            dry_run: true,
            segments: plan.segments,
            segment_bytes: plan.segment_bytes,
            kept_events: 0,
            dropped_events: going,
        });
    }
    let segments = counted(plan.segments, "sealed segment", "sealed segments");
    let bytes = BinaryBytes(plan.segment_bytes);
    match args.drops {
        true => {
            let events = counted(going, "event", "events");
            out.line(format_args!("{events} would be dropped, from {segments} of {bytes}"))?;
        }
        false => {
            let outputs = counted(plan.outputs, "segment", "segments");
            out.line(format_args!("{segments} of {bytes} would become {outputs} at most"))?;
        }
    }
    out.line("nothing was changed")
}

fn tell(
    args: &CompactArgs,
    plan: CompactionPlan,
    done: &CompactionProgress,
    out: &mut Output,
) -> Result<(), Failure> {
    if args.json {
        return out.json(&CompactJson {
            dry_run: false,
            segments: plan.segments,
            segment_bytes: done.read_bytes,
            kept_events: done.kept_events,
            dropped_events: done.dropped_events,
        });
    }
    if done.read_bytes == 0 {
        return out.line("there was nothing to do");
    }
    let kept = counted(done.kept_events, "event", "events");
    let read = BinaryBytes(done.read_bytes);
    match args.drops {
        true => {
            let dropped = counted(done.dropped_events, "event", "events");
            out.line(format_args!(
                "dropped {dropped}, kept {kept} beside them, {read} written anew"
            ))
        }
        false => out.line(format_args!("merged {kept} of {read}; none is lost")),
    }
}
