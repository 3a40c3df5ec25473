//! The scenarios, each in thousands of orders of their threads' steps: at random, and by PCT, which
//! finds what a few preemptions at the right places do (Burckhardt et al., "A randomized scheduler
//! with probabilistic guarantees of finding bugs", 2010).
//!
//! `ANNALS_RUNS=N` multiplies the executions. A failure prints a schedule; `shuttle::replay` takes it.
#![cfg(not(target_arch = "wasm32"))]

use annals_tests_shuttle::scenario;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::sync::Once;

const EXECUTIONS: usize = 500;

fn executions() -> usize {
    let times = std::env::var("ANNALS_RUNS").map_or(1, |runs| runs.parse().expect("a number"));
    EXECUTIONS * times
}

fn explore(scenario: fn()) {
    // Shuttle sets a hook of its own when it first runs, which calls the one before.
    run(RandomScheduler::new(1), || {});
    silence_simulated_panics();
    let mut count = 0;
    count += run(RandomScheduler::new(executions()), scenario);
    count += run(PctScheduler::new(3, executions()), scenario);
    println!("{count} executions");
}

/// Keeps the panics that a scenario is about from filling the output.
fn silence_simulated_panics() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>();
            if !text.is_some_and(|text| text.starts_with("simulated")) {
                shown(info);
            }
        }));
    });
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) -> usize {
    let mut config = Config::new();
    config.stack_size = 1024 * 1024;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(scenario)
}

#[test]
fn b14_every_append_is_answered() {
    explore(scenario::every_append_is_answered);
}

#[test]
fn b14_every_ticket_is_answered() {
    explore(scenario::every_ticket_is_answered);
}

#[test]
fn b14_a_close_answers_all() {
    explore(scenario::a_close_answers_all);
}

#[test]
fn b13_a_panic_in_a_commit_leaves_nobody_waiting() {
    explore(scenario::a_panic_in_a_commit_leaves_nobody_waiting);
}

#[test]
fn b13_a_panic_in_a_sync_leaves_nobody_waiting() {
    explore(scenario::a_panic_in_a_sync_leaves_nobody_waiting);
}

#[test]
fn b11_a_failed_sync_answers_all() {
    explore(scenario::a_failed_sync_answers_all);
}

#[test]
fn b05_one_of_those_that_expect_a_version_wins() {
    explore(scenario::one_of_those_that_expect_a_version_wins);
}

#[test]
fn b08_one_of_those_that_exclude_each_other_wins() {
    explore(scenario::one_of_those_that_exclude_each_other_wins);
}

#[test]
fn b06_all_that_share_a_key_share_a_receipt() {
    explore(scenario::all_that_share_a_key_share_a_receipt);
}

#[test]
fn b31_a_follower_is_woken_for_every_commit() {
    explore(scenario::a_follower_is_woken_for_every_commit);
}
