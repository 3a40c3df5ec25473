//! State machines in the type system: states are types, edges are impls.
//!
//! Owns the traits and the two macros that implement them. Invariant: an edge is declared if it is
//! in the list of its machine, which only [`define_state_machine!`](crate::define_state_machine)
//! writes; whoever makes a transition is checked against that list by the compiler. All that a
//! machine declares sits in a module of its name, so two machines in one place share no name.

use crate::model::{EventKind, EventPayload};

/// A state machine, declared with [`define_state_machine!`](crate::define_state_machine).
pub trait StateMachine: Sized + 'static {
    /// The state that things start in.
    type Initial: MachineState<Machine = Self>;
    /// The machine's name, as it stands in the log.
    const NAME: &'static str;
    /// The names of all states, in the order of declaration.
    const STATES: &'static [&'static str];
    /// All edges, in the order of declaration.
    const EDGES: &'static [DeclaredEdge];
}

/// A state of a machine.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state of a machine",
    note = "states are declared with `define_state_machine!`"
)]
pub trait MachineState: Sized + 'static {
    /// The machine that it is a state of.
    type Machine: StateMachine;
    /// The state's name, as it stands in the log.
    const NAME: &'static str;
}

/// An edge from `Self` to `To` that an event `P` takes.
///
/// Only [`define_state_machine!`](crate::define_state_machine) declares edges. Where a transition
/// is made of an `impl` written by hand, that is an error at compile time:
///
/// ```compile_fail
/// # use annals_core::*;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Paid;
/// # impl EventPayload for Paid { const KIND: EventKind = EventKind::new(1, 3); }
/// # define_state_machine! {
/// #     machine invoice { states { Open, Settled } edges { Open -> Settled: Paid } }
/// # }
/// impl Edge<invoice::Open, Paid> for invoice::Settled {}
/// Transition::<invoice::Settled, invoice::Open, _>::new(Paid);
/// ```
#[diagnostic::on_unimplemented(
    message = "no edge leads from `{Self}` to `{To}` with `{P}`",
    label = "this edge is not declared",
    note = "edges are declared with `define_state_machine!`"
)]
pub trait Edge<To, P>: MachineState
where
    To: MachineState<Machine = Self::Machine>,
    P: EventPayload,
{
}

/// An edge as data, for drawings and audits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredEdge {
    /// The state that it leaves.
    pub from: &'static str,
    /// The state that it enters.
    pub to: &'static str,
    /// The kind of the event that takes it.
    pub kind: EventKind,
}

/// Whether the machine of `From` declares this edge. At compile time, since states and kinds are
/// constants.
pub(super) const fn is_declared<From, To, P>() -> bool
where
    From: MachineState,
    To: MachineState<Machine = From::Machine>,
    P: EventPayload,
{
    let edges = From::Machine::EDGES;
    let mut i = 0;
    while i < edges.len() {
        let edge = &edges[i];
        if edge.kind.as_u16() == P::KIND.as_u16()
            && is_same(edge.from.as_bytes(), From::NAME.as_bytes())
            && is_same(edge.to.as_bytes(), To::NAME.as_bytes())
        {
            return true;
        }
        i += 1;
    }
    false
}

/// Compares bytes, as `==` can't in a constant.
const fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut i = 0;
    while i < left.len() {
        if left[i] != right[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Declares a state machine: a module that holds one type a state and the type `Machine`.
///
/// The first state is the one that things start in. Each edge names the event that takes it;
/// several states may share an edge with `|`.
///
/// ```
/// use annals_core::{EventKind, EventPayload, StateMachine, Transition, define_state_machine};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Placed {
///     total_cents: u64,
/// }
/// impl EventPayload for Placed {
///     const KIND: EventKind = EventKind::new(1, 1);
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Cancelled;
/// impl EventPayload for Cancelled {
///     const KIND: EventKind = EventKind::new(1, 2);
/// }
///
/// define_state_machine! {
///     /// The life of an order.
///     pub machine order {
///         states {
///             /// Lines are still added.
///             Draft,
///             Open,
///             Closed,
///         }
///         edges {
///             Draft -> Open: Placed,
///             Draft | Open -> Closed: Cancelled,
///         }
///     }
/// }
///
/// let transition = Transition::<order::Draft, order::Open, _>::new(Placed { total_cents: 900 });
/// assert_eq!((transition.from_state(), transition.to_state()), ("Draft", "Open"));
/// assert_eq!(order::Machine::STATES, ["Draft", "Open", "Closed"]);
/// assert_eq!(order::Machine::EDGES.len(), 3);
/// ```
#[macro_export]
macro_rules! define_state_machine {
    (
        $(#[$machine_meta:meta])*
        $vis:vis machine $machine:ident {
            states {
                $(#[$initial_meta:meta])* $initial:ident
                $(, $(#[$state_meta:meta])* $state:ident)* $(,)?
            }
            edges {
                $($($from:ident)|+ -> $to:ident : $payload:ty),* $(,)?
            }
        }
    ) => {
        #[doc = ::core::concat!("The states of the machine `", ::core::stringify!($machine), "`.")]
        #[doc = ""]
        $(#[$machine_meta])*
        $vis mod $machine {
            #[doc = ::core::concat!("The machine `", ::core::stringify!($machine), "` itself.")]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub struct Machine;

            $crate::define_state_machine!(@state $(#[$initial_meta])* $initial);
            $($crate::define_state_machine!(@state $(#[$state_meta])* $state);)*
        }

        impl $crate::StateMachine for $machine::Machine {
            type Initial = $machine::$initial;
            const NAME: &'static str = ::core::stringify!($machine);
            const STATES: &'static [&'static str] = &[
                ::core::stringify!($initial),
                $(::core::stringify!($state),)*
            ];
            const EDGES: &'static [$crate::DeclaredEdge] = &[
                $($($crate::DeclaredEdge {
                    from: ::core::stringify!($from),
                    to: ::core::stringify!($to),
                    kind: <$payload as $crate::EventPayload>::KIND,
                },)+)*
            ];
        }

        impl $crate::MachineState for $machine::$initial {
            type Machine = $machine::Machine;
            const NAME: &'static str = ::core::stringify!($initial);
        }

        $(impl $crate::MachineState for $machine::$state {
            type Machine = $machine::Machine;
            const NAME: &'static str = ::core::stringify!($state);
        })*

        $($(impl $crate::Edge<$machine::$to, $payload> for $machine::$from {})+)*
    };

    (@state $(#[$meta:meta])* $state:ident) => {
        #[doc = ::core::concat!("The state `", ::core::stringify!($state), "`.")]
        #[doc = ""]
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $state;
    };
}

/// Declares a struct whose state is part of its type.
///
/// It gets `new` in the machine's first state, `restore` in any state (for what is read back from
/// the log), `state_name`, and `advance`, which goes along a declared edge and gives the
/// transition to append.
///
/// ```
/// use annals_core::{EventKind, EventPayload, define_state_machine, define_typestate};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Opened;
/// impl EventPayload for Opened {
///     const KIND: EventKind = EventKind::new(2, 1);
/// }
///
/// define_state_machine! {
///     machine door {
///         states { Closed, Open }
///         edges { Closed -> Open: Opened }
///     }
/// }
///
/// define_typestate! {
///     /// A door of the building.
///     #[derive(Debug)]
///     struct Door in door {
///         /// The room behind it.
///         room: String,
///     }
/// }
///
/// impl Door<door::Open> {
///     fn enter(&self) -> &str {
///         &self.room
///     }
/// }
///
/// let closed = Door::new("archive".into());
/// let (open, transition) = closed.advance::<door::Open, _>(Opened);
/// assert_eq!(transition.to_state(), open.state_name());
/// assert_eq!(open.enter(), "archive");
/// ```
///
/// What only an open door can do does not compile for a closed one:
///
/// ```compile_fail
/// # use annals_core::{EventKind, EventPayload, define_state_machine, define_typestate};
/// # define_state_machine! { machine door { states { Closed, Open } edges {} } }
/// # define_typestate! { struct Door in door { room: String } }
/// # impl Door<door::Open> { fn enter(&self) -> &str { &self.room } }
/// Door::new("archive".into()).enter();
/// ```
#[macro_export]
macro_rules! define_typestate {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident in $($machine:ident)::+ {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $ty:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name<S>
        where
            S: $crate::MachineState<Machine = $($machine)::+::Machine>,
        {
            $($(#[$field_meta])* $field_vis $field: $ty,)*
            __state: ::core::marker::PhantomData<S>,
        }

        impl $name<<$($machine)::+::Machine as $crate::StateMachine>::Initial> {
            /// A new one, in the machine's first state.
            #[allow(dead_code, clippy::too_many_arguments)]
            $vis fn new($($field: $ty),*) -> Self {
                Self::restore($($field),*)
            }
        }

        impl<S> $name<S>
        where
            S: $crate::MachineState<Machine = $($machine)::+::Machine>,
        {
            /// One that is known to be in this state, because the log says so.
            #[allow(dead_code, clippy::too_many_arguments)]
            $vis fn restore($($field: $ty),*) -> Self {
                Self { $($field,)* __state: ::core::marker::PhantomData }
            }

            /// The name of the state that it is in.
            #[allow(dead_code)]
            $vis fn state_name(&self) -> &'static str {
                <S as $crate::MachineState>::NAME
            }

            /// Goes along a declared edge, and gives the transition to append. If the append
            /// fails, drop what this returned and read the thing from the log again.
            #[allow(dead_code)]
            $vis fn advance<To, P>(self, payload: P) -> ($name<To>, $crate::Transition<S, To, P>)
            where
                S: $crate::Edge<To, P>,
                To: $crate::MachineState<Machine = $($machine)::+::Machine>,
                P: $crate::EventPayload,
            {
                ($name::restore($(self.$field),*), $crate::Transition::new(payload))
            }
        }
    };
}
