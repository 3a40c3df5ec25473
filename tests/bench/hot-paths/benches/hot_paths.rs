//! What an operation of each hot path takes: `cargo xtask bench --micro`.
//!
//! A run prepares a store anew and does its operations once, so that each is done on the same
//! store; only they are timed.

use std::time::Duration;

use annals_hot_paths::{names, run};
use criterion::{Criterion, criterion_group, criterion_main};

fn hot_paths(criterion: &mut Criterion) {
    for name in names() {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|wanted| taken(name, wanted));
        });
    }
}

/// What that many operations of a path take.
fn taken(name: &str, wanted: u64) -> Duration {
    let (mut done, mut took) = (0_u64, Duration::ZERO);
    while done < wanted {
        let run = run(name).expect("what is measured does not fail");
        done += run.operations as u64;
        took += run.took;
    }
    took.mul_f64(wanted as f64 / done as f64)
}

criterion_group! {
    name = benches;
    // A run is many operations already, and most of the time goes into what it prepares.
    config = Criterion::default().warm_up_time(Duration::from_secs(1));
    targets = hot_paths
}
criterion_main!(benches);
