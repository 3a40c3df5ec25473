//! The `annals` command: import, look at, verify and keep an Annals event store.
//!
//! One file a command. A command writes its answer to stdout through [`output::Output`] and
//! returns a [`failure::Failure`] for everything that goes wrong; only this file ends the process.

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
mod json_text;
mod kind_names;
mod open;
mod output;
mod progress;
mod project;
mod query;
mod region_args;
mod repair;
mod show;
mod snapshot;
mod stats;
mod streams;
mod tail;
mod time;
mod transfer;
mod verify;

use args::{Cli, Command};
use clap::Parser;
use failure::{Code, Failure};
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
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
    let store = cli.store()?;
    match &cli.command {
        Command::Import(args) => import::run(store, args, out),
        Command::Tail(args) => tail::run(store, args, out),
        Command::Show(args) => show::run(store, args, out),
        Command::Query(args) => query::run(store, args, out),
        Command::Streams(args) => streams::run(store, args, out),
        Command::Stats(args) => stats::run(store, args, out),
        Command::Graph(args) => graph::run(store, args, out),
        Command::Project(args) => project::run(store, args, out),
        Command::Verify(args) => verify::run(store, args, out),
        Command::Compact(args) => compact::run(store, args, out),
        Command::Erase(args) => erase::run(store, args, out),
        Command::Repair(args) => repair::run(store, args, out),
        Command::Snapshot(args) => snapshot::run(store, args, out),
        Command::Export(args) => export::run(store, args, out),
        Command::ImportBackup(args) => import_backup::run(store, args, out),
    }
}
