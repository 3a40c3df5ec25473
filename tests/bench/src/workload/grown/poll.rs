//! Asking at the end whether a scope has something new, and it has not.

use crate::bench::Bench;
use crate::engine::Result;
use crate::workload::grown::Grown;

pub const NAME: &str = "poll at the end";
const POLLS: usize = 100;

pub fn run(bench: &mut Bench, grown: &Grown<'_>) -> Result<()> {
    let (scope, end) = (grown.events.scope(3), grown.events.count as u64);
    bench.ask(NAME, grown.events.count, grown.kind.name, POLLS, |see| {
        (0..POLLS).try_for_each(|_| grown.engine.poll(scope, end, see))
    })
}
