//! `cargo xtask miri`: the core's unit tests under Miri, where a nightly compiler has it.
//!
//! The core forbids `unsafe`; what Miri looks at is what it uses.

use std::process::Command;

use crate::context::Context;
use crate::error::{Result, XtaskError};
use crate::process::{capture, run as run_command};

pub(crate) fn run(context: &Context) -> Result<bool> {
    // Not the cargo that runs this: only rustup's own knows `+nightly`.
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(context.root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        command.arg("+nightly").args(arguments);
        command
    };
    if capture(&mut cargo(&["miri", "--version"])).is_err() {
        return Err(XtaskError::ToolMissing {
            what: "Miri".to_owned(),
            remedy: "run `rustup toolchain install nightly --component miri,rust-src`".to_owned(),
        });
    }
    let mut miri = cargo(&["miri", "test", "--package", "annals-core", "--lib"]);
    // Property tests read the clock and files of regressions, and take hours there.
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "2");
    run_command(&mut miri)?;
    Ok(true)
}
