//! Behaviour 46: state machines, typestates and transitions.

use annals_core::{
    Admitted, AppendOptions, Coordinate, Denial, Edge, EventKind, EventPayload, ExpectedVersion,
    GateSet, MachineState, Pipeline, Proposal, StateMachine, Transition, TransitionError,
    TransitionRecord, Version, define_state_machine, define_typestate, gate_fn,
};
use serde::{Deserialize, Serialize};

use super::both_formats;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Placed {
    total_cents: u64,
}

impl EventPayload for Placed {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("order.placed");
    const VERSION: u16 = 3;
}

#[derive(Debug, Serialize, Deserialize)]
struct Closed;

impl EventPayload for Closed {
    const KIND: EventKind = EventKind::new(1, 2);
}

define_state_machine! {
    /// The life of an order.
    pub machine order {
        states {
            /// Lines are still added.
            Draft,
            Open,
            Done,
        }
        edges {
            Draft -> Open: Placed,
            Draft | Open -> Done: Closed,
        }
    }
}

define_state_machine! {
    machine ticket {
        states { Open, Done }
        edges { Open -> Done: Closed }
    }
}

define_typestate! {
    /// An order and where it is in its life.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Order in order {
        /// Who ordered.
        pub customer: String,
        lines: u32,
    }
}

pub fn b46_two_machines_in_one_module_share_state_names() {
    assert_eq!(order::Machine::NAME, "order");
    assert_eq!(order::Machine::STATES, ["Draft", "Open", "Done"]);
    assert_eq!(ticket::Machine::STATES, ["Open", "Done"]);
    let edges: Vec<_> =
        order::Machine::EDGES.iter().map(|edge| (edge.from, edge.to, edge.kind)).collect();
    assert_eq!(
        edges,
        [
            ("Draft", "Open", Placed::KIND),
            ("Draft", "Done", Closed::KIND),
            ("Open", "Done", Closed::KIND)
        ]
    );
    let of_order = Transition::<order::Open, order::Done, _>::new(Closed);
    let of_ticket = Transition::<ticket::Open, ticket::Done, _>::new(Closed);
    assert_eq!(of_order.record().machine, "order");
    assert_eq!(of_ticket.record().machine, "ticket");
}

pub fn b46_a_machine_can_be_declared_inside_a_function() {
    #[derive(Serialize, Deserialize)]
    struct Lit;
    impl EventPayload for Lit {
        const KIND: EventKind = EventKind::new(2, 1);
    }
    define_state_machine! {
        machine lamp { states { Off, On } edges { Off -> On: Lit } }
    }
    define_typestate! { struct Lamp in lamp { watts: u8 } }

    let (lamp, transition) = Lamp::new(40).advance::<lamp::On, _>(Lit);
    assert_eq!((lamp.state_name(), lamp.watts), ("On", 40));
    assert_eq!(transition.from_state(), "Off");
}

pub fn b46_a_transition_becomes_an_append_that_records_its_edge() {
    let transition = Transition::<order::Draft, order::Open, _>::new(Placed { total_cents: 900 });
    assert_eq!(transition.kind(), Placed::KIND);
    assert_eq!(format!("{transition:?}"), "Transition(Draft -> Open)");
    let coordinate = Coordinate::new("order:1", "shop").unwrap();
    let append = transition.into_append(coordinate.clone(), AppendOptions::default()).unwrap();

    assert_eq!((&append.coordinate, append.kind), (&coordinate, Placed::KIND));
    assert_eq!(append.payload.version(), 3);
    assert_eq!(append.payload.decode::<Placed>().unwrap(), Placed { total_cents: 900 });
    let metadata = append.options.metadata.unwrap();
    assert_eq!(
        core::str::from_utf8(&metadata).unwrap(),
        r#"{"transition":{"machine":"order","from":"Draft","to":"Open"}}"#
    );
    let record = TransitionRecord::from_metadata(&metadata).unwrap();
    assert!(record.is_declared_by::<order::Machine>());
    assert!(!record.is_declared_by::<ticket::Machine>());
    assert_eq!(both_formats(&record), record);
    assert_eq!(TransitionRecord::from_metadata(br#"{"trace":"7"}"#), None);
}

pub fn b46_a_transition_keeps_the_options_and_refuses_other_metadata() {
    let coordinate = Coordinate::new("order:1", "shop").unwrap();
    let close = || Transition::<order::Open, order::Done, _>::new(Closed);
    let expected = ExpectedVersion::Exact(Version::new(0));
    let options = AppendOptions { expected_version: expected, ..AppendOptions::default() };
    let append = close().into_append(coordinate.clone(), options).unwrap();
    assert_eq!(append.options.expected_version, expected);

    let options = AppendOptions { metadata: Some(vec![1]), ..AppendOptions::default() };
    let error = close().into_append(coordinate, options).unwrap_err();
    assert!(matches!(error, TransitionError::MetadataTaken));
}

pub fn b46_a_typestate_value_advances_along_an_edge() {
    let draft = Order::new("Ada".into(), 2);
    assert_eq!(draft.state_name(), "Draft");
    let (open, placed) = draft.advance::<order::Open, _>(Placed { total_cents: 5 });
    assert_eq!(placed.into_payload().total_cents, 5);
    let read_back = Order::<order::Open>::restore("Ada".into(), 2);
    assert_eq!(open, read_back);
    let (done, closed) = open.clone().advance::<order::Done, _>(Closed);
    assert_eq!((done.state_name(), closed.to_state()), ("Done", "Done"));
    assert_eq!((done.customer.as_str(), open.lines), ("Ada", 2));
}

pub fn b46_a_transition_passes_gates_like_any_proposal() {
    type Place = Transition<order::Draft, order::Open, Placed>;
    let cap = gate_fn("cap", |transition: &Place| {
        if transition.payload().total_cents <= 100 {
            return Ok(());
        }
        Err(Denial::new("OVER", "too much"))
    });
    let pipeline = Pipeline::new(GateSet::new().with(cap));
    let place = |total_cents| Proposal::new(Place::new(Placed { total_cents }));
    assert!(pipeline.evaluate_payload(place(101)).is_err());

    let receipt = pipeline.evaluate_payload(place(9)).unwrap();
    let coordinate = Coordinate::new("order:1", "shop").unwrap();
    let append = receipt
        .into_append(|transition| transition.into_append(coordinate, AppendOptions::default()))
        .unwrap();
    assert_eq!(append.kind, Placed::KIND);
    assert_eq!(append.admission().unwrap().gates().unwrap(), ["cap"]);
    assert!(TransitionRecord::from_metadata(&append.options.metadata.unwrap()).is_some());
}

/// What a function that is generic over a machine's edges looks like.
fn takes<From, To, P>(payload: P) -> Transition<From, To, P>
where
    From: Edge<To, P>,
    To: MachineState<Machine = From::Machine>,
    P: EventPayload,
{
    Transition::new(payload)
}

pub fn b46_code_can_be_generic_over_the_edges() {
    let closing = takes::<ticket::Open, ticket::Done, _>(Closed);
    assert_eq!(closing.to_state(), "Done");
}

/// A module where not even `Option` is in scope, as it may be where a macro is called.
#[no_implicit_prelude]
mod bare {
    use ::annals_core::EventPayload;

    #[derive(::serde::Serialize, ::serde::Deserialize)]
    pub(super) struct Gone;

    impl EventPayload for Gone {
        const KIND: ::annals_core::EventKind = ::annals_core::EventKind::new(3, 1);
    }

    ::annals_core::define_entity_id! { pub(super) struct BareId = "bare"; }

    ::annals_core::define_state_machine! {
        pub(super) machine bare {
            states { Here, There }
            edges { Here -> There: Gone }
        }
    }

    ::annals_core::define_typestate! { pub(super) struct Bare in bare { pub(super) n: u8 } }
}

pub fn b46_macros_need_no_prelude_and_no_import() {
    let (there, transition) = bare::Bare::new(3).advance::<bare::bare::There, _>(bare::Gone);
    assert_eq!((there.n, transition.from_state()), (3, "Here"));
    assert_eq!(bare::BareId::from_bytes([0; 16]).to_string().len(), "bare:".len() + 36);
}
