//! The `annals` command: import, look at, verify and keep an Annals event store.
//!
//! One file a command. A command writes its answer to stdout through [`output::Output`] and
//! returns a [`failure::Failure`] for everything that goes wrong; only this file ends the process.

mod append;
mod args;
mod compact;
mod confirm;
mod erase;
mod event_json;
mod event_table;
mod export;
mod failure;
mod graph;
mod import;
mod import_backup;
mod inspect;
mod json_text;
mod kind_names;
mod open;
mod output;
mod progress;
mod project;
mod query;
mod region_args;
mod repair;
mod shell;
mod show;
mod snapshot;
mod stats;
mod stop;
mod stream_counts;
mod streams;
mod tail;
mod time;
mod transfer;
mod verify;

use args::{Cli, Command};
use clap::FromArgMatches;
use failure::{Code, Failure};
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let told = args::command().get_matches();
    let cli = Cli::from_arg_matches(&told).unwrap_or_else(|error| error.exit());
    let mut out = Output::stdout();
    let done = run(&cli, &mut out).and_then(|code| out.flush().map(|()| code));
    match done {
        Ok(code) => code.into(),
        // Whoever read the answer has seen enough.
        Err(failure) if failure.is_closed_pipe() => Code::Done.into(),
        Err(failure) => {
            // What was answered before it went wrong comes first.
            let _ = out.flush();
            failure.report()
        }
    }
}

fn run(cli: &Cli, out: &mut Output) -> Result<Code, Failure> {
    match &cli.command {
        Command::Append(args) => append::run(cli.store()?, args, out),
        Command::Import(args) => import::run(cli.store()?, args, out),
        Command::Tail(args) => tail::run(cli.store()?, args, out),
        Command::Show(args) => show::run(cli.store()?, args, out),
        Command::Query(args) => query::run(cli.store()?, args, out),
        Command::Streams(args) => streams::run(cli.store()?, args, out),
        Command::Stats(args) => stats::run(cli.store()?, args, out),
        Command::Graph(args) => graph::run(cli.store()?, args, out),
        Command::Project(args) => project::run(cli.store()?, args, out),
        Command::Verify(args) => verify::run(cli.store()?, args, out),
        Command::Compact(args) => compact::run(cli.store()?, args, out),
        Command::Erase(args) => erase::run(cli.store()?, args, out),
        Command::Repair(args) => repair::run(cli.store()?, args, out),
        Command::Snapshot(args) => snapshot::run(cli.store()?, args, out),
        Command::Export(args) => export::run(cli.store()?, args, out),
        Command::ImportBackup(args) => import_backup::run(cli.store()?, args, out),
        Command::Completions(args) => shell::completions(args, out),
        Command::Man(args) => shell::man(args, out),
        Command::Inspect(args) => inspect::run(cli.store_or(args.path.as_deref())?, args, out),
    }
}
