//! `cargo xtask setup`: installs what `test` needs and runs nothing.

use crate::context::Context;
use crate::error::Result;
use crate::install::rustup_target;
use crate::steps;
use crate::versions::{NO_STD_TARGET, WASM_TARGET};
use crate::wasm_toolchain;

pub(crate) fn run(context: &Context) -> Result<bool> {
    println!("Tools go into {}", context.cache().display());
    for target in [NO_STD_TARGET, WASM_TARGET] {
        rustup_target::forget_failure(context, target)?;
    }
    wasm_toolchain::ensure_no_std(context)?;
    steps::ensure_wasm(context)?;
    println!("Everything that `cargo xtask test` needs is in place");
    Ok(true)
}
