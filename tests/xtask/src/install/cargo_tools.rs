//! Commands from crates.io, built with `cargo install` into the cache folder, so that the
//! user's own `~/.cargo/bin` stays as it is.

use std::process::Command;

use crate::context::Context;
use crate::error::Result;
use crate::process;
use crate::versions;

/// A command, the package it comes from and the version that it must have.
#[derive(Debug)]
pub(crate) struct CargoTool {
    pub(crate) package: &'static str,
    pub(crate) program: &'static str,
    pub(crate) version: String,
    /// Whether what the package has besides its main job is built too.
    pub(crate) default_features: bool,
}

impl CargoTool {
    /// Everything that `wasm-pack test` needs.
    pub(crate) fn all(context: &Context) -> Result<[Self; 2]> {
        Ok([
            Self {
                package: "wasm-pack",
                program: "wasm-pack",
                version: versions::WASM_PACK.to_owned(),
                default_features: true,
            },
            Self {
                package: "wasm-bindgen-cli",
                program: "wasm-bindgen",
                version: versions::wasm_bindgen(context.root())?,
                default_features: true,
            },
        ])
    }

    pub(crate) fn ensure(&self, context: &Context) -> Result<()> {
        if self.is_installed(context) {
            return Ok(());
        }
        println!(
            "Installing {} {} into {}, once (some minutes)",
            self.package,
            self.version,
            context.tools().display()
        );
        // The lock file in a package can name a version that a registry does not have.
        process::run(self.install_command(context).arg("--locked")).or_else(|_| {
            println!("Once more with the newest dependencies instead of the locked ones");
            process::run(&mut self.install_command(context))
        })
    }

    pub(crate) fn is_installed(&self, context: &Context) -> bool {
        let program = context.tools().join("bin").join(self.program);
        process::capture(Command::new(program).arg("--version"))
            .is_ok_and(|text| is_version(&text, &self.version))
    }

    fn install_command(&self, context: &Context) -> Command {
        let mut command = process::cargo();
        command
            .current_dir(context.cache())
            .args(["install", "--quiet", "--force", self.package, "--version", &self.version])
            .arg("--root")
            .arg(context.tools());
        if !self.default_features {
            command.arg("--no-default-features");
        }
        command
    }
}

/// `wasm-pack 0.15.1` is version `0.15.1`, and so is `wasm-bindgen 0.2.130 (a hash)`.
fn is_version(text: &str, version: &str) -> bool {
    text.split_whitespace().nth(1) == Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_counts_only_whole() {
        assert!(is_version("wasm-pack 0.15.1", "0.15.1"));
        assert!(is_version("wasm-bindgen 0.2.130 (1a2b3c)", "0.2.130"));
        assert!(!is_version("wasm-bindgen 0.2.13", "0.2.130"));
        assert!(!is_version("wasm-bindgen 0.2.130", "0.2.13"));
        assert!(!is_version("", "0.2.13"));
    }
}
