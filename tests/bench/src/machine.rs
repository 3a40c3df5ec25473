//! The facts about a machine that figures depend on, and none that name it.

use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Debug, serde::Serialize)]
pub struct Facts {
    /// What made the figures.
    pub command: String,
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    pub file_system: String,
    /// The compiler, or the browser that it ran in.
    pub made_with: String,
}

impl Facts {
    /// `dir` is on the disk that was measured.
    pub fn gather(dir: &Path) -> Self {
        Facts {
            command: command(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.into()),
            kernel: kernel(),
            file_system: file_system(dir).unwrap_or_else(|| "unknown".into()),
            made_with: rustc().unwrap_or_else(|| "rustc".into()),
        }
    }
}

/// The command without what says where this machine keeps its files.
fn command() -> String {
    let mut words = vec!["cargo xtask bench --".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--dir" || argument == "--out" {
            arguments.next();
        } else if !argument.starts_with("--dir=") && !argument.starts_with("--out=") {
            words.push(argument);
        }
    }
    words.push("--out docs/benchmarks".to_owned());
    words.join(" ")
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The version's numbers only: what comes behind them may name a provider.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let numbers = |part: &char| part.is_ascii_digit() || *part == '.';
    format!("{} {}", std::env::consts::OS, release.chars().take_while(numbers).collect::<String>())
}

/// The type of the file system that holds `dir`: that of the longest mount point above it.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(point, _)| dir.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}
