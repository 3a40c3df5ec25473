//! `cargo xtask fuzz TARGET`: libFuzzer by cargo-fuzz, which is installed into the cache folder; the
//! compiler need not be a nightly one. Where it can't be had, mutations without coverage.
//!
//! What it has found stays in `target/fuzz`. An input that fails belongs to `tests/fuzz/fixtures`,
//! which `cargo xtask test` runs.

use std::process::Command;

use clap::Args;

use crate::context::Context;
use crate::error::{Result, XtaskError, with_causes};
use crate::install::cargo_tools::CargoTool;
use crate::process::{cargo, run as run_command};
use crate::versions;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// frames, headers, record, segment, index_block, meta, backup or region
    target: String,

    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,

    /// Do without libFuzzer
    #[arg(long)]
    plain: bool,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    let tool = CargoTool {
        package: "cargo-fuzz",
        program: "cargo-fuzz",
        version: versions::CARGO_FUZZ.to_owned(),
        default_features: true,
    };
    let installed = if options.plain { None } else { Some(tool.ensure(context)) };
    match installed {
        Some(Ok(())) => by_libfuzzer(context, options, &tool)?,
        Some(Err(error)) => {
            println!("cargo-fuzz can't be had ({}): without coverage", with_causes(&error));
            plain(context, options)?;
        }
        None => plain(context, options)?,
    }
    Ok(true)
}

fn program(context: &Context) -> Command {
    let mut command = cargo();
    command.current_dir(context.root());
    command.args(["run", "--release", "--package", "annals-tests", "--bin", "fuzz", "--"]);
    command
}

fn plain(context: &Context, options: &Options) -> Result<()> {
    let minutes = options.minutes.to_string();
    run_command(program(context).args(["run", &options.target, &minutes]))
}

fn by_libfuzzer(context: &Context, options: &Options, tool: &CargoTool) -> Result<()> {
    let corpus = context.root().join("target/fuzz/corpus").join(&options.target);
    let found = context.root().join("target/fuzz/found").join(&options.target);
    std::fs::create_dir_all(&found).map_err(XtaskError::file("create", &found))?;
    run_command(program(context).args(["seeds", &options.target]).arg(&corpus))?;
    let mut fuzz = Command::new(context.tools().join("bin").join(tool.program));
    fuzz.current_dir(context.root());
    // libFuzzer's instrumentation is an unstable option of any compiler. No sanitizer: there is no
    // unsafe code to be looked at, and without it there are three times as many executions.
    fuzz.env("RUSTC_BOOTSTRAP", "1");
    fuzz.args(["run", "--fuzz-dir", "tests/fuzz", "--sanitizer", "none", &options.target]);
    fuzz.arg(&corpus).arg("--").arg(format!("-max_total_time={}", options.minutes * 60));
    fuzz.arg(format!("-artifact_prefix={}/", found.display())).arg("-rss_limit_mb=2048");
    run_command(&mut fuzz)
}
