//! Runs the command and looks at what came of it.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory with a store to be, and files beside it.
pub(crate) struct Bench {
    dir: TempDir,
    names_store: bool,
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench { dir: tempfile::tempdir().unwrap(), names_store: true }
    }

    /// A bench whose store holds these events: entity, scope, kind and payload.
    pub(crate) fn with_rows(rows: &str) -> Self {
        let bench = Bench::new();
        bench.import_csv(rows, &[]).done();
        bench
    }

    /// The same bench, whose commands must say which store they mean.
    pub(crate) fn without_store(self) -> Self {
        Bench { names_store: false, ..self }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The command with its store, ready to run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.current_dir(self.dir.path());
        if self.names_store {
            command.env("ANNALS_STORE", self.store());
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
        ran(child.wait_with_output().unwrap())
    }

    /// Imports CSV with the columns `id`, `place`, `what` and `at`.
    pub(crate) fn import_csv(&self, rows: &str, more: &[&str]) -> Ran {
        let file = self.file("rows.csv", rows);
        let mut args = vec!["import", file.to_str().unwrap()];
        args.extend(["--entity", "id", "--scope", "place", "--kind", "what", "--time", "at"]);
        args.extend(more);
        self.run(&args)
    }

    /// The answer of a command with `--json`, as one value.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args).done().out).unwrap()
    }

    /// All events, as `query` tells them.
    pub(crate) fn events(&self, args: &[&str]) -> Vec<Value> {
        let all = [&["query", "--format", "jsonl"], args].concat();
        let out = self.run(&all).done().out;
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Ran {
    /// It must have been done, without a word on stderr but notes.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(!self.err.contains("error:"), "{}", self.err);
        self
    }

    /// It must have failed so, and said all of this on stderr.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        for said in said {
            assert!(self.err.contains(said), "{said:?} is not in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// The command without a store, and with nothing of the caller's environment that it heeds.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.args(args);
    for name in ["ANNALS_STORE", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().expect("no signal ends it"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The real data beside the repository; `None`, said aloud, where it is missing.
pub(crate) fn receipt_csv() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/receipt.csv");
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: the real data is missing: {}", path.display());
    None
}
