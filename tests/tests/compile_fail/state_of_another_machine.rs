//! A state of one machine is no state of another, even under the same name.

include!("order.in");

define_state_machine! {
    machine ticket {
        states { Open, Done }
        edges { Open -> Done: Paid }
    }
}

fn main() {
    let _ = annals_core::Transition::<order::Open, ticket::Done, _>::new(Paid);
}
