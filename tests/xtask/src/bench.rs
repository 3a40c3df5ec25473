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
    command.current_dir(context.root().join("tests/bench"));
    run_command(command.args(["run", "--release", "--locked", "--"]).args(&options.arguments))?;
    Ok(true)
}
