//! `cargo xtask bench`: runs the benches, which are a workspace of their own.

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::process::{cargo, run as run_command};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the benches take: `cargo xtask bench -- --help` lists it
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    let mut command = cargo();
    // From the top, so that paths among the arguments mean what they say.
    command.current_dir(context.root()).args(["run", "--release", "--locked"]);
    command.args(["--manifest-path", "tests/bench/Cargo.toml", "--package", "annals-bench", "--"]);
    run_command(command.args(&options.arguments))?;
    Ok(true)
}
