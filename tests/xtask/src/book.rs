//! `cargo xtask book`: builds the pages of `docs/` as a book. Its examples are compiled and its
//! links are checked by `cargo xtask test`, which does not need mdBook for that.

use std::process::Command;

use crate::context::Context;
use crate::error::Result;
use crate::install::cargo_tools::CargoTool;
use crate::process::run as run_command;
use crate::versions;

pub(crate) fn run(context: &Context) -> Result<bool> {
    let mdbook = CargoTool {
        package: "mdbook",
        program: "mdbook",
        version: versions::MDBOOK.to_owned(),
        // Without its server and its watcher.
        default_features: false,
    };
    mdbook.ensure(context)?;
    let program = context.tools().join("bin").join(mdbook.program);
    run_command(Command::new(program).arg("build").arg(context.root().join("docs")))?;
    println!("The book: {}", context.root().join("target/book/index.html").display());
    Ok(true)
}
