//! What was measured: for each row and engine a sample a round; and whether all answered the same.

use crate::measure::Spread;
use std::collections::{BTreeMap, btree_map::Entry};

/// The engine that others are compared with, and the machine itself.
pub const OURS: &str = "annals";
pub const FLOOR: &str = "floor";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds; less is better.
    Time,
    /// Bytes; less is better.
    Bytes,
}

/// What a row of a table is about. Every figure is a cost: less is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub unit: Unit,
    /// How many events the store has; 0 where that does not matter.
    pub events: usize,
    pub payload: usize,
}

#[derive(Debug, Default)]
pub struct Sheet {
    rows: Vec<(Row, BTreeMap<&'static str, Vec<f64>>)>,
    answers: BTreeMap<String, (&'static str, u64)>,
    wrong: Vec<String>,
}

impl Sheet {
    pub fn put(&mut self, row: &Row, engine: &'static str, cost: f64) {
        let at = self.rows.iter().position(|(other, _)| other == row).unwrap_or_else(|| {
            self.rows.push((row.clone(), BTreeMap::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(engine).or_default().push(cost);
    }

    /// Holds what an engine answered against what the first one did.
    pub fn check(&mut self, question: &str, engine: &'static str, sum: u64) {
        match self.answers.entry(question.to_owned()) {
            Entry::Vacant(first) => {
                first.insert((engine, sum));
            }
            Entry::Occupied(first) if first.get().1 != sum => {
                let (other, right) = first.get();
                let text = format!("{question}: {engine} {sum:x}, but {other} {right:x}");
                eprintln!("WRONG ANSWER: {text}");
                self.wrong.push(text);
            }
            Entry::Occupied(_) => {}
        }
    }

    pub fn fail(&mut self, what: &str, engine: &'static str, error: &dyn std::fmt::Display) {
        eprintln!("FAILED: {what}: {engine}: {error}");
        self.wrong.push(format!("{what}: {engine}: {error}"));
    }

    /// Wrong answers and failures, in words.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub fn rows(&self) -> impl Iterator<Item = (&Row, BTreeMap<&'static str, Spread>)> {
        self.rows.iter().map(|(row, samples)| {
            (row, samples.iter().map(|(engine, of)| (*engine, Spread::of(of))).collect())
        })
    }
}
