//! A receipt can't be written by hand.

use annals_core::{GateSet, Receipt};

fn main() {
    let gates = GateSet::<()>::new();
    let _receipt = Receipt { payload: "let me in", issuer: gates.issuer().clone() };
}
