//! The policy suite, natively, and what needs threads or unwinding.

use annals_core::{Denial, GateSet, Pipeline, Proposal, gate_fn};
use annals_tests::policy_suite;

macro_rules! instantiate {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            policy_suite::$name();
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

annals_tests::policy_suite!(instantiate);

#[test]
fn the_suite_runs_all_its_tests() {
    let sources = [
        include_str!("../src/policy_suite/gates.rs"),
        include_str!("../src/policy_suite/outcomes.rs"),
        include_str!("../src/policy_suite/states.rs"),
        include_str!("../src/policy_suite/ids.rs"),
        include_str!("../src/policy_suite/stored.rs"),
    ];
    let written: Vec<_> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| line.strip_prefix("pub fn ")?.split_once('(').map(|(name, _)| name))
        .collect();
    assert_eq!(written, NAMES);
}

#[test]
fn b42_a_panicking_gate_is_a_denial_and_evaluate_all_goes_on_behind_it() {
    let gates = GateSet::new()
        .with(gate_fn("fine", |_: &u8| Ok(())))
        .with(gate_fn("literal", |_: &u8| panic!("out of order")))
        .with(gate_fn("formatted", |value: &u8| panic!("no rule for {value}")))
        .with(gate_fn("opaque", |_: &u8| std::panic::panic_any(7)))
        .with(gate_fn("stern", |_: &u8| Err(Denial::new("NO", "no"))));

    let denial = gates.evaluate(&3, Proposal::new(())).unwrap_err();
    assert_eq!((denial.gate(), denial.code()), ("literal", Denial::GATE_DEFECT));
    assert!(denial.is_defect());

    let denials = gates.evaluate_all(&3);
    let told: Vec<_> = denials
        .iter()
        .map(|denial| (denial.gate(), denial.context().get("panic").map(String::as_str)))
        .collect();
    assert_eq!(
        told,
        [
            ("literal", Some("out of order")),
            ("formatted", Some("no rule for 3")),
            ("opaque", None),
            ("stern", None)
        ]
    );
    assert_eq!(denials.iter().filter(|denial| denial.is_defect()).count(), 3);
}

#[test]
fn a_gate_set_refuses_a_gate_that_the_log_could_not_name() {
    let push = |name: String| {
        std::panic::catch_unwind(move || {
            GateSet::new().push(gate_fn(name, |_: &u8| Ok(())));
        })
    };
    assert!(push("g".repeat(256)).is_ok());
    assert!(push("g".repeat(257)).is_err());
    assert!(push(String::new()).is_err());

    let fill = |count: u32| {
        std::panic::catch_unwind(move || {
            let mut gates = GateSet::new();
            for i in 0..count {
                gates.push(gate_fn(format!("gate-{i}"), |_: &u8| Ok(())));
            }
        })
    };
    assert!(fill(64).is_ok());
    assert!(fill(65).is_err());
}

#[test]
fn one_pipeline_serves_many_threads() {
    let gates = GateSet::new().with(gate_fn("small", |value: &u64| {
        if *value < 50 { Ok(()) } else { Err(Denial::new("BIG", "too big")) }
    }));
    let pipeline = Pipeline::new(gates);
    let passes = |n: &u64| {
        let receipt = pipeline.evaluate(n, Proposal::new(*n));
        receipt.is_ok_and(|receipt| pipeline.issuer().check(&receipt).is_ok())
    };
    let passed: usize = std::thread::scope(|scope| {
        let work = || (0..100).filter(passes).count();
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(passed, 200);
}
