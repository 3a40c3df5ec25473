//! `cargo xtask release`: the checklist of a release, and the checks of it that are of use alone:
//! `cargo xtask msrv` and `cargo xtask minimal-versions`.
//!
//! It publishes nothing and changes no file of the repository. A check whose tool is not there is
//! skipped and says how to get it; what is left for a person is said at the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::context::Context;
use crate::error::{Result, XtaskError, with_causes};
use crate::process::{self, capture, cargo, find, run as run_command};
use crate::report::{Counts, Ending, Entry, summary};

/// What is published, each behind what it needs.
const PUBLISHED: &[&str] =
    &["annals-core", "annals-derive", "annals-cache-heed", "annals", "annals-opfs", "annals-cli"];
/// Compiles for browsers only.
const BROWSER_ONLY: &str = "annals-opfs";

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Check, and don't say how to publish
    #[arg(long)]
    dry_run: bool,
}

struct Check {
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Ending>,
}

const CHECKS: &[Check] = &[
    Check { name: "clean", about: "everything is committed", run: clean },
    Check { name: "locks", about: "the lock file of every workspace fits", run: locks },
    Check {
        name: "changelog",
        about: "the changelog has a section of this version",
        run: changelog,
    },
    Check { name: "packages", about: "every package is whole, in order", run: packages },
    Check { name: "deny", about: "licences, advisories, bans", run: deny },
    Check { name: "msrv", about: "the oldest compiler that is promised", run: msrv },
    Check { name: "minimal", about: "the oldest dependencies that are promised", run: minimal },
    Check { name: "semver", about: "nothing public has broken", run: semver },
    Check { name: "examples", about: "examples with a workspace of their own", run: examples },
    Check { name: "npm", about: "what the npm package holds", run: npm },
];

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    let is_good = run_checks(context, CHECKS);
    println!("\nLeft for a person: `cargo xtask test` on every platform; `cargo xtask bench`;");
    println!("docs/FORMAT.md and a golden store, if bytes have changed; a tag; the npm package.");
    if !options.dry_run && is_good {
        println!("\nThen, in this order:");
        for package in PUBLISHED {
            println!("  cargo publish -p {package}");
        }
        println!("  cd web && npm publish");
    }
    Ok(is_good)
}

/// One check alone, by its name.
pub(crate) fn run_one(context: &Context, name: &str) -> Result<bool> {
    let position = CHECKS.iter().position(|check| check.name == name);
    Ok(position.is_some_and(|position| run_checks(context, &CHECKS[position..=position])))
}

fn run_checks(context: &Context, checks: &[Check]) -> bool {
    let mut entries = Vec::new();
    for check in checks {
        println!("\n==== {}: {}", check.name, check.about);
        let started = Instant::now();
        let ending = (check.run)(context).unwrap_or_else(|error| {
            println!("{} FAILED: {}", check.name, with_causes(&error));
            Ending::Failed(with_causes(&error))
        });
        let (duration, counts) = (started.elapsed(), Counts::default());
        entries.push(Entry { step: check.name, ending, duration, counts });
    }
    println!("\n==== summary");
    print!("{}", summary(&entries));
    !entries.iter().any(|entry| matches!(entry.ending, Ending::Failed(_)))
}

fn clean(context: &Context) -> Result<Ending> {
    let changes = capture(git(context).args(["status", "--porcelain"]))?;
    Ok(match changes.lines().count() {
        0 => Ending::Passed,
        files => Ending::Failed(format!("{files} files are not committed")),
    })
}

fn locks(context: &Context) -> Result<Ending> {
    // A dependency of a crate is one of the other workspaces too, which no build of this one looks at.
    let files = capture(git(context).args(["ls-files", "--", "Cargo.lock", "*/Cargo.lock"]))?;
    for file in files.lines() {
        let manifest = Path::new(file).with_file_name("Cargo.toml");
        let mut metadata = cargo();
        metadata.current_dir(context.root()).args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
        ]);
        if capture(metadata.arg("--manifest-path").arg(&manifest)).is_err() {
            let remedy = format!("cargo update --workspace --manifest-path {}", manifest.display());
            return Ok(Ending::Failed(format!("{file} does not fit: `{remedy}`, and commit it")));
        }
    }
    Ok(Ending::Passed)
}

fn changelog(context: &Context) -> Result<Ending> {
    let path = context.root().join("CHANGELOG.md");
    let text = std::fs::read_to_string(&path).map_err(XtaskError::file("read", &path))?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(if has_section(&text, version) {
        Ending::Passed
    } else {
        Ending::Skipped(format!("{version} has no section yet: name \"Unreleased\" so on the day"))
    })
}

/// Whether a changelog says something about a version.
fn has_section(changelog: &str, version: &str) -> bool {
    let mut sections = changelog.split("\n## ").skip(1);
    let section = sections.find(|section| {
        let title = section.lines().next().unwrap_or_default();
        title.trim_start_matches('[').split([' ', ']']).next() == Some(version)
    });
    section.is_some_and(|section| section.lines().any(|line| line.starts_with("- ")))
}

fn packages(context: &Context) -> Result<Ending> {
    // They need each other in versions that no registry has yet: packaged in one call, cargo takes
    // each from where it has put it. What compiles for browsers only can't be verified here.
    let package = |arguments: &[&str]| {
        let mut command = cargo();
        command.current_dir(context.root()).args(["package", "--locked", "--allow-dirty"]);
        command.args(arguments);
        for package in PUBLISHED {
            if *package != BROWSER_ONLY || arguments.contains(&"--no-verify") {
                command.args(["--package", package]);
            }
        }
        run_command(&mut command)
    };
    package(&["--no-verify"])?;
    package(&[])?;
    Ok(Ending::Passed)
}

fn deny(context: &Context) -> Result<Ending> {
    if capture(cargo().args(["deny", "--version"])).is_err() {
        return Ok(missing("cargo-deny", "cargo install cargo-deny --locked"));
    }
    let deny = |options: &[&str], checks: &[&str]| {
        let mut command = cargo();
        command.current_dir(context.root()).args(["deny", "--locked"]).args(options);
        run_command(command.arg("check").args(checks))
    };
    deny(&[], &["bans", "licenses", "sources"])?;
    // Where the database of advisories can't be fetched, the last copy of it still tells most.
    if let Err(error) = deny(&[], &["advisories"]) {
        println!("With the copy that is here, if there is one:");
        deny(&["--offline"], &["advisories"]).map_err(|_| error)?;
    }
    Ok(Ending::Passed)
}

fn msrv(context: &Context) -> Result<Ending> {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let install = format!("rustup toolchain install {version} --profile minimal");
    let Some(rustup) = find(&["rustup"]) else { return Ok(missing("rustup", &install)) };
    let toolchains = capture(Command::new(&rustup).args(["toolchain", "list"]))?;
    if !toolchains.lines().any(|line| line.starts_with(version)) {
        return Ok(missing(&format!("Rust {version}"), &install));
    }
    let mut command = Command::new(rustup);
    command.current_dir(context.root()).args(["run", version, "cargo", "check", "--locked"]);
    // A folder of its own: compilers don't share what they have built.
    command.env("CARGO_TARGET_DIR", context.root().join("target/msrv"));
    command.args(["--features", "annals/derive,annals/redb,annals/heed"]);
    run_command(native_packages(&mut command))?;
    Ok(Ending::Passed)
}

fn minimal(context: &Context) -> Result<Ending> {
    // In a clone, so that the lock file stays as it is.
    let clone = fresh_clone(context)?;
    // Resolving so is not stable yet. Only the resolver is asked: what is built is built as ever.
    let mut update = cargo();
    update.current_dir(&clone).args(["update", "-Zdirect-minimal-versions"]);
    run_command(update.env("RUSTC_BOOTSTRAP", "1"))?;
    let mut check = cargo();
    check.current_dir(&clone).args(["check", "--locked"]);
    check.env("CARGO_TARGET_DIR", context.root().join("target/minimal-versions"));
    run_command(native_packages(&mut check))?;
    Ok(Ending::Passed)
}

/// What is committed, in a folder below `target`.
fn fresh_clone(context: &Context) -> Result<PathBuf> {
    let clone = context.root().join("target/minimal-versions-source");
    if clone.exists() {
        std::fs::remove_dir_all(&clone).map_err(XtaskError::file("remove", &clone))?;
    }
    run_command(git(context).args(["clone", "--quiet", "."]).arg(&clone))?;
    Ok(clone)
}

fn semver(context: &Context) -> Result<Ending> {
    let tags = capture(git(context).args(["tag", "--list", "v*"]))?;
    if tags.is_empty() {
        return Ok(Ending::Skipped("nothing is released yet, so nothing can break".to_owned()));
    }
    if capture(cargo().args(["semver-checks", "--version"])).is_err() {
        let install = "cargo install cargo-semver-checks --locked";
        return Ok(missing("cargo-semver-checks", install));
    }
    let mut command = cargo();
    command.current_dir(context.root()).arg("semver-checks");
    for package in ["annals-core", "annals"] {
        command.args(["--package", package]);
    }
    run_command(&mut command)?;
    Ok(Ending::Passed)
}

fn examples(context: &Context) -> Result<Ending> {
    let manifest = context.root().join("examples/axum/Cargo.toml");
    let mut command = cargo();
    command.args(["test", "--locked", "--manifest-path"]).arg(manifest);
    run_command(command.env("CARGO_TARGET_DIR", context.root().join("target/examples-axum")))?;
    Ok(Ending::Passed)
}

fn npm(context: &Context) -> Result<Ending> {
    let web = context.root().join("web");
    if !web.join("dist").exists() {
        return Ok(missing("the npm package, built,", "cargo xtask test --only web"));
    }
    run_command(&mut process::npm(&web, &["pack", "--dry-run"]))?;
    Ok(Ending::Passed)
}

/// All that is published and compiles here.
fn native_packages(command: &mut Command) -> &mut Command {
    for package in PUBLISHED.iter().filter(|package| **package != BROWSER_ONLY) {
        command.args(["--package", package]);
    }
    command
}

fn git(context: &Context) -> Command {
    let mut command = Command::new("git");
    command.current_dir(context.root());
    command
}

fn missing(what: &str, remedy: &str) -> Ending {
    Ending::Skipped(format!("{what} is not here: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_has_a_section_only_where_it_says_something() {
        let text =
            "# Changelog\n\n## Unreleased\n\n- x\n\n## [0.2.0] - 2026-01-01\n\n- y\n\n## 0.1.0\n";
        assert!(has_section(text, "0.2.0"));
        assert!(!has_section(text, "0.1.0"), "an empty section");
        assert!(!has_section(text, "0.2"));
    }

    #[test]
    fn every_crate_that_may_be_published_is_and_each_comes_behind_what_it_needs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let metadata = capture(cargo().current_dir(root).args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--locked",
        ]))
        .unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let mut publishable = Vec::new();
        for package in metadata["packages"].as_array().unwrap() {
            let name = package["name"].as_str().unwrap();
            if !package["publish"].is_null() {
                continue;
            }
            publishable.push(name.to_owned());
            let place = |name: &str| PUBLISHED.iter().position(|published| *published == name);
            let own = place(name);
            for dependency in package["dependencies"].as_array().unwrap() {
                let is_dev = dependency["kind"] == "dev";
                let needed = place(dependency["name"].as_str().unwrap());
                assert!(is_dev || needed.is_none() || needed < own, "{name}: {dependency}");
            }
            for field in ["description", "license", "readme"] {
                assert!(package[field].is_string(), "{name} has no {field}");
            }
        }
        publishable.sort();
        let mut published: Vec<&str> = PUBLISHED.into();
        published.sort_unstable();
        assert_eq!(publishable, published);
    }
}
