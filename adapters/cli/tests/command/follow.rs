//! `tail --follow` beside a writer that seals, merges and drops segments.

use crate::runner::Bench;
use annals::{
    CompactionConfig, CompactionStrategy, Coordinate, Durability, EventKind, Payload, Store,
    StoreConfig,
};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, Stdio};

const EVENTS: u64 = 1_500;

/// Ends a follower, however the test ends.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn b31_a_follower_keeps_up_through_rotation_and_compaction() {
    let bench = Bench::new();
    let config = StoreConfig::new(bench.store()).with_segment_max_bytes(64 * 1024);
    let config = config.with_durability(Durability::OnSync);
    let store = Store::open(config).unwrap();
    let at = Coordinate::new("a", "s").unwrap();
    let append = |n: u64| {
        let payload = Payload::raw(format!("{n:0200}"));
        let receipt = store.append(&at, EventKind::new(1, 1), payload).unwrap();
        assert_eq!(receipt.sequence.get(), n);
    };
    append(0);
    let mut command = bench.command(&["tail", "-n", "1", "--follow", "--json"]);
    let mut follower = Follower(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["sequence"], 0);
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_output_max_bytes(256 * 1024);
    let mut expected = 1;
    for n in 1..EVENTS {
        append(n);
        if n % 250 == 0 {
            store.compact(&merge, |_| ControlFlow::Continue(())).unwrap();
        }
        // Now it is far behind, now it has seen everything.
        if n % 700 == 0 {
            while expected <= n {
                assert_eq!(next()["sequence"], expected);
                expected += 1;
            }
        }
    }
    while expected < EVENTS {
        let event = next();
        assert_eq!(event["sequence"], expected);
        assert_eq!(event["payload_hex"].as_str().map(str::len), Some(400));
        expected += 1;
    }
    assert!(store.stats().unwrap().segments.len() > 1);
    store.close().unwrap();
}
