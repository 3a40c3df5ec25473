//! A receipt is spent once.

use annals_core::{Admitted, Pipeline, Receipt};

fn commit_twice(pipeline: &Pipeline<()>, receipt: Receipt<u8>) {
    let _ = pipeline.commit(receipt, |receipt| Ok::<_, ()>(receipt.into_payload()));
    let _ = pipeline.commit(receipt, |receipt| Ok::<_, ()>(receipt.into_payload()));
}

fn main() {}
