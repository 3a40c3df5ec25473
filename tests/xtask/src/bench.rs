//! `cargo xtask bench`: runs the benches, which are a workspace of their own, or those in a browser,
//! which are a package of their own, or the hot paths of Annals alone.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::context::Context;
use crate::error::Result;
use crate::process::{cargo, npm, run as run_command};
use crate::steps::ensure_wasm;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// In a browser, beside what else is there for pages
    #[arg(long)]
    web: bool,

    /// Each hot path of Annals by itself, with criterion
    #[arg(long, conflicts_with = "web")]
    micro: bool,

    /// What the benches take: `cargo xtask bench -- --help` lists it
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    if options.web {
        return in_browser(context, &options.arguments);
    }
    if options.micro {
        run_command(hot_paths(context).args(&options.arguments))?;
        return Ok(true);
    }
    run_command(bench(context).arg("--").args(&options.arguments))?;
    Ok(true)
}

/// Criterion over the hot paths; it takes its own arguments, such as `--save-baseline`.
fn hot_paths(context: &Context) -> Command {
    let mut command = cargo();
    command.current_dir(context.root().join("tests/bench"));
    command.args([
        "bench",
        "--locked",
        "--package",
        "annals-hot-paths",
        "--bench",
        "hot_paths",
        "--",
    ]);
    command
}

/// The program that measures natively, and tells what was measured.
fn bench(context: &Context) -> Command {
    let mut command = cargo();
    // From the top, so that paths among the arguments mean what they say.
    command.current_dir(context.root()).args(["run", "--release", "--locked"]);
    command.args(["--manifest-path", "tests/bench/Cargo.toml", "--package", "annals-bench"]);
    command
}

fn in_browser(context: &Context, arguments: &[String]) -> Result<bool> {
    let (_, browser) = ensure_wasm(context)?;
    let web = context.root().join("web");
    if arguments.iter().any(|argument| argument == "--help") {
        run_command(Command::new("node").current_dir(web).args(["bench/run.mjs", "--help"]))?;
        println!("  --out FOLDER              Where tables and pictures go, besides the terminal");
        return Ok(true);
    }
    let (out, arguments) = without_out(arguments);
    run_command(&mut npm(&web, &["ci", "--no-fund", "--no-audit"]))?;
    run_command(&mut npm(&web, &["run", "build"]))?;
    let samples = context.root().join("target/web-bench/samples.json");
    let mut measure = Command::new("node");
    measure.current_dir(context.root()).arg("web/bench/run.mjs").args(arguments);
    run_command(measure.arg("--json").arg(&samples).env("CHROMIUM", &browser.program))?;
    let mut draw = bench(context);
    // Peers of the native benches need not be built to draw.
    draw.args(["--no-default-features", "--", "--browser"]).arg(&samples);
    run_command(draw.args(out.iter().flat_map(|out| ["--out".into(), out.clone()])))?;
    Ok(true)
}

/// The folder behind `--out`, and the other arguments, which are the page's.
fn without_out(arguments: &[String]) -> (Option<PathBuf>, Vec<&String>) {
    let mut out = None;
    let mut rest = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--out") {
            Some("") => out = arguments.next().map(PathBuf::from),
            Some(folder) if folder.starts_with('=') => out = Some(PathBuf::from(&folder[1..])),
            _ => rest.push(argument),
        }
    }
    (out, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_folder_is_taken_out_in_both_of_its_spellings() {
        for spelling in [vec!["--rounds", "3", "--out", "a/b"], vec!["--out=a/b", "--rounds", "3"]]
        {
            let arguments: Vec<String> = spelling.into_iter().map(str::to_owned).collect();
            let (out, rest) = without_out(&arguments);
            assert_eq!(out, Some(PathBuf::from("a/b")));
            assert_eq!(rest, ["--rounds", "3"]);
        }
    }
}
