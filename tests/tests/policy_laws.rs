//! The laws of `Outcome`: functor, monad, and what `zip` and the joins keep.

use annals_core::{CompensationAction, ErrorKind, EventId, Outcome, OutcomeError, WaitCondition};
use annals_core::{join_all, join_any};
use proptest::collection::vec;
use proptest::prelude::*;

fn errors() -> impl Strategy<Value = OutcomeError> {
    let kinds = prop_oneof![
        Just(ErrorKind::NotFound),
        Just(ErrorKind::Timeout),
        any::<u16>().prop_map(ErrorKind::Custom)
    ];
    let compensations = proptest::option::of(vec(any::<[u8; 16]>(), 0..3).prop_map(|ids| {
        CompensationAction::Reverse { events: ids.into_iter().map(EventId::from_bytes).collect() }
    }));
    (kinds, "[a-z]{0,4}", compensations).prop_map(|(kind, message, compensation)| {
        let mut error = OutcomeError::new(kind, message);
        error.compensation = compensation;
        error
    })
}

fn conditions() -> impl Strategy<Value = WaitCondition> {
    let leaves = prop_oneof![
        any::<i64>().prop_map(|at_us| WaitCondition::Time { at_us }),
        any::<[u8; 16]>().prop_map(|id| WaitCondition::Event { id: EventId::from_bytes(id) }),
        ("[a-z]{0,3}", vec(any::<u8>(), 0..3))
            .prop_map(|(name, data)| WaitCondition::Custom { name, data }),
    ];
    leaves.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(WaitCondition::All),
            vec(inner, 0..3).prop_map(WaitCondition::Any)
        ]
    })
}

fn leaves() -> impl Strategy<Value = Outcome<i32>> {
    let retry = (any::<u64>(), any::<u32>(), any::<u32>(), "[a-z]{0,3}").prop_map(
        |(after_ms, attempt, attempts_max, reason)| Outcome::Retry {
            after_ms,
            attempt,
            attempts_max,
            reason,
        },
    );
    let pending = (conditions(), "[a-z]{0,3}")
        .prop_map(|(condition, resume_token)| Outcome::Pending { condition, resume_token });
    prop_oneof![
        4 => any::<i32>().prop_map(Outcome::Ok),
        1 => errors().prop_map(Outcome::Err),
        1 => retry,
        1 => pending,
        1 => "[a-z]{0,3}".prop_map(Outcome::cancelled),
    ]
}

/// Any outcome, with batches up to four deep.
fn outcomes() -> impl Strategy<Value = Outcome<i32>> {
    leaves().prop_recursive(4, 24, 4, |inner| vec(inner, 0..4).prop_map(Outcome::Batch))
}

/// A table of outcomes that stands for a function; see [`step`].
fn steps() -> impl Strategy<Value = Vec<Outcome<i32>>> {
    vec(outcomes(), 1..5)
}

/// What becomes of a value depends on the value.
fn step(table: &[Outcome<i32>], value: i32) -> Outcome<i32> {
    let at = value.to_le_bytes()[0] % 4;
    table[usize::from(at) % table.len()].clone().map(|n| n.wrapping_add(value))
}

fn rank(outcome: &Outcome<i32>) -> u8 {
    match outcome {
        Outcome::Err(_) => 5,
        Outcome::Cancelled { .. } => 4,
        Outcome::Retry { .. } => 3,
        Outcome::Pending { .. } => 2,
        Outcome::Batch(_) => 1,
        Outcome::Ok(_) => 0,
    }
}

proptest! {
    #[test]
    fn b44_functor_identity(outcome in outcomes()) {
        prop_assert_eq!(outcome.clone().map(|n| n), outcome);
    }

    #[test]
    fn b44_functor_composition(outcome in outcomes(), a: i32, b: i32) {
        let (f, g) = (|n: i32| n.wrapping_mul(a), |n: i32| i64::from(n) + i64::from(b));
        prop_assert_eq!(outcome.clone().map(f).map(g), outcome.map(|n| g(f(n))));
    }

    #[test]
    fn b44_monad_left_identity(value: i32, table in steps()) {
        prop_assert_eq!(Outcome::Ok(value).and_then(|n| step(&table, n)), step(&table, value));
    }

    #[test]
    fn b44_monad_right_identity(outcome in outcomes()) {
        prop_assert_eq!(outcome.clone().and_then(Outcome::Ok), outcome);
    }

    #[test]
    fn b44_monad_associativity(outcome in outcomes(), f in steps(), g in steps()) {
        let one_by_one = outcome.clone().and_then(|n| step(&f, n)).and_then(|n| step(&g, n));
        let at_once = outcome.and_then(|n| step(&f, n).and_then(|n| step(&g, n)));
        prop_assert_eq!(one_by_one, at_once);
    }

    #[test]
    fn b44_map_is_and_then_with_ok(outcome in outcomes(), a: i32) {
        let f = |n: i32| n.wrapping_add(a);
        prop_assert_eq!(outcome.clone().map(f), outcome.and_then(|n| Outcome::Ok(f(n))));
    }

    #[test]
    fn b44_flatten_undoes_wrapping_and_is_associative(
        outcome in outcomes(), f in steps(), g in steps(),
    ) {
        prop_assert_eq!(Outcome::Ok(outcome.clone()).flatten(), outcome.clone());
        prop_assert_eq!(outcome.clone().map(Outcome::Ok).flatten(), outcome.clone());
        let thrice = outcome.map(|n| step(&f, n).map(|n| step(&g, n)));
        prop_assert_eq!(
            thrice.clone().flatten().flatten(),
            thrice.map(Outcome::flatten).flatten()
        );
    }

    #[test]
    fn b44_combinators_distribute_over_batches(
        items in vec(outcomes(), 0..5), f in steps(), a: i32,
    ) {
        let batch = Outcome::Batch(items.clone());
        let each = |f: &dyn Fn(Outcome<i32>) -> Outcome<i32>| {
            Outcome::Batch(items.iter().cloned().map(f).collect())
        };
        let add = |n: i32| n.wrapping_add(a);
        let go = |n: i32| step(&f, n);
        let even = |n: &i32| n % 2 == 0;
        let rescue = |e: OutcomeError| Outcome::Ok(i32::try_from(e.message.len()).unwrap());
        let retry = |e: OutcomeError| e.with_retryable(true);

        prop_assert_eq!(batch.clone().map(add), each(&|item| item.map(add)));
        prop_assert_eq!(batch.clone().and_then(go), each(&|item| item.and_then(go)));
        let conditional = each(&|item| item.and_then_if(even, go));
        prop_assert_eq!(batch.clone().and_then_if(even, go), conditional);
        prop_assert_eq!(batch.clone().or_else(rescue), each(&|item| item.or_else(rescue)));
        prop_assert_eq!(batch.map_err(retry), each(&|item| item.map_err(retry)));
    }

    #[test]
    fn b44_and_then_if_touches_no_other_leaf(outcome in outcomes(), f in steps()) {
        let mut left_alone = Vec::new();
        let wanted = |n: &i32| n % 3 == 0;
        let by_hand = outcome.clone().and_then(|n| {
            if wanted(&n) { step(&f, n) } else { left_alone.push(n); Outcome::Ok(n) }
        });
        let mut refused = Vec::new();
        let result = outcome.and_then_if(
            |n| { if !wanted(n) { refused.push(*n); } wanted(n) },
            |n| step(&f, n),
        );
        prop_assert_eq!(result, by_hand);
        prop_assert_eq!(refused, left_alone);
    }

    #[test]
    fn b44_inspect_sees_every_value_in_order_and_changes_nothing(outcome in outcomes()) {
        let mut seen = Vec::new();
        prop_assert_eq!(outcome.clone().inspect(|n| seen.push(*n)), outcome.clone());
        let leaves = outcome.into_leaves().into_iter();
        let values: Vec<_> = leaves.filter_map(|leaf| leaf.into_result().ok()).collect();
        prop_assert_eq!(seen, values);
    }

    #[test]
    fn b44_zip_of_leaves_keeps_the_more_urgent_one(first in leaves(), second in leaves()) {
        let zipped = first.clone().zip(second.clone());
        let expected = match (first.clone(), second.clone()) {
            (Outcome::Ok(a), Outcome::Ok(b)) => Outcome::Ok((a, b)),
            _ if rank(&first) >= rank(&second) => first.map(|n| (n, n)),
            _ => second.map(|n| (n, n)),
        };
        prop_assert_eq!(zipped, expected);
    }

    #[test]
    fn b44_zip_with_an_ok_is_map(outcome in outcomes(), b: i32) {
        prop_assert_eq!(outcome.clone().zip(Outcome::Ok(b)), outcome.clone().map(|a| (a, b)));
        prop_assert_eq!(Outcome::Ok(b).zip(outcome.clone()), outcome.map(|a| (b, a)));
    }

    #[test]
    fn b44_zip_of_batches_is_pairwise(pairs in vec((outcomes(), outcomes()), 0..4)) {
        let (first, second): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
        let pairwise = pairs.into_iter().map(|(a, b)| a.zip(b)).collect();
        let zipped = Outcome::Batch(first).zip(Outcome::Batch(second));
        prop_assert_eq!(zipped, Outcome::Batch(pairwise));
    }

    #[test]
    fn b44_joins_agree_with_a_walk_over_the_leaves(items in vec(outcomes(), 0..5)) {
        let leaves = Outcome::Batch(items.clone()).into_leaves();
        let all = match leaves.iter().find(|leaf| !leaf.is_ok()) {
            Some(stopped) => stopped.clone().map(|n| vec![n]),
            None => {
                let values = leaves.iter().cloned().map(|leaf| leaf.into_result().unwrap());
                Outcome::Ok(values.collect())
            }
        };
        prop_assert_eq!(join_all(items.clone()), all);

        let any = join_any(items);
        match leaves.iter().find(|leaf| !leaf.is_err()).or(leaves.last()) {
            Some(chosen) => prop_assert_eq!(&any, chosen),
            None => prop_assert_eq!(any.into_result().unwrap_err().kind, ErrorKind::Internal),
        }
    }

    #[test]
    fn b44_an_outcome_survives_json_and_postcard(outcome in outcomes()) {
        let json = serde_json::to_string(&outcome).unwrap();
        prop_assert_eq!(serde_json::from_str::<Outcome<i32>>(&json).unwrap(), outcome.clone());
        let bytes = postcard::to_allocvec(&outcome).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Outcome<i32>>(&bytes).unwrap(), outcome);
    }
}
