//! `cargo xtask test`: runs the steps in order and reports on all of them.

use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::context::Context;
use crate::error::{Result, XtaskError, with_causes};
use crate::report::{Counts, Ending, Entry, summary};
use crate::steps::{STEPS, Step};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Run only this step (may be given more than once)
    #[arg(long, value_name = "STEP", value_parser = step_names(), conflicts_with = "skip")]
    only: Vec<String>,

    /// Leave this step out (may be given more than once)
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    skip: Vec<String>,

    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,

    /// Show the steps, and run none
    #[arg(long)]
    list: bool,
}

/// Whether every step that should run passed.
pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    if options.list {
        for step in STEPS {
            println!("{:<12} {}", step.name, step.about);
        }
        return Ok(true);
    }
    let mut entries = Vec::new();
    let mut has_failed = false;
    for step in STEPS.iter().filter(|step| options.names(step)) {
        let entry = if options.skip.iter().any(|name| name == step.name) {
            skipped(step, "asked for with --skip")
        } else if has_failed && options.fail_fast {
            skipped(step, "an earlier step failed (--fail-fast)")
        } else {
            run_step(context, step)
        };
        has_failed |= matches!(entry.ending, Ending::Failed(_));
        entries.push(entry);
    }
    heading("summary");
    print!("{}", summary(&entries));
    Ok(!has_failed)
}

impl Options {
    fn names(&self, step: &Step) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step.name)
    }
}

fn run_step(context: &Context, step: &Step) -> Entry {
    heading(&format!("{}: {}", step.name, step.about));
    let started = Instant::now();
    let mut counts = Counts::default();
    let ending = match (step.run)(context, &mut counts) {
        Ok(()) => Ending::Passed,
        Err(XtaskError::StepNotPossible { why }) => {
            println!("{} skipped: {why}", step.name);
            Ending::Skipped(why)
        }
        Err(error) => {
            let why = with_causes(&error);
            println!("{} FAILED: {why}", step.name);
            Ending::Failed(why)
        }
    };
    Entry { step: step.name, ending, duration: started.elapsed(), counts }
}

fn skipped(step: &Step, why: &str) -> Entry {
    Entry {
        step: step.name,
        ending: Ending::Skipped(why.to_owned()),
        duration: Duration::ZERO,
        counts: Counts::default(),
    }
}

fn heading(text: &str) {
    println!("\n==== {text}");
}

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}
