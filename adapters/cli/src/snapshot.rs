//! `annals snapshot`: the store as it is now in another directory, beside its writer.

use crate::args::SnapshotArgs;
use crate::failure::{Code, Failure};
use crate::open;
use crate::output::{Output, counted};
use crate::stop;
use crate::transfer::{Bar, failure};
use indicatif::BinaryBytes;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Serialize)]
struct SnapshotJson {
    end: u64,
    segments: u64,
    bytes: u64,
    shared_bytes: u64,
}

pub(crate) fn run(dir: &Path, args: &SnapshotArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    stop::listen();
    let bar = Bar::new();
    let done = annals::snapshot(&log, &args.dest, |now| bar.follow(now));
    bar.finish();
    let done = done.map_err(|error| failure(dir, error))?;
    if args.json {
        out.json(&SnapshotJson {
            end: done.end.get(),
            segments: done.segments,
            bytes: done.bytes,
            shared_bytes: done.shared_bytes,
        })?;
        return Ok(Code::Done);
    }
    out.line(format_args!(
        "snapshot of {} before sequence {} in {}: {}, {} of them shared with the store",
        counted(done.segments, "segment", "segments"),
        done.end,
        args.dest.display(),
        BinaryBytes(done.bytes),
        BinaryBytes(done.shared_bytes),
    ))?;
    Ok(Code::Done)
}
