//! The steps of `cargo xtask test`, in order. To add one, write a function and add a line
//! to [`STEPS`].
//!
//! A step that can't run what it should run fails; only the user can skip one. `instructions` is
//! the exception: it proves nothing where what it compares with was counted elsewhere.

use std::process::Command;

use crate::context::Context;
use crate::error::{Result, XtaskError};
use crate::install::browser::Browser;
use crate::install::cargo_tools::CargoTool;
use crate::process::{self, cargo, run, run_counted};
use crate::report::Counts;
use crate::versions::WASM_TARGET;
use crate::wasm_toolchain::{WasmToolchain, no_std_build};

/// Seconds that one wasm test binary may take in the browser.
const BROWSER_TIMEOUT_S: u32 = 900;

/// Crates that compile for wasm only, by package name.
const WASM_PACKAGES: &[&str] = &["annals-tests-wasm", "annals-opfs", "annals-web"];
/// Folders of the crates whose tests run in a browser.
const BROWSER_TEST_CRATES: &[&str] = &["tests/wasm", "adapters/opfs"];

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Context, &mut Counts) -> Result<()>,
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "format", about: "rustfmt finds nothing to change", run: format },
    Step { name: "clippy", about: "no lint, also in a core without features", run: clippy },
    Step { name: "native", about: "every test on this machine", run: native },
    Step { name: "doc-tests", about: "every example in the documentation runs", run: doc_tests },
    Step { name: "docs", about: "the documentation builds without a warning", run: docs },
    Step { name: "no-std", about: "the core builds where there is no std", run: no_std },
    Step {
        name: "instructions",
        about: "the hot paths take no more instructions than they did",
        run: instructions,
    },
    Step { name: "wasm", about: "conformance in a browser's dedicated worker", run: wasm },
    Step {
        name: "web",
        about: "the npm package: build, sizes, types, Node, Bun, Deno, tabs, bundlers",
        run: web,
    },
];

fn format(context: &Context, _counts: &mut Counts) -> Result<()> {
    run(cargo().current_dir(context.root()).args(["fmt", "--all", "--check"]))
}

fn clippy(context: &Context, _counts: &mut Counts) -> Result<()> {
    let lint = |packages: &[&str]| {
        run(cargo().current_dir(context.root()).arg("clippy").args(packages).args([
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    };
    lint(&["--workspace"])?;
    lint(&["--package", "annals-core", "--no-default-features"])
}

fn native(context: &Context, counts: &mut Counts) -> Result<()> {
    let mut command = cargo();
    command.current_dir(context.root());
    if has_nextest() {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args(["test", "--workspace", "--tests", "--no-fail-fast"]);
    }
    run_tests(&mut command, counts)
}

fn doc_tests(context: &Context, counts: &mut Counts) -> Result<()> {
    let mut command = cargo();
    command.current_dir(context.root()).args(["test", "--workspace", "--doc", "--no-fail-fast"]);
    run_counted(&mut command, counts)
}

fn docs(context: &Context, _counts: &mut Counts) -> Result<()> {
    // The library `annals` and the command `annals` would write the same pages, and what the
    // command's users read is its --help.
    run(cargo().current_dir(context.root()).env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--no-deps",
        "--workspace",
        "--exclude",
        "annals-cli",
    ]))
}

fn no_std(context: &Context, _counts: &mut Counts) -> Result<()> {
    run(no_std_build(context)?.args(["--package", "annals-core", "--no-default-features"]))
}

fn instructions(context: &Context, _counts: &mut Counts) -> Result<()> {
    crate::instructions::check(context)
}

fn wasm(context: &Context, counts: &mut Counts) -> Result<()> {
    let (toolchain, browser) = ensure_wasm(context)?;
    let mut clippy = toolchain.command(context, "cargo");
    clippy.args(["clippy", "--no-deps", "--target", WASM_TARGET, "--all-targets"]);
    for package in WASM_PACKAGES {
        clippy.args(["--package", package]);
    }
    // A lint must not hide what the tests say.
    let linted = run(clippy.args(["--", "-D", "warnings"]));
    for folder in BROWSER_TEST_CRATES {
        browser.write_webdriver_json(&context.root().join(folder))?;
        let mut test = toolchain.command(context, "wasm-pack");
        test.args(["test", "--headless", "--chrome", "--chromedriver"])
            .arg(&browser.driver)
            .arg(folder)
            .env("WASM_BINDGEN_TEST_TIMEOUT", BROWSER_TIMEOUT_S.to_string());
        run_tests(&mut test, counts)?;
    }
    linted
}

fn web(context: &Context, counts: &mut Counts) -> Result<()> {
    let (_, browser) = ensure_wasm(context)?;
    let folder = context.root().join("web");
    let npm = |arguments: &[&str]| process::npm(&folder, arguments);
    run(&mut npm(&["ci", "--no-fund", "--no-audit"]))?;
    run(&mut npm(&["run", "build"]))?;
    run(&mut npm(&["run", "lint"]))?;
    run(&mut npm(&["run", "typecheck"]))?;
    let tested = run_tests(npm(&["test"]).env("CHROMIUM", &browser.program), counts);
    // Bun and Deno: what can't be had is skipped, and the line of the test says why.
    let tested = tested.and(run_counted(&mut npm(&["run", "test:runtimes"]), counts));
    // As for peers of the bench.
    let mut peers = process::npm(&folder.join("bench"), &["test"]);
    tested.and(run_counted(peers.env("CHROMIUM", &browser.program), counts))
}

/// Puts in place everything that the `wasm` step needs.
pub(crate) fn ensure_wasm(context: &Context) -> Result<(WasmToolchain, Browser)> {
    let _lock = context.lock_installs()?;
    let toolchain = WasmToolchain::ensure(context)?;
    for tool in CargoTool::all(context)? {
        tool.ensure(context)?;
    }
    Ok((toolchain, Browser::ensure()?))
}

/// Runs tests; a run without any test is a failure.
fn run_tests(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let mut own = Counts::default();
    let outcome = run_counted(command, &mut own);
    *counts += own;
    outcome?;
    if own.ran() == 0 {
        return Err(XtaskError::NoTestRan);
    }
    Ok(())
}

fn has_nextest() -> bool {
    process::capture(cargo().args(["nextest", "--version"])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own() {
        for (position, step) in STEPS.iter().enumerate() {
            assert!(STEPS.iter().skip(position + 1).all(|other| other.name != step.name));
        }
    }
}
