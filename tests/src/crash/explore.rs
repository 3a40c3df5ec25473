//! Going through all the points of a workload.

use super::workload::{End, Plan, Workload};
use super::{Journal, Mercy, check_recovery, silence_simulated_panics};
use crate::sim_disk::{Fault, SimDisk};

/// A disk as it was at some moment, and what may be found on it.
struct Point {
    disk: SimDisk,
    journal: Journal,
    operation: String,
}

/// Cuts a workload off after every operation that changes the disk, `tearings` times each, and
/// kills it there once. Returns how many points were checked.
///
/// # Panics
///
/// Where a store does not come back as it must; the message says how to see it again.
#[must_use]
pub fn explore_crashes(plan: Plan, tearings: u64) -> u64 {
    silence_simulated_panics();
    let mut workload = Workload::new(plan);
    workload.disk().record_checkpoints();
    let mut count = 0;
    for step in 0..plan.steps {
        let points = points_of(&mut workload);
        for point in points {
            count += check(&plan, step, &point, tearings);
        }
    }
    count
}

/// Does one step and returns its points: one after each operation, with what was attempted by
/// then, and one behind the answer.
fn points_of(workload: &mut Workload) -> Vec<Point> {
    let mut points = Vec::new();
    let mut in_flight = workload.journal().clone();
    let disk = workload.disk().clone();
    let take = |journal: &Journal, points: &mut Vec<Point>| {
        for checkpoint in disk.take_checkpoints() {
            let operation = checkpoint.operation.to_string();
            points.push(Point { disk: checkpoint.disk, journal: journal.clone(), operation });
        }
    };
    let end = workload.step(&mut |journal| {
        take(&in_flight, &mut points);
        in_flight = journal.clone();
    });
    assert_eq!(end, End::Fine, "nothing fails without a fault");
    take(&in_flight, &mut points);
    let operation = "the answer".to_owned();
    let (disk, journal) = (workload.disk().fork(), workload.journal().clone());
    points.push(Point { disk, journal, operation });
    points
}

fn check(plan: &Plan, step: usize, point: &Point, tearings: u64) -> u64 {
    let strikes = (0..tearings).map(|seed| (Mercy::PowerCut, seed)).chain([(Mercy::Kill, 0)]);
    let mut count = 0;
    for (mercy, tearing) in strikes {
        let seed = plan.seed << 32 ^ (step as u64) << 16 ^ tearing;
        let disk = point.disk.fork();
        if let Err(why) = check_recovery(&disk, &point.journal, mercy, seed, &plan.config()) {
            let operation = &point.operation;
            panic!("{why}\n{plan:?}, step {step}, {mercy:?} after {operation}, tearing {tearing}");
        }
        count += 1;
    }
    count
}

/// Has each operation of a workload fail once, in each way, and crashes later. Returns how many
/// points were checked.
///
/// # Panics
///
/// Where a store does not come back as it must; the message says how to see it again.
#[must_use]
pub fn explore_faults(plan: Plan, fault: Fault, every: usize) -> u64 {
    silence_simulated_panics();
    let mut rehearsal = Workload::new(plan);
    for _ in 0..plan.steps {
        rehearsal.step(&mut |_| {});
    }
    let operations = rehearsal.disk().operation_count();
    let first = plan.seed % every as u64;
    (first..operations).step_by(every).map(|operation| one_fault(plan, fault, operation)).sum()
}

/// Runs the workload with one fault, and strikes a few steps later.
fn one_fault(plan: Plan, fault: Fault, operation: u64) -> u64 {
    let mut workload = Workload::new(plan);
    workload.disk().fail_at(operation, fault);
    let mut left_after_fault = 4;
    for _ in 0..plan.steps {
        let end = workload.step(&mut |_| {});
        if end == End::Down {
            break;
        }
        if workload.disk().operation_count() > operation {
            left_after_fault -= 1;
            if left_after_fault == 0 {
                break;
            }
        }
    }
    workload.disk().clear_faults();
    let trace = workload.disk().trace();
    let fail = |why: String| {
        let around = trace.iter().filter(|done| done.number.abs_diff(operation) < 12);
        let around: Vec<_> = around.map(|done| format!("{} {done}", done.number)).collect();
        let around = around.join("\n");
        panic!("{why}\n{plan:?}, {fault:?} in operation {operation} of\n{around}")
    };
    workload.check_readers().unwrap_or_else(fail);
    let mut count = 0;
    for (mercy, tearings) in [(Mercy::PowerCut, 3), (Mercy::Kill, 2)] {
        for tearing in 0..tearings {
            let seed = plan.seed << 32 ^ operation << 8 ^ tearing;
            let disk = workload.disk().fork();
            let checked = check_recovery(&disk, workload.journal(), mercy, seed, &plan.config());
            if let Err(why) = checked {
                fail(format!("{why}, {mercy:?} with tearing {tearing}"));
            }
            count += 1;
        }
    }
    count
}
