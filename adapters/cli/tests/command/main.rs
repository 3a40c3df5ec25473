//! The `annals` command from outside: what it prints, what it leaves behind, how it ends.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod append;
mod compact;
mod damage;
mod erase;
mod export;
mod follow;
mod graph;
mod import;
mod import_bad;
mod inspect;
mod look;
mod project;
mod real_data;
mod reference;
mod repair;
mod runner;
mod snapshot;
mod stop;
mod transcripts;
