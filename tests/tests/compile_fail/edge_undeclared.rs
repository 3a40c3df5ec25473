//! Only declared edges make transitions.

include!("order.in");

fn main() {
    let _ = annals_core::Transition::<order::Done, order::Open, _>::new(Paid);
}
