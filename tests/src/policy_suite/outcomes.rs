//! Behaviours 44 and 45: outcomes, and what they carry.

use annals_core::{
    CompensationAction, Denial, ErrorKind, EventId, Outcome, OutcomeError, WaitCondition, join_all,
    join_any,
};

use super::both_formats;

fn error(message: &str) -> OutcomeError {
    OutcomeError::new(ErrorKind::Conflict, message)
}

fn retry(reason: &str) -> Outcome<i32> {
    Outcome::Retry { after_ms: 10, attempt: 1, attempts_max: 3, reason: reason.into() }
}

fn pending(resume_token: &str) -> Outcome<i32> {
    let condition = WaitCondition::Time { at_us: 5 };
    Outcome::Pending { condition, resume_token: resume_token.into() }
}

fn batch<const N: usize, T>(items: [Outcome<T>; N]) -> Outcome<T> {
    Outcome::Batch(items.into())
}

/// Ok 1, Err e, then one layer down Ok 2, Err f, then two layers down Ok 3.
fn nested() -> Outcome<i32> {
    batch([
        Outcome::Ok(1),
        Outcome::Err(error("e")),
        batch([Outcome::Ok(2), Outcome::Err(error("f")), batch([Outcome::Ok(3)])]),
    ])
}

pub fn b44_every_combinator_reaches_nested_batches() {
    let values = |outcome: Outcome<i32>| {
        outcome.into_leaves().into_iter().map(|leaf| leaf.unwrap_or(0)).collect::<Vec<_>>()
    };
    assert_eq!(values(nested().map(|n| n * 10)), [10, 0, 20, 0, 30]);
    assert_eq!(values(nested().and_then(|n| Outcome::Ok(n + 5))), [6, 0, 7, 0, 8]);
    assert_eq!(
        values(nested().and_then_if(|n| *n > 1, |n| Outcome::Ok(n * 100))),
        [1, 0, 200, 0, 300]
    );
    assert_eq!(values(nested().or_else(|_| Outcome::Ok(9))), [1, 9, 2, 9, 3]);

    let renamed = nested().map_err(|e| error(&format!("{}!", e.message)));
    let (mut seen, mut errors) = (Vec::new(), Vec::new());
    let same = renamed.clone().inspect(|n| seen.push(*n)).inspect_err(|e| {
        errors.push(e.message.clone());
    });
    assert_eq!((seen, errors), (vec![1, 2, 3], vec!["e!".to_owned(), "f!".to_owned()]));
    assert_eq!(same, renamed, "inspecting changes nothing");

    let zipped = nested().zip(Outcome::Ok('z'));
    assert_eq!(zipped.into_leaves().last(), Some(&Outcome::Ok((3, 'z'))));
}

pub fn b44_what_is_not_ok_passes_through_unchanged() {
    for stopped in [retry("busy"), pending("t"), Outcome::cancelled("no"), Outcome::Err(error("e"))]
    {
        assert_eq!(stopped.clone().map(|n| n + 1), stopped);
        assert_eq!(stopped.clone().and_then(|_| Outcome::Ok(0)), stopped);
        assert_eq!(stopped.clone().and_then_if(|_| true, |_| Outcome::Ok(0)), stopped);
    }
    for unharmed in [retry("busy"), pending("t"), Outcome::cancelled("no"), Outcome::Ok(4)] {
        assert_eq!(unharmed.clone().map_err(|_| error("x")), unharmed);
        assert_eq!(unharmed.clone().or_else(|_| Outcome::Ok(0)), unharmed);
    }
}

pub fn b44_flatten_takes_one_layer_away() {
    assert_eq!(Outcome::Ok(Outcome::Ok(1)).flatten(), Outcome::Ok(1));
    assert_eq!(Outcome::Ok(retry("busy")).flatten(), retry("busy"));
    let outer = batch([Outcome::Ok(nested()), Outcome::Err(error("g"))]);
    assert_eq!(outer.flatten(), batch([nested(), Outcome::Err(error("g"))]));
}

pub fn b44_zip_follows_the_priorities_and_the_first_wins_ties() {
    let ranked = [
        Outcome::Err(error("e")),
        Outcome::cancelled("c"),
        retry("r"),
        pending("p"),
        batch([Outcome::Ok(1)]),
        Outcome::Ok(2),
    ];
    for (i, high) in ranked[..4].iter().enumerate() {
        for low in &ranked[i..] {
            let expected = high.clone().map(|n| (n, n));
            assert_eq!(high.clone().zip(low.clone()), expected);
            assert_eq!(low.clone().zip(high.clone()), expected);
        }
    }
    assert_eq!(retry("first").zip(retry("second")), retry("first").map(|n| (n, n)));
    assert_eq!(pending("first").zip(pending("second")), pending("first").map(|n| (n, n)));
    let cancelled = Outcome::<i32>::cancelled("first").zip(Outcome::<i32>::cancelled("second"));
    assert_eq!(cancelled, Outcome::cancelled("first"));
    let failed = Outcome::<i32>::Err(error("first")).zip(Outcome::<i32>::Err(error("second")));
    assert_eq!(failed, Outcome::Err(error("first")));
    assert_eq!(Outcome::Ok(1).zip(Outcome::Ok('b')), Outcome::Ok((1, 'b')));
}

pub fn b44_zip_pairs_batches_and_drops_no_item() {
    let numbers = batch([Outcome::Ok(1), Outcome::Err(error("e")), batch([Outcome::Ok(3)])]);
    let letters = batch([Outcome::Ok('a'), Outcome::Ok('b'), Outcome::Ok('c')]);
    assert_eq!(
        numbers.clone().zip(letters.clone()),
        batch([Outcome::Ok((1, 'a')), Outcome::Err(error("e")), batch([Outcome::Ok((3, 'c'))])])
    );
    assert_eq!(
        Outcome::Ok(7).zip(batch([Outcome::Ok('a'), Outcome::Ok('b')])),
        batch([Outcome::Ok((7, 'a')), Outcome::Ok((7, 'b'))])
    );
    let Outcome::Err(unpaired) = numbers.zip(batch([Outcome::Ok('a')])) else {
        panic!("batches of different lengths must not lose an item");
    };
    assert_eq!(unpaired.kind, ErrorKind::Validation);
}

pub fn b44_join_all_gives_all_values_or_the_first_that_is_not_ok() {
    assert_eq!(join_all::<i32>([]), Outcome::Ok(vec![]));
    let all = join_all([Outcome::Ok(1), batch([Outcome::Ok(2), batch([Outcome::Ok(3)])])]);
    assert_eq!(all, Outcome::Ok(vec![1, 2, 3]));
    let stopped = join_all([Outcome::Ok(1), batch([retry("r")]), Outcome::Err(error("e"))]);
    assert_eq!(stopped, retry("r").map(|n| vec![n]));
}

pub fn b44_join_any_gives_the_first_ok_or_what_may_become_one() {
    let down = || Outcome::<i32>::Err(error("down"));
    assert_eq!(join_any([down(), Outcome::Ok(1), Outcome::Ok(2)]), Outcome::Ok(1));
    assert_eq!(join_any([down(), pending("p"), Outcome::Ok(2)]), pending("p"));
    assert_eq!(join_any([down(), batch([down(), Outcome::Ok(3)])]), Outcome::Ok(3));
    assert_eq!(join_any([down(), Outcome::Err(error("last"))]), Outcome::Err(error("last")));
    for none in [join_any::<i32>([]), join_any([batch::<0, i32>([])])] {
        assert!(matches!(none, Outcome::Err(e) if e.kind == ErrorKind::Internal));
    }
}

pub fn b44_into_result_and_unwrap_or() {
    assert_eq!(Outcome::Ok(1).into_result(), Ok(1));
    assert_eq!(Outcome::<i32>::Err(error("e")).into_result(), Err(error("e")));
    assert!(retry("busy").into_result().unwrap_err().retryable);
    for other in [pending("t"), Outcome::cancelled("no"), batch([Outcome::Ok(1)])] {
        let error = other.clone().into_result().unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Internal, false));
        assert_eq!(other.unwrap_or(9), 9);
    }
    assert_eq!(nested().into_result(), Err(error("e")), "the first leaf that has an error");
    assert_eq!(Outcome::Ok(1).unwrap_or(9), 1);

    let denied = Outcome::<()>::from(Err(Denial::new("OVER", "too much")));
    assert_eq!(denied, Outcome::Err(OutcomeError::new(ErrorKind::Policy, "too much (OVER)")));
}

pub fn b44_an_outcome_is_tagged_type_and_data() {
    // Postcard can't read tagged enums: there an outcome is a plain one.
    assert_eq!(postcard::to_allocvec(&Outcome::Ok(5_u8)).unwrap(), [0, 5]);
    let json = serde_json::to_string(&Outcome::Ok(5)).unwrap();
    assert_eq!(json, r#"{"type":"Ok","data":5}"#);
    let cancelled = serde_json::to_string(&Outcome::<i32>::cancelled("no")).unwrap();
    assert_eq!(cancelled, r#"{"type":"Cancelled","data":{"reason":"no"}}"#);
    let reordered: Outcome<i32> = serde_json::from_str(r#"{"data":5,"type":"Ok"}"#).unwrap();
    assert_eq!(reordered, Outcome::Ok(5));
    let failed = Outcome::Err(error("e").with_compensation(CompensationAction::Reverse {
        events: vec![EventId::from_bytes([0xFF; 16])],
    }));
    for outcome in [nested(), retry("r"), pending("p"), failed] {
        assert_eq!(both_formats(&outcome), outcome);
    }
}

pub fn b45_kinds_of_errors_have_classes() {
    use ErrorKind::{
        Conflict, Custom, Internal, NotFound, Policy, Serialization, Storage, Timeout, Validation,
    };
    for kind in [Storage, Timeout] {
        assert!(kind.is_retryable() && kind.is_operational() && !kind.is_domain(), "{kind}");
    }
    for kind in [NotFound, Conflict, Validation, Policy] {
        assert!(kind.is_domain() && !kind.is_operational() && !kind.is_retryable(), "{kind}");
    }
    for kind in [Serialization, Internal] {
        assert!(kind.is_operational() && !kind.is_domain() && !kind.is_retryable(), "{kind}");
    }
    let own = Custom(0xFFFF);
    assert!(!own.is_domain() && !own.is_operational() && !own.is_retryable());
    assert!(OutcomeError::new(own, "quota").with_retryable(true).retryable);
    assert_eq!(both_formats(&own), own);
}

pub fn b45_conditions_and_compensations_survive_formats_without_128_bit_integers() {
    let id = EventId::from_bytes([0xFF; 16]);
    let condition = WaitCondition::All(vec![
        WaitCondition::Event { id },
        WaitCondition::Any(vec![
            WaitCondition::Time { at_us: -1 },
            WaitCondition::Custom { name: "stock".into(), data: vec![0, 255] },
        ]),
    ]);
    assert_eq!(both_formats(&condition), condition);
    for action in [
        CompensationAction::Reverse { events: vec![id] },
        CompensationAction::Notify { recipient: "ops".into(), message: "look".into() },
        CompensationAction::Release { resources: vec!["seat 4".into()] },
        CompensationAction::Custom { name: "x".into(), data: vec![0, 255] },
    ] {
        assert_eq!(both_formats(&action), action);
    }
}
