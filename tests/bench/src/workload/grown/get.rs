//! Events by their ids.

use crate::bench::Bench;
use crate::engine::Result;
use crate::workload::grown::Grown;

pub const NAME: &str = "get by id";

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    bench.ask(NAME, grown.events.count, grown.kind.name, grown.ids.len(), |see| {
        grown.ids.iter().try_for_each(|id| grown.engine.get(id, see))
    })
}
