//! `cargo xtask doctor`: shows what is there, and how to get what is not.
//!
//! It installs nothing and changes nothing.

use std::process::Command;

use crate::context::Context;
use crate::error::Result;
use crate::install::browser::Browser;
use crate::install::cargo_tools::CargoTool;
use crate::install::{apt, debian_sysroot, rustup_target};
use crate::process::{capture, cargo};
use crate::versions::{NO_STD_TARGET, WASM_TARGET};

pub(crate) fn run(context: &Context) -> Result<bool> {
    show("cache folder", &context.cache().display().to_string());
    show_version("cargo", cargo().arg("--version"), "needed: install Rust");
    show_version("rustc", Command::new("rustc").arg("--version"), "needed: install Rust");
    show_version(
        "cargo-nextest",
        cargo().args(["nextest", "--version"]),
        "absent: cargo test is used instead",
    );
    show_version("rustup", Command::new("rustup").arg("--version"), "absent");
    for target in [WASM_TARGET, NO_STD_TARGET] {
        show(target, &target_state(context, target));
    }
    show("apt as root", if apt::is_available() { "yes" } else { "no" });
    show("Debian's compiler", if debian_sysroot::has_packages() { "there" } else { "absent" });
    let sysroot = if debian_sysroot::is_ready(context) { "built" } else { "not built" };
    show("Debian's wasm std", sysroot);
    for tool in CargoTool::all(context)? {
        let state = if tool.is_installed(context) { "there" } else { "absent, setup builds it" };
        show(tool.package, &format!("{} {state}", tool.version));
    }
    match Browser::find() {
        Some(browser) => {
            let (program, driver) = browser.versions()?;
            show("browser", &program);
            show("driver", &driver);
        }
        None => show("browser", "absent: Chromium or Chrome with its chromedriver is needed"),
    }
    Ok(true)
}

fn target_state(context: &Context, target: &str) -> String {
    if rustup_target::is_installed(context, target) {
        return "there, in the active toolchain".to_owned();
    }
    if rustup_target::failed_before(context, target) {
        return "absent, and rustup could not fetch it (setup tries again)".to_owned();
    }
    "absent, setup tries rustup".to_owned()
}

fn show_version(what: &str, command: &mut Command, otherwise: &str) {
    let text = capture(command).unwrap_or_default();
    show(what, text.lines().next().unwrap_or(otherwise));
}

fn show(what: &str, state: &str) {
    println!("{what:<24} {state}");
}
