//! The compiler for wasm: the active one with its target added, else Debian's.
//!
//! A step asks for a [`WasmToolchain`] and gets commands that are set up to use it. Which
//! one it is makes no difference to the step.

use std::path::PathBuf;
use std::process::Command;

use crate::context::{Context, WasmToolchainChoice};
use crate::error::{Result, XtaskError};
use crate::install::{debian_sysroot, rustup_target};
use crate::process;
use crate::versions::{NO_STD_TARGET, WASM_TARGET};

#[derive(Debug)]
pub(crate) enum WasmToolchain {
    /// The compiler that builds the rest of the workspace.
    Active,
    /// Debian's, through the folder that `debian_sysroot` made.
    Debian { sysroot: PathBuf },
}

impl WasmToolchain {
    pub(crate) fn ensure(context: &Context) -> Result<Self> {
        if ensure_target(context, WASM_TARGET)? {
            return Ok(Self::Active);
        }
        let sysroot = debian_sysroot::ensure(context)?;
        println!("Compiling for {WASM_TARGET} with Debian's compiler");
        Ok(Self::Debian { sysroot })
    }

    /// A command that finds this compiler first, and then the tools in the cache.
    pub(crate) fn command(&self, context: &Context, program: &str) -> Command {
        let mut folders = Vec::new();
        if let Self::Debian { sysroot } = self {
            folders.push(sysroot.join("bin"));
        }
        folders.push(context.tools().join("bin"));
        let path = process::path_with(&folders);
        let mut command = Command::new(program);
        command.current_dir(context.root()).env("PATH", path);
        if matches!(self, Self::Debian { .. }) {
            command
                .env("RUSTUP_TOOLCHAIN", debian_sysroot::TOOLCHAIN)
                .env_remove("LD_LIBRARY_PATH");
        }
        command
    }
}

/// Puts in place what [`no_std_build`] needs. Whether the active compiler has it.
pub(crate) fn ensure_no_std(context: &Context) -> Result<bool> {
    let _lock = context.lock_installs()?;
    let is_active = ensure_target(context, NO_STD_TARGET)?;
    if !is_active {
        debian_sysroot::ensure_packages()?;
    }
    Ok(is_active)
}

/// `cargo build` for a target that has no standard library at all.
pub(crate) fn no_std_build(context: &Context) -> Result<Command> {
    let is_active = ensure_no_std(context)?;
    let mut command =
        if is_active { process::cargo() } else { debian_sysroot::cargo_with_source() };
    command.current_dir(context.root()).args(["build", "--target", NO_STD_TARGET]);
    if !is_active {
        command.args(["-Z", "build-std=core,alloc"]);
    }
    Ok(command)
}

/// Whether the active compiler builds for `target`, as far as the user's choice allows it.
fn ensure_target(context: &Context, target: &str) -> Result<bool> {
    if context.wasm_toolchain == WasmToolchainChoice::Debian {
        return Ok(false);
    }
    let is_installed = rustup_target::ensure(context, target)?;
    if !is_installed && context.wasm_toolchain == WasmToolchainChoice::Rustup {
        return Err(XtaskError::ToolMissing {
            what: format!("the Rust standard library for {target}"),
            remedy: format!("run `rustup target add {target}`"),
        });
    }
    Ok(is_installed)
}
