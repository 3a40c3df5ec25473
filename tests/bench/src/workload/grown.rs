//! What is done with a store of so many events: it is loaded, closed, opened, asked and proven.

mod get;
mod load;
mod open;
mod poll;
mod project;
mod query;
mod replay;
mod stream;
mod verify;

use crate::bench::Bench;
use crate::engine::{Engine, Id, Kind};
use crate::events::Events;

pub use {get::NAME as GET, load::NAME as LOAD, open::NAME as OPEN, poll::NAME as POLL};
pub use {load::DISK, open::HEAP, replay::BORROWED, replay::OWNED, stream::NAME as STREAM};

/// A store that is open, with all events in it.
pub struct Grown<'a> {
    kind: Kind,
    engine: Box<dyn Engine>,
    events: &'a Events,
    /// The ids of some of them.
    ids: &'a [Id],
}

pub fn run(bench: &mut Bench, count: usize, rounds: usize) {
    let events = Events::new("order", count, bench.payload);
    bench.rounds(&format!("{count} events"), rounds, |bench, kind| {
        if count > kind.events_max {
            return Ok(());
        }
        let dir = bench.temp()?;
        let ids = load::run(bench, kind, dir.path(), &events)?;
        let engine = open::run(bench, kind, dir.path(), &events)?;
        let mut grown = Grown { kind, engine, events: &events, ids: &ids };
        get::run(bench, &grown)?;
        stream::run(bench, &grown)?;
        query::run(bench, &grown)?;
        poll::run(bench, &grown)?;
        replay::run(bench, &grown)?;
        open::heap_after_reads(bench, &grown);
        verify::run(bench, &mut grown)?;
        project::run(bench, &grown)?;
        grown.engine.close()
    });
}
