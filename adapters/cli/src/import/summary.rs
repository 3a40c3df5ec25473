//! What an import did, in numbers.

use crate::args::ImportArgs;
use crate::failure::Failure;
use crate::import::row::BadRow;
use crate::import::writer::MergedKind;
use crate::output::{Output, counted, grouped, note, said};
use annals::EventKind;
use console::Style;
use serde::Serialize;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// How many bad rows are told one by one.
const BAD_ROWS_TOLD_MAX: usize = 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Rows that were read, bad ones included.
    pub(super) rows: u64,
    /// Events that were appended.
    pub(super) events: u64,
    /// Rows that were in the store already.
    pub(super) known: u64,
    /// Bad rows that were passed over.
    pub(super) skipped: u64,
    pub(super) elapsed: Duration,
    pub(super) merged: Vec<MergedKind>,
    first_bad: Vec<BadRow>,
    /// Hashes, so that millions of entities take little memory.
    entities: HashSet<u64>,
    hasher: RandomState,
    kinds: HashSet<EventKind>,
}

#[derive(Debug, Serialize)]
struct SummaryJson<'a> {
    rows: u64,
    events: u64,
    known: u64,
    skipped: u64,
    entities: u64,
    kinds: u64,
    seconds: f64,
    rows_per_second: f64,
    /// The first few.
    bad_rows: &'a [BadRow],
}

impl Summary {
    /// Counts a row that is in the store now.
    pub(super) fn note(&mut self, entity: &str, kind: EventKind, is_new: bool) {
        self.entities.insert(self.hasher.hash_one(entity));
        self.kinds.insert(kind);
        match is_new {
            true => self.events += 1,
            false => self.known += 1,
        }
    }

    /// Counts a bad row that is passed over.
    pub(super) fn skip(&mut self, bad: BadRow) {
        self.skipped += 1;
        if self.first_bad.len() < BAD_ROWS_TOLD_MAX {
            self.first_bad.push(bad);
        }
    }

    /// What became of the rows, for a message.
    pub(super) fn so_far(&self) -> String {
        let there = match self.known {
            0 => String::new(),
            known => format!(", {} there already", grouped(known)),
        };
        format!("{} appended before it{there}", counted(self.events, "event", "events"))
    }

    pub(super) fn print(
        &self,
        args: &ImportArgs,
        input: &str,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.print_notes();
        if args.json {
            return out.json(&self.json());
        }
        let bold = Style::new().bold();
        let took = format!("in {:.2?}, {} rows/s", self.elapsed, grouped(self.whole_rate()));
        out.line(format_args!(
            "{} {input} {took}",
            Style::new().green().bold().apply_to("imported")
        ))?;
        let mut numbers = vec![("rows", self.rows), ("events", self.events)];
        if self.known > 0 {
            numbers.push(("there already", self.known));
        }
        if self.skipped > 0 {
            numbers.push(("bad rows", self.skipped));
        }
        numbers.push(("entities", self.entities.len() as u64));
        numbers.push(("kinds", self.kinds.len() as u64));
        for (name, number) in numbers {
            out.line(format_args!("  {name:<14}{:>12}", bold.apply_to(grouped(number))))?;
        }
        Ok(())
    }

    /// Tells on stderr what a person should look at.
    pub(super) fn print_notes(&self) {
        let yellow = Style::new().for_stderr().yellow().bold();
        for bad in &self.first_bad {
            said(format_args!("{} {bad}", yellow.apply_to("skipped:")));
        }
        let told = self.first_bad.len() as u64;
        if self.skipped > told {
            let more = counted(self.skipped - told, "more bad row", "more bad rows");
            said(format_args!("{} {more}", yellow.apply_to("skipped:")));
        }
        for MergedKind { text, earlier } in &self.merged {
            note(format_args!(
                "{text:?} became the same kind as {earlier:?}; --keep-columns keeps the text"
            ));
        }
    }

    fn json(&self) -> SummaryJson<'_> {
        SummaryJson {
            rows: self.rows,
            events: self.events,
            known: self.known,
            skipped: self.skipped,
            entities: self.entities.len() as u64,
            kinds: self.kinds.len() as u64,
            seconds: self.elapsed.as_secs_f64(),
            rows_per_second: self.rate(),
            bad_rows: &self.first_bad,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    fn rate(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn whole_rate(&self) -> u64 {
        self.rate() as u64
    }
}
