//! What a developer of Annals runs: `cargo xtask test`, `sim`, `fuzz`, `miri`, `bench`,
//! `instructions`, `book`, `release`, `setup`, `doctor` and the like.
//!
//! One file a sub-command, each with a `pub(crate) fn run`. To add one: write the file, add
//! a variant to [`Task`] and an arm to `main`. To add a step to `test`: add it to
//! [`steps::STEPS`]. Everything is installed under one folder of the user's cache, or by apt.

mod bench;
mod book;
mod context;
mod doctor;
mod error;
mod fuzz;
mod install;
mod instructions;
mod miri;
mod process;
mod release;
mod report;
mod setup;
mod sim;
mod steps;
mod test;
mod versions;
mod wasm_toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::context::{Context, WasmToolchainChoice};

/// What a developer of Annals runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,

    /// Where the wasm32 standard library comes from
    #[arg(long, global = true, value_enum, default_value = "auto")]
    #[arg(env = "ANNALS_WASM_TOOLCHAIN")]
    wasm_toolchain: WasmToolchainChoice,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run everything that proves Annals: format, lints, tests, docs, no_std, wasm
    Test(test::Options),
    /// Run the simulations of crashes and faults on and on, with new seeds
    Sim(sim::Options),
    /// Feed a fuzz target with libFuzzer
    Fuzz(fuzz::Options),
    /// Run the core's tests under Miri, which must be there
    Miri,
    /// Measure Annals beside its peers and the floor: tables, on a quiet machine
    Bench(bench::Options),
    /// Count the instructions of the hot paths, beside a baseline, with callgrind
    Instructions(instructions::Options),
    /// Build the book in `docs/` with mdBook
    Book,
    /// Go through the checklist of a release; nothing is published
    Release(release::Options),
    /// Check with the oldest compiler that is promised
    Msrv,
    /// Check with the oldest dependencies that are promised
    MinimalVersions,
    /// Install what `test` needs, and run nothing
    Setup,
    /// Show which tools are there, and how to get the others
    Doctor,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Context::new(arguments.wasm_toolchain).and_then(|context| match arguments.task {
        Task::Test(options) => test::run(&context, &options),
        Task::Sim(options) => sim::run(&context, &options),
        Task::Fuzz(options) => fuzz::run(&context, &options),
        Task::Miri => miri::run(&context),
        Task::Bench(options) => bench::run(&context, &options),
        Task::Instructions(options) => instructions::run(&context, &options),
        Task::Book => book::run(&context),
        Task::Release(options) => release::run(&context, &options),
        Task::Msrv => release::run_one(&context, "msrv"),
        Task::MinimalVersions => release::run_one(&context, "minimal"),
        Task::Setup => setup::run(&context),
        Task::Doctor => doctor::run(&context),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", error::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
