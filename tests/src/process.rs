//! Real processes for the tests: a test executable that runs itself again as another role.
//!
//! A child is the same executable, told by the test harness to run one test only, and by an
//! environment variable which role that test plays. It speaks in lines on its standard output;
//! the harness writes there too, so every line of ours has a prefix.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// Says which role a test plays when it runs in a child; unset in the tests themselves.
const ROLE: &str = "ANNALS_TEST_ROLE";

/// What our lines begin with.
const PREFIX: &str = "annals-child ";

/// No test waits longer than this for anything: rather than hang, it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `act` on a thread of its own and fails where it takes longer than [`PATIENCE`].
///
/// # Panics
///
/// If it hangs, or if `act` panics.
pub fn without_hanging<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = done.send(act());
    });
    match wait.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs: no answer for {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it sends before it ends"),
        },
    }
}

/// The role that this process was started for; `None` in the test itself.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Says a line to the parent; `false` where nobody listens any more.
#[must_use]
pub fn say(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{PREFIX}{line}").and_then(|()| out.flush()).is_ok()
}

/// The next line from the parent; `None` where it has ended.
#[must_use]
pub fn hear() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// How to start a child.
#[derive(Debug)]
pub struct Role {
    command: Command,
}

impl Role {
    /// A child that runs the test of this full name in this executable, as `role`.
    ///
    /// # Panics
    ///
    /// If the executable does not know where it is.
    #[must_use]
    pub fn new(test: &str, role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the test's own path"));
        command.args(arguments(test)).env(ROLE, role);
        Self { command }
    }

    /// The same, but no file may grow beyond `blocks` of 512 bytes: what would make one longer
    /// fails as on a full disk.
    ///
    /// # Panics
    ///
    /// If the executable does not know where it is.
    #[cfg(unix)]
    #[must_use]
    pub fn with_file_size_max(test: &str, role: &str, blocks: u64) -> Self {
        let mut command = Command::new("sh");
        // The signal that comes with the error would end the process.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script);
        command.arg(std::env::current_exe().expect("the test's own path"));
        command.args(arguments(test)).env(ROLE, role);
        Self { command }
    }

    /// The same, in a mount namespace of its own, with a file system in memory of `size` (as `mount`
    /// takes it) at `dir`; `None` where this machine lets nobody do that.
    ///
    /// # Panics
    ///
    /// If the executable does not know where it is.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn on_small_disk(
        test: &str,
        role: &str,
        dir: &std::path::Path,
        size: &str,
    ) -> Option<Self> {
        let script = format!("mount -t tmpfs -o size={size} none \"$0\" && exec \"$@\"");
        // As root in a namespace of users, else as root.
        ["-rm", "-m"].into_iter().find_map(|namespaces| {
            let inside = || {
                let mut command = Command::new("unshare");
                command.args([namespaces, "sh", "-c", &script]).arg(dir);
                command
            };
            let tried = inside().arg("true").stderr(Stdio::null()).status();
            tried.is_ok_and(|status| status.success()).then(|| {
                let mut command = inside();
                command.arg(std::env::current_exe().expect("the test's own path"));
                command.args(arguments(test)).env(ROLE, role);
                Self { command }
            })
        })
    }

    /// Sets an environment variable of the child's.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts the child.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn start(mut self) -> RunningChild {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = self.command.spawn().expect("the child starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        RunningChild { child, input, output }
    }
}

fn arguments(test: &str) -> [&str; 5] {
    [test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]
}

/// A child that runs. Dropping it kills it.
#[derive(Debug)]
pub struct RunningChild {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl RunningChild {
    /// The child's next line; `None` where it has ended.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.output.read_line(&mut line) {
                Ok(1..) if !line.ends_with('\n') => return None,
                // The harness does not end its own line before a test's output begins.
                Ok(1..) => {
                    if let Some((_, said)) = line.split_once(PREFIX) {
                        return Some(said.trim_end().to_owned());
                    }
                }
                _ => return None,
            }
        }
    }

    /// Says a line to the child.
    ///
    /// # Panics
    ///
    /// If the child has ended.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("piped");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the child listens");
    }

    /// Ends the child as `kill -9` does, and returns what it still had said.
    ///
    /// # Panics
    ///
    /// If it can't be killed.
    pub fn kill(&mut self) -> Vec<String> {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("it has ended");
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Waits for the child's own end.
    ///
    /// # Panics
    ///
    /// If the child failed.
    pub fn finish(mut self) {
        self.input = None;
        while self.hear().is_some() {}
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "the child failed: {status}");
    }
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
