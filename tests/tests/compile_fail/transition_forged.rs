//! A transition can't be written by hand.

include!("order.in");

fn main() {
    let edge = std::marker::PhantomData::<fn() -> (order::Done, order::Open)>;
    let _ = annals_core::Transition { payload: Paid, edge };
}
