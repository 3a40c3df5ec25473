//! The events of one scope and one kind: one in 64 of all.

use crate::bench::Bench;
use crate::engine::Result;
use crate::events::{KINDS, SCOPES};
use crate::workload::grown::Grown;

const NAME: &str = "query by scope and kind, an event";

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    let (scope, found) = (grown.events.scope(3), grown.events.count / SCOPES / KINDS);
    bench.ask(NAME, grown.events.count, grown.kind.name, found, |see| {
        grown.engine.query(scope, 2, see)
    })
}
