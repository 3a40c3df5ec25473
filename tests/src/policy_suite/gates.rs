//! Behaviours 42 and 43: gates, receipts, pipelines and bypasses.

use annals_core::{
    Admitted, Append, BypassError, BypassReason, CodecError, CommitError, Coordinate, Denial,
    EventKind, Gate, GateSet, Payload, Pipeline, Proposal, Receipt, gate_fn,
};

use super::both_formats;

fn cap(name: &'static str, max: i64) -> impl Gate<i64> {
    gate_fn(name, move |value: &i64| {
        if *value <= max {
            return Ok(());
        }
        Err(Denial::new("OVER", "too much").with_context("max", max).with_context("value", value))
    })
    .described("a cap on the value")
}

fn weak() -> Pipeline<i64> {
    Pipeline::new(GateSet::new().with(cap("cap-1000", 1000)))
}

fn strong() -> Pipeline<i64> {
    Pipeline::new(GateSet::new().with(cap("cap-1000", 1000)).with(cap("cap-10", 10)))
}

pub fn b42_evaluate_stops_at_the_first_denial_in_order() {
    let late = gate_fn("late", |value: &i64| -> Result<(), Denial> {
        assert_ne!(*value, 50, "a gate behind a denial is not asked");
        Ok(())
    });
    let gates = GateSet::new().with(cap("cap-100", 100)).with(cap("cap-10", 10)).with(late);

    let denial = gates.evaluate(&50, Proposal::new(())).unwrap_err();
    assert_eq!((denial.gate(), denial.code()), ("cap-10", "OVER"));
    let denial = gates.evaluate(&500, Proposal::new(())).unwrap_err();
    assert_eq!(denial.gate(), "cap-100");
}

pub fn b42_evaluate_all_collects_every_denial_in_order() {
    let gates = GateSet::new().with(cap("b", 10)).with(cap("free", i64::MAX)).with(cap("a", 100));
    let denials = gates.evaluate_all(&500);
    assert_eq!(denials.iter().map(Denial::gate).collect::<Vec<_>>(), ["b", "a"]);
    assert!(gates.evaluate_all(&5).is_empty());
}

pub fn b42_a_denial_names_its_gate_whatever_the_gate_says() {
    let inner = GateSet::new().with(cap("inner", 10));
    let relay =
        gate_fn("outer", move |value: &i64| inner.evaluate(value, Proposal::new(())).map(|_| ()));
    let denial = GateSet::new().with(relay).evaluate(&50, Proposal::new(())).unwrap_err();
    assert_eq!(denial.gate(), "outer");
    assert_eq!(denial.to_string(), "gate `outer`: too much (OVER)");
}

pub fn b42_a_denial_survives_serde() {
    let denial = strong().evaluate(&50, Proposal::new(())).unwrap_err();
    assert_eq!(denial.context().get("value").unwrap(), "50");
    assert_eq!(both_formats(&denial), denial);
    let json = serde_json::to_value(&denial).unwrap();
    assert_eq!(json["gate"], "cap-10");
    assert_eq!(json["context"]["max"], "10");
}

pub fn b42_a_gate_set_tells_its_names_and_descriptions() {
    let gates = GateSet::new().with(cap("x", 1)).with(gate_fn("y", |_: &i64| Ok(())));
    assert_eq!(gates.names(), ["x", "y"]);
    let descriptions: Vec<_> = gates.descriptions().collect();
    assert_eq!(descriptions, [("x", "a cap on the value"), ("y", "")]);
    assert_eq!(gates.len(), 2);
}

pub fn b42_an_empty_set_lets_pass_and_its_receipt_says_so() {
    let gates = GateSet::<i64>::new();
    assert!(gates.is_empty());
    let receipt = gates.evaluate(&1, Proposal::new(())).unwrap();
    assert!(receipt.gates().is_empty());
}

pub fn b42_a_receipt_carries_the_payload_and_the_names_of_the_gates() {
    let receipt = strong().evaluate(&5, Proposal::new("five").map(str::len)).unwrap();
    assert_eq!(*receipt.payload(), 4);
    assert_eq!(receipt.gates(), ["cap-1000", "cap-10"]);
    assert_eq!(receipt.into_payload(), 4);
}

pub fn b42_a_receipt_of_a_weaker_pipeline_is_refused_by_a_stronger_one() {
    let receipt = weak().evaluate(&500, Proposal::new(500)).unwrap();
    assert!(strong().issuer().check(&receipt).is_err());
    let error = strong().commit(receipt, |_| -> Result<(), CodecError> { unreachable!() });
    let CommitError::WrongPipeline(error) = error.unwrap_err() else {
        panic!("the receipt of another pipeline must be a typed error");
    };
    assert_eq!(error.issued, ["cap-1000"]);
    assert_eq!(error.required, ["cap-1000", "cap-10"]);
}

pub fn b42_gates_of_the_same_names_do_not_make_the_same_pipeline() {
    let forged = Pipeline::new(GateSet::new().with(cap("cap-1000", i64::MAX)));
    let receipt = forged.evaluate(&5000, Proposal::new(())).unwrap();
    assert!(weak().issuer().check(&receipt).is_err());

    // A pipeline that is gone does not leave its identity to the next one.
    let receipts: Vec<_> =
        (0..64).map(|_| weak().evaluate(&1, Proposal::new(())).unwrap()).collect();
    for (i, receipt) in receipts.iter().enumerate() {
        let alike = receipts.iter().filter(|other| other.issuer() == receipt.issuer()).count();
        assert_eq!(alike, 1, "receipt {i}");
    }
}

pub fn b42_a_receipt_from_before_a_gate_was_added_is_refused() {
    let mut gates = GateSet::new().with(cap("cap-1000", 1000));
    let early = gates.evaluate(&500, Proposal::new(())).unwrap();
    gates.push(cap("cap-10", 10));
    let pipeline = Pipeline::new(gates);
    assert!(matches!(
        pipeline.commit(early, |_| Ok::<_, CodecError>(())),
        Err(CommitError::WrongPipeline(_))
    ));
}

pub fn b42_a_receipt_of_the_set_itself_is_one_of_its_pipeline() {
    let pipeline = strong();
    let receipt = pipeline.gates().evaluate(&5, Proposal::new(())).unwrap();
    assert!(pipeline.commit(receipt, |_| Ok::<_, CodecError>(())).is_ok());
}

pub fn b42_what_is_judged_as_payload_is_what_is_committed() {
    let pipeline = strong();
    assert!(pipeline.evaluate_payload(Proposal::new(11)).is_err());
    let receipt = pipeline.evaluate_payload(Proposal::new(9)).unwrap();
    assert_eq!(receipt.into_payload(), 9);
}

pub fn b42_a_commit_keeps_the_names_of_the_gates() {
    let pipeline = strong();
    let receipt = pipeline.evaluate(&5, Proposal::new(7)).unwrap();
    let committed =
        pipeline.commit(receipt, |receipt| Ok::<_, CodecError>(receipt.into_payload() + 1));
    let committed = committed.unwrap();
    assert_eq!(committed.admission().gates().unwrap(), ["cap-1000", "cap-10"]);
    assert_eq!(committed.into_value(), 8);
}

pub fn b42_an_append_carries_the_names_of_the_gates() {
    let receipt = strong().evaluate(&5, Proposal::new("five")).unwrap();
    let append = receipt.into_append(note).unwrap();
    assert_eq!(append.admission().unwrap().gates().unwrap(), ["cap-1000", "cap-10"]);
    assert_eq!(append.payload.decode::<String>().unwrap(), "five");
}

pub fn b42_a_failed_commit_tells_why() {
    let pipeline = strong();
    let receipt = pipeline.evaluate(&5, Proposal::new(())).unwrap();
    let error =
        pipeline.commit(receipt, |_: Receipt<()>| Err::<(), _>(Denial::new("FULL", "full")));
    let CommitError::Commit(denial) = error.unwrap_err() else {
        panic!("the error of the commit must be told");
    };
    assert_eq!(denial.code(), "FULL");
}

const MIGRATION: BypassReason = BypassReason::new("migration", "moved from the old system");

pub fn b43_a_bypass_carries_reason_and_justification_to_the_append() {
    let pipeline = strong();
    let bypass = pipeline.bypass(Proposal::new("x"), MIGRATION, "ticket 12, signed by Ada");
    let bypass = bypass.unwrap();
    assert_eq!(bypass.reason().name(), "migration");
    let committed = pipeline.commit_bypass(bypass, |bypass| bypass.into_append(note)).unwrap();

    let stored = committed.value().admission().unwrap();
    assert_eq!(stored.bypass().unwrap(), ("migration", "ticket 12, signed by Ada"));
    assert_eq!(stored.gates(), None, "no gate let it pass");
    assert_eq!(committed.admission().bypass(), stored.bypass());
}

pub fn b43_a_bypass_of_another_pipeline_is_refused() {
    let bypass = weak().bypass(Proposal::new(()), MIGRATION, "ticket 12").unwrap();
    assert!(matches!(
        strong().commit_bypass(bypass, |_| Ok::<_, CodecError>(())),
        Err(CommitError::WrongPipeline(_))
    ));
}

pub fn b43_a_bypass_without_a_readable_justification_is_refused() {
    let pipeline = strong();
    let blank = pipeline.bypass(Proposal::new(()), MIGRATION, " \n");
    assert_eq!(blank.unwrap_err(), BypassError::JustificationBlank);
    let long = pipeline.bypass(Proposal::new(()), MIGRATION, "x".repeat(4097));
    assert_eq!(long.unwrap_err(), BypassError::JustificationTooLong { len: 4097, len_max: 4096 });
}

fn note(text: &str) -> Result<Append, CodecError> {
    let coordinate = Coordinate::new("note:1", "main").unwrap();
    Ok(Append::new(coordinate, EventKind::new(1, 1), Payload::json(&text)?))
}
