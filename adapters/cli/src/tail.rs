//! `annals tail`: the newest events, and then those that come.
//!
//! It remembers the last event that it printed and nothing else of the store, so a writer may seal,
//! merge and remove segments meanwhile.

use crate::args::TailArgs;
use crate::event_json::EventJson;
use crate::event_table::EventTable;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::Output;
use crate::stop::wait_for_closed_stdout;
use annals::{
    Event, FsStorage, ReadOnlyLog, Reader, Region, Sequence, StorageErrorKind, StoreError,
};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a follower sleeps at least between two looks at the files.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// A look at the files reads the newest segment: a follower sleeps this many times as long.
const PAUSE_FACTOR: u32 = 10;
/// How often in a row a file may be gone before it has been read.
const GONE_MAX: u32 = 8;

pub(crate) fn run(dir: &Path, args: &TailArgs, out: &mut Output) -> Result<Code, Failure> {
    let mut log = open::for_reading(dir)?;
    let reader = log.reader();
    let region = args.region.region(&reader)?;
    let mut printer =
        Printer { json: args.json, table: EventTable::new(out, out.width().is_some()) };
    let mut next = first_of(&reader, &region, args.count).map_err(|error| of_store(dir, error))?;
    next = print_from(dir, &mut log, &region, next, &mut printer, out)?;
    printer.table.release(out)?;
    if !args.follow {
        return Ok(Code::Done);
    }
    loop {
        out.flush()?;
        let looked_at = Instant::now();
        log.refresh().map_err(|error| of_store(dir, error))?;
        next = print_from(dir, &mut log, &region, next, &mut printer, out)?;
        out.flush()?;
        if wait_for_closed_stdout(PAUSE_MIN.max(looked_at.elapsed() * PAUSE_FACTOR)) {
            return Ok(Code::Done);
        }
    }
}

/// The sequence of the oldest of the newest events of a region; only their headers are read.
fn first_of(
    reader: &Reader<FsStorage>,
    region: &Region,
    count: u64,
) -> Result<Sequence, StoreError> {
    let mut newest = reader.query(region).backward().limit(count);
    let mut first = reader.end();
    while let Some(sequence) = newest.next_with(|event| event.sequence())? {
        first = sequence;
    }
    Ok(first)
}

/// Prints what there is from a sequence on, and tells where to go on.
fn print_from(
    dir: &Path,
    log: &mut ReadOnlyLog<FsStorage>,
    region: &Region,
    mut next: Sequence,
    printer: &mut Printer,
    out: &mut Output,
) -> Result<Sequence, Failure> {
    let mut gone = 0;
    loop {
        let reader = log.reader();
        let mut events = reader.query(&behind(region, next));
        loop {
            match events.next() {
                None => return Ok(next.max(reader.end())),
                Some(Ok(event)) => {
                    gone = 0;
                    printer.event(out, &reader, &event)?;
                    next = event.sequence().next();
                }
                // A compaction has put another file in its place.
                Some(Err(StoreError::Storage(error)))
                    if error.kind() == StorageErrorKind::NotFound && gone < GONE_MAX =>
                {
                    gone += 1;
                    break;
                }
                Some(Err(error)) => return Err(of_store(dir, error)),
            }
        }
        log.refresh().map_err(|error| of_store(dir, error))?;
    }
}

/// The part of a region from a sequence on.
fn behind(region: &Region, first: Sequence) -> Region {
    let span = region.sequence_span();
    let first = span.map_or(first, |span| span.first.max(first));
    let last = span.map_or(Sequence::MAX, |span| span.last);
    region.clone().sequences(first..=last)
}

struct Printer {
    json: bool,
    table: EventTable,
}

impl Printer {
    fn event(
        &mut self,
        out: &mut Output,
        reader: &Reader<FsStorage>,
        event: &Event,
    ) -> Result<(), Failure> {
        match self.json {
            true => out.json(&EventJson::new(event, reader)),
            false => self.table.event(out, reader, event),
        }
    }
}
