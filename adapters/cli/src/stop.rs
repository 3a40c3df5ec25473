//! Ctrl-C, and SIGTERM and SIGHUP, while a command writes.
//!
//! A command that [listens](listen) is asked to stop and ends at a place where nothing is half
//! done; asked a second time, the process ends at once, which a store survives too. Commands that
//! do not listen are ended by the signal.

use crate::failure::{Code, Failure};
use annals::Cancel;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static CANCEL: LazyLock<Cancel> = LazyLock::new(Cancel::new);

/// From here on a signal asks to stop.
pub(crate) fn listen() {
    // Without a handler the signal ends the process, which is what it did before.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            process::exit(Code::Stopped as i32);
        }
        CANCEL.cancel();
    });
}

/// Whether somebody asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// What is called off when somebody asks to stop, also while it waits.
pub(crate) fn cancel() -> &'static Cancel {
    &CANCEL
}

/// The same for those who show progress.
pub(crate) fn flow() -> ControlFlow<()> {
    if asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The failure of a command that was stopped.
pub(crate) fn stopped(what_is_done: &str) -> Failure {
    Failure::stopped(format!("stopped: {what_is_done}"))
}

/// Stdin, whose reads fail when somebody asks to stop, also while nothing comes.
pub(crate) fn stdin() -> io::Result<impl Read> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(waiting::Stoppable(file))
    }
    #[cfg(not(unix))]
    Ok(io::stdin().lock())
}

#[cfg(unix)]
pub(crate) use waiting::wait_for_closed_stdout;

#[cfg(unix)]
mod waiting {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use std::fs::File;
    use std::io::{self, Read};
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// How long a read waits before it looks whether somebody asked to stop.
    const LOOK_EVERY: Duration = Duration::from_millis(100);

    /// See [`stdin`](super::stdin).
    pub(super) struct Stoppable(pub(super) File);

    impl Read for Stoppable {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            while !super::asked() {
                // What can't be waited for is read as it is.
                if wait_for(&self.0, PollFlags::IN, LOOK_EVERY).unwrap_or(true) {
                    return self.0.read(buffer);
                }
            }
            Err(io::Error::other("stopped"))
        }
    }

    /// Waits for so long, or until nobody can read stdout any more: then it is true.
    pub(crate) fn wait_for_closed_stdout(timeout: Duration) -> bool {
        match wait_for(&io::stdout(), PollFlags::empty(), timeout) {
            Ok(closed) => closed,
            Err(_) => {
                std::thread::sleep(timeout);
                false
            }
        }
    }

    /// Whether the file is ready, or at its end, in time.
    fn wait_for(file: &impl AsFd, flags: PollFlags, timeout: Duration) -> Result<bool, Errno> {
        let timeout = Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(file, flags)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Waits for so long: only a write tells that nobody reads any more.
#[cfg(not(unix))]
pub(crate) fn wait_for_closed_stdout(timeout: std::time::Duration) -> bool {
    std::thread::sleep(timeout);
    false
}
