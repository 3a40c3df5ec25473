//! `cargo xtask sim`: the simulations of crashes, faults and the model, on and on with new seeds.

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::process::{cargo, run as run_command};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long; 0 runs one seed
    #[arg(long, default_value_t = 10)]
    minutes: u64,

    /// The first seed; by default one that was not there before
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    let mut command = cargo();
    command.current_dir(context.root());
    command.args(["run", "--release", "--package", "annals-tests", "--bin", "sim", "--"]);
    command.arg(options.minutes.to_string());
    command.args(options.seed.map(|seed| seed.to_string()));
    run_command(&mut command)?;
    Ok(true)
}
