//! Only declared states are states.

include!("order.in");

struct Lost;

annals_core::define_typestate! {
    struct Order in order {}
}

fn lose(_: Order<Lost>) {}

fn main() {}
