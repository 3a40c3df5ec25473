//! Crashes at every operation, and every operation failing.
//!
//! `ANNALS_RUNS=N` multiplies the workloads, `ANNALS_SEED=N` runs only that one.

use annals_tests::crash::{Plan, explore_crashes, explore_faults};
use annals_tests::sim_disk::{Fault, for_each_seed};

fn runs(default: u64) -> u64 {
    let times = std::env::var("ANNALS_RUNS").map_or(1, |runs| runs.parse().expect("a number"));
    default * times
}

fn crashes(name: &str, first_seed: u64, count: u64) {
    let mut points = 0;
    for_each_seed(name, runs(count), |seed| {
        points += explore_crashes(Plan::of(first_seed + seed, 60), 6);
    });
    println!("{name}: {points} crash points");
}

#[test]
fn a_crash_after_any_operation_loses_nothing_acknowledged() {
    crashes("crashes", 0, 22);
}

fn faults(name: &str, fault: Fault, count: u64) {
    let mut points = 0;
    for_each_seed(name, runs(count), |seed| {
        points += explore_faults(Plan::of(seed, 60), fault, 1);
    });
    println!("{name}: {points} crash points");
}

#[test]
fn an_io_error_in_any_operation_loses_nothing_acknowledged() {
    faults("I/O errors", Fault::Io, 4);
}

#[test]
fn no_space_in_any_operation_loses_nothing_acknowledged() {
    faults("no space", Fault::NoSpace, 4);
}

#[test]
fn b13_a_panic_in_any_operation_loses_nothing_acknowledged() {
    faults("panics", Fault::Panic, 4);
}
