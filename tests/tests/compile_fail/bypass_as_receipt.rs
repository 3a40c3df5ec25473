//! A bypass does not pass for a receipt.

use annals_core::{BypassReceipt, Pipeline};

fn commit(pipeline: &Pipeline<()>, bypass: BypassReceipt<u8>) {
    let _ = pipeline.commit(bypass, |_| Ok::<_, ()>(()));
}

fn main() {}
