//! The hundred events of one entity, spread over the whole store.

use crate::bench::Bench;
use crate::engine::Result;
use crate::workload::grown::Grown;

pub const NAME: &str = "read a stream of 100";
const STREAMS: usize = 100;

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    let entities: Vec<&str> = grown.events.sample(STREAMS).collect();
    bench.ask(NAME, grown.events.count, grown.kind.name, entities.len(), |see| {
        entities.iter().try_for_each(|entity| grown.engine.stream(entity, 0, see))
    })
}
