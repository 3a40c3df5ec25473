//! `annals import`: the rows of a file as events.
//!
//! Each row is staged as a batch of its own, so that it has its own time and can be replayed on
//! its own; the log writes and syncs many of them at once. A row that can't be an event leaves
//! nothing behind, and whatever ends an import, the rows before it are kept.

mod csv_source;
mod input;
mod json_source;
mod line_count;
mod row;
mod summary;
mod writer;

use crate::args::ImportArgs;
use crate::failure::{Code, Failure};
use crate::output::{Output, counted};
use crate::stop;
use input::Input;
use row::{BadRow, Refused, RowPlan};
use std::path::Path;
use std::time::Instant;
use summary::Summary;
use writer::RowWriter;

pub(crate) fn run(dir: &Path, args: &ImportArgs, out: &mut Output) -> Result<Code, Failure> {
    let started = Instant::now();
    stop::listen();
    let plan = RowPlan::new(args)?;
    let mut input = Input::open(args, &plan)?;
    let mut writer = RowWriter::open(dir, args.batch)?;
    let mut summary = Summary::default();
    let ended = all_rows(args, &plan, &mut input, &mut writer, &mut summary);
    input.progress.finish_and_clear();
    summary.merged = writer.take_merged();
    let closed = writer.close();
    if let Err(failure) = ended.and(closed) {
        summary.print_notes();
        return Err(failure.during(&input.name));
    }
    summary.elapsed = started.elapsed();
    summary.print(args, &input.name, out)?;
    Ok(Code::Done)
}

fn all_rows(
    args: &ImportArgs,
    plan: &RowPlan,
    input: &mut Input,
    writer: &mut RowWriter,
    summary: &mut Summary,
) -> Result<(), Failure> {
    while let Some(row) = input.source.advance() {
        // A row that was being waited for when somebody asked to stop is no bad row.
        if stop::asked() {
            return Err(stop::stopped(&summary.so_far()).hint(again(args)));
        }
        let imported = row.and_then(|line| one_row(plan, input, line, writer, summary));
        summary.rows += 1;
        match imported {
            Ok(()) => {}
            Err(Refused::Row(bad)) if args.skip_bad => {
                summary.skip(bad);
                if args.max_errors.is_some_and(|max| summary.skipped > max) {
                    return Err(too_many(args, summary));
                }
            }
            Err(Refused::Row(bad)) => return Err(stopped(args, summary, &bad)),
            Err(Refused::Import(failure)) => return Err(failure),
        }
        if writer.is_full() {
            writer.commit()?;
            input.progress.set_message(counted(summary.rows, "row", "rows"));
        }
    }
    Ok(())
}

fn one_row(
    plan: &RowPlan,
    input: &Input,
    line: u64,
    writer: &mut RowWriter,
    summary: &mut Summary,
) -> Result<(), Refused> {
    let row = plan.row(&*input.source, line)?;
    let kind = writer.kind(&row.kind, line, plan.kind_column())?;
    let time_us = row.time_us;
    let append = row.append(kind);
    let is_new = writer.append(&append, time_us, line)?;
    summary.note(append.coordinate.entity(), kind, is_new);
    Ok(())
}

fn stopped(args: &ImportArgs, summary: &Summary, bad: &BadRow) -> Failure {
    let next = match args.key.is_some() || args.key_row {
        true => "mend it and run this again: what is in the store is not appended twice",
        false => {
            "mend it, or pass over such rows with --skip-bad; --key and --key-row make an \
                  import repeatable"
        }
    };
    Failure::no(format!("{bad} ({})", summary.so_far())).hint(next)
}

fn again(args: &ImportArgs) -> &'static str {
    match args.key.is_some() || args.key_row {
        true => "run it again: what is in the store is not appended twice",
        false => "what is in the store stays; --key and --key-row make an import repeatable",
    }
}

fn too_many(args: &ImportArgs, summary: &Summary) -> Failure {
    let bad = counted(summary.skipped, "bad row", "bad rows");
    let max = args.max_errors.unwrap_or_default();
    Failure::no(format!("{bad}, more than {max} ({})", summary.so_far()))
        .hint("look at the first of them above; --max-errors says how many may be")
}
