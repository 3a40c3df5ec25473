//! Behaviours 42, 43, 46 and 47 through the native store: what a policy let in, and transitions
//! that start only from the state that a stream is in.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::ops::ControlFlow;
use std::sync::{Arc, Barrier};

use annals::{
    AppendCondition, AppendOptions, BypassReason, CompactionConfig, CompactionStrategy, Coordinate,
    Denial, Event, EventId, EventKind, EventPayload, ExpectedVersion, GateSet, Log, LogConfig,
    MemoryStorage, Payload, PayloadFormat, Pipeline, PolicyError, Proposal, Region, Sequence,
    StateMachine, Store, StoreConfig, StoreError, Transition, TransitionOptions, TransitionRecord,
    Version, define_state_machine, gate_fn,
};
use annals_tests::conformance::TestHost;
use serde::{Deserialize, Serialize};

const PAID: EventKind = EventKind::new(1, 1);
const NOTED: EventKind = EventKind::new(1, 2);
const MIGRATION: BypassReason = BypassReason::new("migration", "moved from the old system");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Placed {
    cents: u64,
}

impl EventPayload for Placed {
    const KIND: EventKind = EventKind::new(2, 1);
    const NAME: Option<&'static str> = Some("order.placed");
    const VERSION: u16 = 3;
    const FORMAT: PayloadFormat = PayloadFormat::Json;
}

#[derive(Serialize, Deserialize)]
struct Shipped;

impl EventPayload for Shipped {
    const KIND: EventKind = EventKind::new(2, 2);
}

#[derive(Serialize, Deserialize)]
struct Cancelled;

impl EventPayload for Cancelled {
    const KIND: EventKind = EventKind::new(2, 3);
    const NAME: Option<&'static str> = Some("order.cancelled");
}

define_state_machine! {
    machine order {
        states { Draft, Open, Sent, Closed }
        edges {
            Draft -> Open: Placed,
            Open -> Sent: Shipped,
            Draft | Open -> Closed: Cancelled,
        }
    }
}

define_state_machine! {
    machine parcel {
        states { Here, Away }
        edges { Here -> Away: Shipped }
    }
}

#[derive(Serialize, Deserialize)]
struct Moved;

impl EventPayload for Moved {
    const KIND: EventKind = EventKind::new(2, 4);
}

define_state_machine! {
    machine lift {
        states { Down, Middle, Up }
        edges {
            Down -> Middle: Moved,
            Middle -> Up: Moved,
        }
    }
}

type Place = Transition<order::Draft, order::Open, Placed>;
type Ship = Transition<order::Open, order::Sent, Shipped>;
type Leave = Transition<parcel::Here, parcel::Away, Shipped>;

fn place() -> Place {
    Transition::new(Placed { cents: 900 })
}

fn at() -> Coordinate {
    Coordinate::new("order:5", "shop").expect("a valid address")
}

fn store() -> Store<MemoryStorage> {
    Store::in_memory().expect("memory does not fail")
}

fn cap(max: u64) -> Pipeline<u64> {
    Pipeline::new(GateSet::new().with(gate_fn("positive", |_: &u64| Ok(()))).with(gate_fn(
        "cap",
        move |cents: &u64| {
            if *cents <= max { Ok(()) } else { Err(Denial::new("OVER", "too much")) }
        },
    )))
}

fn gates_of(event: &Event) -> Vec<String> {
    let admission = event.header.admission.as_ref();
    admission.and_then(|admission| admission.gates()).unwrap_or_default().to_vec()
}

#[test]
fn b42_the_gates_names_are_stored_with_the_event_and_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    let pipeline = cap(100);
    let receipt = pipeline.evaluate_payload(Proposal::new(80)).unwrap();
    let paid = store.commit_receipt(&at(), PAID, receipt).unwrap();
    store.append(&at(), PAID, &5_u64).unwrap();
    store.close().unwrap();

    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    let event = store.get(paid.id).unwrap();
    assert_eq!(gates_of(&event), ["positive", "cap"]);
    assert_eq!(event.decode::<u64>().unwrap(), 80);
    let plain = store.get_at(paid.sequence.next()).unwrap();
    assert_eq!(plain.header.admission, None, "nobody was asked about a plain append");
}

#[test]
fn b42_a_receipt_may_hold_a_payload_a_value_or_a_typed_event() {
    let store = store();
    let pipeline = cap(100);
    let raw = pipeline.evaluate(&1, Proposal::new(Payload::raw(*b"bytes"))).unwrap();
    let raw = store.commit_receipt(&at(), PAID, raw).unwrap();
    assert_eq!(store.get(raw.id).unwrap().payload, Payload::raw(*b"bytes"));

    let value = pipeline.evaluate(&1, Proposal::new("hello".to_owned())).unwrap();
    let value = store.commit_receipt(&at(), NOTED, value).unwrap();
    assert_eq!(store.get(value.id).unwrap().payload, Payload::postcard("hello").unwrap());

    let typed = pipeline.evaluate(&1, Proposal::new(Placed { cents: 7 })).unwrap();
    let typed = store.commit_typed_receipt(&at(), typed).unwrap();
    let event = store.get(typed.id).unwrap();
    assert_eq!(event.kind(), Placed::KIND);
    assert_eq!((event.payload.format(), event.payload.version()), (PayloadFormat::Json, 3));
    assert_eq!(event.decode::<Placed>().unwrap(), Placed { cents: 7 });
}

#[test]
fn b42_a_guarded_store_refuses_the_receipts_of_every_other_pipeline() {
    let store = store();
    let (weak, strong) = (cap(1000), cap(100));
    let guarded = store.guarded_by(&strong);

    let receipt = weak.evaluate_payload(Proposal::new(500)).unwrap();
    let error = guarded.commit_receipt(&at(), PAID, receipt).unwrap_err();
    let PolicyError::WrongPipeline(wrong) = error else { panic!("{error}") };
    assert_eq!(wrong.required, ["positive", "cap"]);

    let bypass = weak.bypass(Proposal::new(500_u64), MIGRATION, "ticket 7").unwrap();
    let error = guarded.commit_receipt(&at(), PAID, bypass).unwrap_err();
    assert!(matches!(error, PolicyError::WrongPipeline(_)), "{error}");
    let receipt = weak.evaluate(&1, Proposal::new(place())).unwrap();
    let error = guarded.commit_transition(&at(), receipt).unwrap_err();
    assert!(matches!(error, PolicyError::WrongPipeline(_)), "{error}");
    let receipt = weak.evaluate(&1, Proposal::new(Placed { cents: 1 })).unwrap();
    let error = guarded.commit_typed_receipt(&at(), receipt).unwrap_err();
    assert!(matches!(error, PolicyError::WrongPipeline(_)), "{error}");
    assert_eq!(store.query(&Region::all()).count(), 0, "nothing was written");

    let receipt = strong.evaluate_payload(Proposal::new(80)).unwrap();
    guarded.commit_receipt(&at(), PAID, receipt).unwrap();
}

#[test]
fn b42_a_receipt_is_committed_atomically_with_what_the_options_ask_for() {
    let store = store();
    let pipeline = cap(100);
    let receipt = || pipeline.evaluate_payload(Proposal::new(80)).unwrap();
    let first = AppendOptions::default().with_expected_version(ExpectedVersion::NoStream);
    store.commit_receipt_with_options(&at(), PAID, receipt(), first.clone()).unwrap();
    let error = store.commit_receipt_with_options(&at(), PAID, receipt(), first).unwrap_err();
    assert!(
        matches!(&error, PolicyError::Store(StoreError::VersionConflict { actual, .. })
            if *actual == Some(Version::ZERO)),
        "{error}"
    );
    let empty = AppendCondition::new(Region::all().kind(PAID), None);
    let options = AppendOptions::default().with_condition(empty);
    let error = store.commit_receipt_with_options(&at(), PAID, receipt(), options).unwrap_err();
    assert!(matches!(error, PolicyError::Store(StoreError::ConditionFailed { .. })), "{error}");
    assert_eq!(store.stream("order:5").count(), 1);
}

#[test]
fn b43_a_bypass_is_stored_with_its_reason_and_its_justification() {
    let store = store();
    let pipeline = cap(100);
    assert!(pipeline.evaluate_payload(Proposal::new(900)).is_err());
    let bypass = pipeline.bypass(Proposal::new(900_u64), MIGRATION, "invoice 7 of 2019").unwrap();
    let paid = store.guarded_by(&pipeline).commit_receipt(&at(), PAID, bypass).unwrap();
    let event = store.get(paid.id).unwrap();
    let admission = event.header.admission.as_ref().unwrap();
    assert_eq!(admission.bypass().unwrap(), ("migration", "invoice 7 of 2019"));
    assert_eq!(admission.gates(), None);
    assert_eq!(event.decode::<u64>().unwrap(), 900);
}

#[test]
fn b46_a_transition_is_recorded_and_moves_the_stream() {
    let store = store();
    assert_eq!(store.state_of::<order::Machine>("order:5").unwrap(), "Draft");
    let placed = store.apply_transition(&at(), place()).unwrap();
    let event = store.get(placed.id).unwrap();
    let record = TransitionRecord::of(&event).unwrap();
    assert_eq!((record.from.as_str(), record.to.as_str()), ("Draft", "Open"));
    assert_eq!(event.decode::<Placed>().unwrap(), Placed { cents: 900 });
    assert_eq!(store.state_of::<order::Machine>("order:5").unwrap(), "Open");
    assert_eq!(store.state_of::<order::Machine>("order:6").unwrap(), "Draft");
}

#[test]
fn b46_a_transition_from_another_state_than_the_streams_is_refused() {
    let store = store();
    let early = store.apply_transition(&at(), Ship::new(Shipped)).unwrap_err();
    assert!(
        matches!(&early, PolicyError::WrongState { entity, machine, expected, to, actual }
            if entity == "order:5" && *machine == "order" && *expected == "Open"
                && *to == "Sent" && actual == "Draft"),
        "{early}"
    );
    store.apply_transition(&at(), place()).unwrap();
    let twice = store.apply_transition(&at(), place()).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "order:5 is in the state Open of the machine order, but the transition to Open leaves Draft"
    );
    assert_eq!(store.stream("order:5").count(), 1);
}

#[test]
fn b46_other_events_and_other_machines_leave_a_state_alone() {
    let store = store();
    store.append(&at(), NOTED, "a note").unwrap();
    store.apply_transition(&at(), place()).unwrap();
    let noted = AppendOptions::default().with_metadata(*br#"{"by":"Ada"}"#);
    store.append_with_options(&at(), NOTED, "another", noted).unwrap();
    store.apply_transition(&at(), Leave::new(Shipped)).unwrap();
    assert_eq!(store.state_of::<order::Machine>("order:5").unwrap(), "Open");
    assert_eq!(store.state_of::<parcel::Machine>("order:5").unwrap(), "Away");
    store.apply_transition(&at(), Ship::new(Shipped)).unwrap();
    assert_eq!(store.stream("order:5").count(), 5);
}

#[test]
fn b46_the_options_may_do_without_the_check_of_the_state() {
    let store = store();
    let options = TransitionOptions::default().without_state_check();
    store.apply_transition_with_options(&at(), Ship::new(Shipped), options).unwrap();
    assert_eq!(store.state_of::<order::Machine>("order:5").unwrap(), "Sent");
}

#[test]
fn b46_a_transition_is_atomic_with_a_version_check() {
    let store = store();
    store.append(&at(), NOTED, "a note").unwrap();
    let expecting = |expected| AppendOptions::default().with_expected_version(expected);
    for wrong in [ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::new(1))] {
        let error = store.apply_transition_with_options(&at(), place(), expecting(wrong));
        let error = error.unwrap_err();
        assert!(
            matches!(&error, PolicyError::Store(StoreError::VersionConflict { expected, actual, .. })
                if *expected == wrong && *actual == Some(Version::ZERO)),
            "{error}"
        );
    }
    let right = expecting(ExpectedVersion::Exact(Version::ZERO));
    store.apply_transition_with_options(&at(), place(), right).unwrap();
    let missing = Coordinate::new("order:6", "shop").unwrap();
    let exists = expecting(ExpectedVersion::StreamExists);
    let error = store.apply_transition_with_options(&missing, place(), exists).unwrap_err();
    assert!(matches!(error, PolicyError::Store(StoreError::VersionConflict { .. })), "{error}");
}

#[test]
fn b46_a_transition_under_a_known_key_is_answered_with_the_original_receipt() {
    let store = store();
    let keyed = || {
        AppendOptions::default()
            .with_idempotency_key(EventId::from_key("order 5, placed"))
            .with_expected_version(ExpectedVersion::NoStream)
    };
    let first = store.apply_transition_with_options(&at(), place(), keyed()).unwrap();
    let again = store.apply_transition_with_options(&at(), place(), keyed()).unwrap();
    assert_eq!(again, first);
    let other = store.apply_transition_with_options(&at(), Ship::new(Shipped), keyed());
    let other = other.unwrap_err();
    assert!(matches!(other, PolicyError::Store(StoreError::IdempotencyConflict { .. })), "{other}");
}

#[test]
fn b46_a_transition_leaves_no_room_for_other_metadata() {
    let options = AppendOptions::default().with_metadata(*b"mine");
    let error = store().apply_transition_with_options(&at(), place(), options).unwrap_err();
    assert!(matches!(error, PolicyError::MetadataTaken), "{error}");
}

#[test]
fn b46_of_many_threads_that_leave_one_state_exactly_one_wins() {
    const THREADS: usize = 8;
    let store = Arc::new(store());
    for round in 0..20 {
        let at = Coordinate::new(format!("order:{round}"), "shop").unwrap();
        let barrier = Barrier::new(THREADS);
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (store, barrier, at) = (&store, &barrier, &at);
                    scope.spawn(move || {
                        barrier.wait();
                        // Half of them get in the way with events that are no transitions.
                        if thread % 2 == 0 {
                            store.append(at, NOTED, "a note").unwrap();
                        }
                        match store.apply_transition(at, place()) {
                            Ok(_) => 1,
                            Err(PolicyError::WrongState { actual, .. }) => {
                                assert_eq!(actual, "Open");
                                0
                            }
                            Err(other) => panic!("{other}"),
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(won, 1, "round {round}");
        let placed = store
            .stream(at.entity())
            .filter(|event| TransitionRecord::of(event.as_ref().unwrap()).is_some());
        assert_eq!(placed.count(), 1, "round {round}");
    }
}

#[test]
fn b42_b46_a_transition_may_have_to_pass_gates() {
    let store = store();
    let pipeline = cap(1000);
    let guarded = store.guarded_by(&pipeline);
    assert!(pipeline.evaluate(&2000, Proposal::new(place())).is_err());
    let receipt = pipeline.evaluate(&900, Proposal::new(place())).unwrap();
    let placed = guarded.commit_transition(&at(), receipt).unwrap();
    assert_eq!(gates_of(&store.get(placed.id).unwrap()), ["positive", "cap"]);

    let receipt = pipeline.evaluate(&900, Proposal::new(place())).unwrap();
    let error = guarded.commit_transition(&at(), receipt).unwrap_err();
    assert!(matches!(error, PolicyError::WrongState { .. }), "gates do not replace the state");
    let bypass = pipeline.bypass(Proposal::new(Ship::new(Shipped)), MIGRATION, "ticket 7").unwrap();
    let sent = guarded.commit_transition(&at(), bypass).unwrap();
    let event = store.get(sent.id).unwrap();
    assert_eq!(event.header.admission.unwrap().bypass().unwrap(), ("migration", "ticket 7"));
    assert!(order::Machine::STATES.contains(&"Closed"));
}

/// Erases every payload and all metadata of the store.
fn erase_all(storage: &MemoryStorage) {
    let config = LogConfig::default();
    let mut log = Log::open(storage.clone(), TestHost::new(1), config).unwrap();
    let all =
        CompactionConfig::new(CompactionStrategy::Erase(Arc::new(|_| true))).with_seal_active(true);
    let compaction = log.begin_compaction(&all, Sequence::ZERO).unwrap().unwrap();
    let compacted = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
    log.finish_compaction(&compacted).unwrap();
}

#[test]
fn b46_an_erased_transition_still_moves_its_stream_where_its_kind_leaves_no_choice() {
    let storage = MemoryStorage::new();
    let open = || Store::open_in(storage.clone(), StoreConfig::new("")).unwrap();
    let lift = Coordinate::new("lift:1", "shop").unwrap();
    let store = open();
    store.apply_transition(&at(), place()).unwrap();
    store.apply_transition(&lift, Transition::<lift::Down, lift::Middle, _>::new(Moved)).unwrap();
    store.close().unwrap();
    erase_all(&storage);

    let store = open();
    assert_eq!(store.state_of::<order::Machine>("order:5").unwrap(), "Open");
    store.apply_transition(&at(), Ship::new(Shipped)).unwrap();
    // Down -> Middle or Middle -> Up? The event's metadata knew.
    let up = Transition::<lift::Middle, lift::Up, _>::new(Moved);
    let error = store.apply_transition(&lift, up).unwrap_err();
    assert!(
        matches!(&error, PolicyError::StateErased { sequence, .. } if *sequence == Sequence::new(1)),
        "{error}"
    );
}

#[derive(Serialize, Deserialize)]
struct Submitted;

/// Claims the kind of another type under another name.
impl EventPayload for Submitted {
    const KIND: EventKind = Placed::KIND;
    const NAME: Option<&'static str> = Some("order.submitted");
}

#[derive(Serialize, Deserialize)]
struct Ordered;

/// Claims the name of another type for another kind.
impl EventPayload for Ordered {
    const KIND: EventKind = EventKind::new(2, 9);
    const NAME: Option<&'static str> = Placed::NAME;
}

#[test]
fn b47_each_way_to_append_a_typed_event_names_its_kind_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = cap(100);
    let ways: [fn(&Store, &Pipeline<u64>); 4] = [
        |store, _| {
            store.append_typed(&at(), &Placed { cents: 1 }).unwrap();
        },
        |store, _| {
            store.apply_transition(&at(), place()).unwrap();
        },
        |store, pipeline| {
            let receipt = pipeline.evaluate(&1, Proposal::new(Placed { cents: 1 })).unwrap();
            store.commit_typed_receipt(&at(), receipt).unwrap();
        },
        |store, pipeline| {
            let receipt = pipeline.evaluate(&1, Proposal::new(place())).unwrap();
            store.commit_transition(&at(), receipt).unwrap();
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let config = || StoreConfig::new(dir.path().join(number.to_string()));
        let store = Store::open(config()).unwrap();
        assert_eq!(store.kind_name(Placed::KIND), None);
        way(&store, &pipeline);
        assert_eq!(store.kind_name(Placed::KIND).as_deref(), Some("order.placed"));
        store.close().unwrap();
        let store = Store::open(config()).unwrap();
        assert_eq!(store.kind_named("order.placed"), Some(Placed::KIND), "way {number}");
        assert_eq!(store.kind_names().len(), 1);
    }
}

#[test]
fn b47_a_second_name_for_a_kind_or_a_second_kind_for_a_name_is_an_error() {
    let store = store();
    store.append_typed(&at(), &Placed { cents: 1 }).unwrap();
    for error in [
        store.append_typed(&at(), &Submitted).unwrap_err(),
        store.append_typed(&at(), &Ordered).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NameConflict { .. }), "{error}");
    }
    assert_eq!(store.stream("order:5").count(), 1, "nothing was written");
    store.append_typed(&at(), &Placed { cents: 2 }).unwrap();
}
