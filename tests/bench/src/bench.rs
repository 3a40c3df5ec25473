//! What the workloads share: who takes part, in which order, and where.

use crate::engine::{Class, Engine, Kind, Result, Setup, Unsupported};
use crate::events::Sum;
use crate::measure::{nanos_each, timed};
use crate::sheet::{Row, Sheet, Unit};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// A question is asked again and again for this long, so that a short one is not all noise.
const ASK: Duration = Duration::from_millis(20);
const ASK_MAX: usize = 50;

#[derive(Debug)]
pub struct Bench {
    pub engines: Vec<Kind>,
    pub dir: PathBuf,
    pub rounds: usize,
    pub payload: usize,
    pub sheet: Sheet,
}

impl Bench {
    /// Lets the engines take turns: each round begins with another one.
    ///
    /// What fails is told, counts as a failure of the run, and leaves the others alone.
    pub fn rounds(
        &mut self,
        what: &str,
        rounds: usize,
        mut turn: impl FnMut(&mut Bench, Kind) -> Result<()>,
    ) {
        for round in 0..rounds {
            eprintln!("{what}, {} B: round {} of {rounds}", self.payload, round + 1);
            for at in 0..self.engines.len() {
                let kind = self.engines[(at + round) % self.engines.len()];
                if let Err(error) = turn(self, kind) {
                    self.sheet.fail(what, kind.name, &error);
                }
            }
        }
    }

    pub fn temp(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(&self.dir)?)
    }

    /// An engine with nothing in it.
    pub fn fresh(&self, kind: Kind, class: Class) -> Result<(TempDir, Box<dyn Engine>)> {
        let dir = self.temp()?;
        let engine = (kind.open)(dir.path(), &Setup::new(class))?;
        Ok((dir, engine))
    }

    pub fn row(&self, name: impl Into<String>, unit: Unit, events: usize) -> Row {
        Row { name: name.into(), unit, events, payload: self.payload }
    }

    pub fn put(&mut self, name: &str, unit: Unit, events: usize, engine: &'static str, cost: f64) {
        let row = self.row(name, unit, events);
        self.sheet.put(&row, engine, cost);
    }

    pub fn check(&mut self, name: &str, events: usize, engine: &'static str, sum: u64) {
        let question = format!("{name}, {events} events of {} B", self.payload);
        self.sheet.check(&question, engine, sum);
    }

    /// Times a question with `per` parts, once its answer is checked byte by byte.
    pub fn ask(
        &mut self,
        name: &str,
        events: usize,
        engine: &'static str,
        per: usize,
        mut question: impl FnMut(&mut dyn FnMut(&crate::events::Seen<'_>)) -> Result<()>,
    ) -> Result<()> {
        let mut sum = Sum::default();
        match question(&mut |seen| sum.whole(seen)) {
            Err(error) if error.is::<Unsupported>() => return Ok(()),
            answered => answered?,
        }
        self.check(name, events, engine, sum.value());
        let (mut glance, mut times) = (Sum::default(), Vec::new());
        // Once more: some keep what is asked for a second time, and a median over few would be by chance.
        question(&mut |seen| glance.glance(seen))?;
        glance = Sum::default();
        while times.is_empty() || (times.iter().sum::<Duration>() < ASK && times.len() < ASK_MAX) {
            let (answered, time) = timed(|| question(&mut |seen| glance.glance(seen)));
            answered?;
            times.push(time);
        }
        let asked = times.len() as u64;
        assert_eq!(glance.events, sum.events * asked, "the same answer each time");
        std::hint::black_box(glance.value());
        // The middle one: what else the machine does comes in bursts.
        times.sort();
        let cost = nanos_each(times[times.len() / 2], per);
        self.put(name, Unit::Time, events, engine, cost);
        Ok(())
    }
}
