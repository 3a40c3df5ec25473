//! `cargo xtask instructions`: how many instructions the hot paths take, beside a baseline.
//!
//! Callgrind counts them, so what else the machine does is no matter. What the compiler and the
//! libraries choose their code by does matter, so the baseline names it, and where that differs
//! nothing is compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Result, XtaskError};
use crate::process::{capture, cargo, find, run as run_command};

/// Percent that a path may grow by.
const GROWTH_MAX: f64 = 5.0;
const PACKAGE: &str = "annals-hot-paths";
/// The function of that package within which callgrind counts.
const MEASURED: &str = "annals_hot_paths::measured*";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the counts down as the new baseline
    #[arg(long)]
    update: bool,
}

/// What counts depend on besides the code.
type Facts = BTreeMap<String, String>;
/// Instructions an operation, by path.
type Counts = BTreeMap<String, f64>;

pub(crate) fn run(context: &Context, options: &Options) -> Result<bool> {
    if !options.update {
        return check(context).map(|()| true);
    }
    let (facts, counts) = count(context)?;
    print!("{}", table(&counts, &Counts::new()));
    let path = baseline_path(context);
    let whole: BTreeMap<&String, f64> =
        counts.iter().map(|(path, count)| (path, count.round())).collect();
    let text = format!("{:#}\n", json!({ "facts": facts, "instructions": whole }));
    fs::write(&path, text).map_err(XtaskError::file("write", &path))?;
    println!("Written to {}", path.display());
    Ok(true)
}

/// Fails when a path takes more instructions than the baseline allows; says why where nothing can
/// be compared.
pub(crate) fn check(context: &Context) -> Result<()> {
    let (known_facts, known) = baseline(context)?;
    // Before anything is built: these need no build to be known.
    for (name, here) in [("rustc", rustc()?), ("target", target()?)] {
        same(&known_facts, name, &here)?;
    }
    let (facts, counts) = count(context)?;
    for (name, here) in &facts {
        same(&known_facts, name, here)?;
    }
    print!("{}", table(&counts, &known));
    let grown = grown(&counts, &known);
    if grown.is_empty() { Ok(()) } else { Err(XtaskError::InstructionsGrew { paths: grown }) }
}

fn same(known: &Facts, name: &str, here: &str) -> Result<()> {
    let there = known.get(name).map_or("none", String::as_str);
    if there == here {
        return Ok(());
    }
    let why = format!("the baseline is of {name} {there}, this is {here}");
    Err(XtaskError::StepNotPossible { why })
}

fn count(context: &Context) -> Result<(Facts, Counts)> {
    let valgrind = find(&["valgrind"]).ok_or_else(|| XtaskError::StepNotPossible {
        why: "valgrind is not installed".to_owned(),
    })?;
    let folder = context.root().join("tests/bench");
    run_command(cargo().current_dir(&folder).args([
        "build",
        "--release",
        "--locked",
        "--package",
        PACKAGE,
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    let program = target.join("release").join(PACKAGE);
    let mut facts = Facts::from([
        ("rustc".to_owned(), rustc()?),
        ("target".to_owned(), self::target()?),
        ("libc".to_owned(), capture(Command::new("getconf").arg("GNU_LIBC_VERSION"))?),
    ]);
    let mut counts = Counts::new();
    for path in capture(&mut Command::new(&program))?.lines() {
        let (count, processor) = count_path(&valgrind, &program, path, &target)?;
        counts.insert(path.to_owned(), count);
        facts.insert("processor".to_owned(), processor);
    }
    Ok((facts, counts))
}

/// Instructions an operation, and the processor that callgrind shows.
fn count_path(valgrind: &Path, program: &Path, path: &str, to: &Path) -> Result<(f64, String)> {
    let out = to.join(format!("callgrind.{path}.out"));
    let said = capture(
        Command::new(valgrind)
            .args(["--tool=callgrind", "--collect-atstart=no"])
            .arg(format!("--toggle-collect={MEASURED}"))
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(program)
            .arg(path),
    )?;
    let text = fs::read_to_string(&out).map_err(XtaskError::file("read", &out))?;
    let all = total(&text).unwrap_or(0.0);
    let (operations, processor) = said.trim().split_once(' ').unwrap_or(("0", ""));
    let operations: f64 = operations.parse().unwrap_or(0.0);
    if all < 1.0 || operations < 1.0 {
        let why = format!("callgrind counted nothing for `{path}`: see {}", out.display());
        return Err(XtaskError::NothingCounted { why });
    }
    Ok((all / operations, processor.to_owned()))
}

/// The sum in a file of callgrind's.
fn total(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

fn baseline_path(context: &Context) -> PathBuf {
    context.root().join("tests/bench/instructions.json")
}

fn baseline(context: &Context) -> Result<(Facts, Counts)> {
    let path = baseline_path(context);
    let text = fs::read_to_string(&path).map_err(XtaskError::file("read", &path))?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let of = |name: &str| value[name].as_object().cloned().unwrap_or_default().into_iter();
    let facts = of("facts").map(|(name, fact)| (name, fact.as_str().unwrap_or("").to_owned()));
    let counts = of("instructions").map(|(path, count)| (path, count.as_f64().unwrap_or(0.0)));
    Ok((facts.collect(), counts.collect()))
}

/// The paths that grew too much, in words. One that the baseline does not have has not grown.
fn grown(counts: &Counts, known: &Counts) -> Vec<String> {
    let more = counts.iter().filter_map(|(path, count)| {
        let before = *known.get(path)?;
        let percent = (count / before - 1.0) * 100.0;
        (percent > GROWTH_MAX)
            .then(|| format!("{path} {before:.0} -> {count:.0} (+{percent:.1} %)"))
    });
    more.collect()
}

fn table(counts: &Counts, known: &Counts) -> String {
    let mut text = format!("{:<14} {:>12} {:>12}\n", "path", "instructions", "baseline");
    for (path, count) in counts {
        let before = known.get(path).map_or("-".to_owned(), |before| format!("{before:.0}"));
        text.push_str(&format!("{path:<14} {count:>12.0} {before:>12}\n"));
    }
    text
}

fn rustc() -> Result<String> {
    let text = capture(Command::new("rustc").arg("--version"))?;
    Ok(text.split_whitespace().nth(1).unwrap_or("unknown").to_owned())
}

fn target() -> Result<String> {
    let text = capture(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, f64)]) -> Counts {
        of.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect()
    }

    #[test]
    fn a_path_that_grew_by_more_than_five_percent_is_named() {
        let known = counts(&[("append", 1_000.0), ("get", 1_000.0)]);
        let grown = grown(&counts(&[("append", 1_051.0), ("get", 1_049.0)]), &known);
        assert_eq!(grown, ["append 1000 -> 1051 (+5.1 %)"]);
    }

    #[test]
    fn a_path_that_is_new_or_shrank_has_not_grown() {
        let known = counts(&[("append", 1_000.0)]);
        assert!(grown(&counts(&[("append", 500.0), ("walk", 9.0)]), &known).is_empty());
    }

    #[test]
    fn the_sum_is_read_from_what_callgrind_writes() {
        assert_eq!(total("events: Ir\nfn=(1) main\n5 20\n\ntotals: 12345\n"), Some(12_345.0));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn another_compiler_is_a_reason_not_to_compare() {
        let known = Facts::from([("rustc".to_owned(), "1.95.0".to_owned())]);
        assert!(same(&known, "rustc", "1.95.0").is_ok());
        let error = same(&known, "rustc", "1.96.0").unwrap_err();
        assert_eq!(error.to_string(), "the baseline is of rustc 1.95.0, this is 1.96.0");
    }
}
