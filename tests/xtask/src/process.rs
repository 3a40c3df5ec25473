//! Child processes: always shown, never with standard input, their output passed on.
//!
//! A command whose output is counted is echoed line by line while it runs, so that a long
//! test run is not silent.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Result, XtaskError};
use crate::report::Counts;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The cargo that runs this xtask.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// The npm that is on the PATH, in a folder.
pub(crate) fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder).args(arguments);
    command
}

/// Runs a command that writes straight to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.stdin(Stdio::null()).status().map_err(not_started(command))?;
    check(command, status)
}

/// Runs a test runner, passes its output on and adds its own counts to `counts`, whether
/// its tests pass or not.
pub(crate) fn run_counted(command: &mut Command, counts: &mut Counts) -> Result<()> {
    announce(command);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = spawn_piped(command)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = thread::scope(|scope| {
        let out = scope.spawn(|| pass_on(out, &mut std::io::stdout()));
        let err = scope.spawn(|| pass_on(err, &mut std::io::stderr()));
        (out.join().unwrap_or_default(), err.join().unwrap_or_default())
    });
    counts.add_from_output(&out);
    counts.add_from_output(&err);
    let status = child.wait().map_err(not_started(command))?;
    check(command, status)
}

/// What a command prints to standard output, without the final line break.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(not_started(command))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Runs a command with its output hidden, and ends it when it takes longer than `limit`.
pub(crate) fn run_hidden_within(command: &mut Command, limit: Duration) -> Result<()> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(not_started(command))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(not_started(command))? {
            return check(command, status);
        }
        if started.elapsed() >= limit {
            child.kill().and_then(|()| child.wait()).map_err(not_started(command))?;
            return Err(XtaskError::CommandTimedOut { command: shown(command), limit });
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The first of `names` that is on the PATH. An absolute path stands for itself.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    names.iter().find_map(|name| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
    })
}

/// The PATH with `folders` before everything else.
pub(crate) fn path_with(folders: &[PathBuf]) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(env::split_paths(&path));
    // A folder with a colon in its name can't be on a PATH: then the PATH stays as it is.
    env::join_paths(all).unwrap_or(path)
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

/// The command as one would type it, without the environment and the folders of programs.
fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut text = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::CommandFailed { command: shown(command), status })
}

fn not_started(command: &Command) -> impl FnOnce(std::io::Error) -> XtaskError + use<> {
    let command = shown(command);
    move |source| XtaskError::CommandNotStarted { command, source }
}

fn spawn_piped(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_started(command))
}

/// Copies line by line and returns the whole text.
fn pass_on(source: Option<impl Read>, target: &mut impl Write) -> String {
    let Some(source) = source else { return String::new() };
    let mut source = BufReader::new(source);
    let (mut text, mut line) = (String::new(), Vec::new());
    while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
        // A closed terminal must not end the tests: the counts still go into the report.
        let _ = target.write_all(&line).and_then(|()| target.flush());
        text.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_the_folder_of_its_program() {
        let mut command = Command::new("/opt/some/where/cargo");
        command.args(["fmt", "--check"]);
        assert_eq!(shown(&command), "cargo fmt --check");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_hangs_is_ended_at_its_limit() {
        let limit = Duration::from_millis(200);
        let error = run_hidden_within(Command::new("sleep").arg("30"), limit).unwrap_err();
        assert!(matches!(error, XtaskError::CommandTimedOut { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn counts_are_kept_when_the_runner_fails() {
        let mut counts = Counts::default();
        let line = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured";
        let script = format!("echo '{line}'; exit 1");
        let error = run_counted(Command::new("sh").args(["-c", &script]), &mut counts);
        assert!(matches!(error, Err(XtaskError::CommandFailed { .. })));
        assert_eq!((counts.passed, counts.failed), (2, 1));
    }
}
