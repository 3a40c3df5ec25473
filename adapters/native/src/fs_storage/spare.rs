//! The spare segment: a zero-filled file made ahead by a thread, which `create` takes over
//! by renaming it.
//!
//! The zeros are written, not only reserved, and synced: appending over reserved but
//! unwritten blocks would change metadata after all. The thread starts with the first
//! request, makes one spare a request, stops between two pieces, and is joined on drop,
//! which leaves no spare behind. Any failure means that there is no spare, nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use super::positioned;

/// At most one spare file, and the thread that fills it.
pub(super) struct Spare {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spare {
    /// Will keep its spare at `path`, `len` bytes long; makes nothing yet.
    pub(super) fn new(path: PathBuf, len: u64) -> Self {
        let shared = Shared { path, len, state: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Has a spare made if there is none, or gives up the one there is.
    pub(super) fn request(&self, wanted: bool) {
        let mut state = self.shared.state.lock();
        state.wanted = wanted;
        if wanted {
            drop(state);
            self.start_thread();
            self.shared.changed.notify_one();
        } else if state.ready.take().is_some() {
            self.shared.remove_file();
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.shared.state.lock().ready.is_some()
    }

    /// Renames the finished spare to `target`, which must not exist, and returns it open;
    /// `None` if there is none or it can't be renamed.
    pub(super) fn take_over(&self, target: &Path) -> Option<File> {
        // The lock is held while renaming, so that the thread can't begin another spare
        // under the same name meanwhile.
        let mut state = self.shared.state.lock();
        let file = state.ready.take()?;
        state.wanted = false;
        match fs::rename(&self.shared.path, target) {
            Ok(()) => Some(file),
            Err(error) => {
                tracing::debug!(%error, "the spare segment can't be renamed");
                self.shared.remove_file();
                None
            }
        }
    }

    fn start_thread(&self) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        match thread::Builder::new().name("annals-spare".into()).spawn(move || shared.run()) {
            Ok(handle) => *thread = Some(handle),
            Err(error) => tracing::debug!(%error, "no thread for spare segments"),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.get_mut().take() {
            // The thread has nothing to report; if it panicked, there is no spare.
            let _ = thread.join();
        }
        if self.shared.state.lock().ready.take().is_some() {
            self.shared.remove_file();
        }
    }
}

/// What the thread and its owner share.
struct Shared {
    path: PathBuf,
    len: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    stopped: bool,
    ready: Option<File>,
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            while !state.stopped && (!state.wanted || state.ready.is_some()) {
                self.changed.wait(&mut state);
            }
            if state.stopped {
                return;
            }
            drop(state);
            let filled = self.fill();
            state = self.state.lock();
            match filled {
                Ok(Some(file)) if state.wanted && !state.stopped => state.ready = Some(file),
                Ok(_) => self.remove_file(),
                Err(error) => {
                    tracing::debug!(%error, len = self.len, "no spare segment");
                    self.remove_file();
                    state.wanted = false;
                }
            }
        }
    }

    /// Writes a file full of zeros and syncs it; `None` if it was no longer wanted.
    fn fill(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        // An impossible length fails here, before anything is written.
        file.set_len(self.len)?;
        let zeros = vec![0; PIECE_LEN];
        let mut offset = 0;
        while offset < self.len {
            let state = self.state.lock();
            if state.stopped || !state.wanted {
                return Ok(None);
            }
            drop(state);
            let rest = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
            let piece = &zeros[..rest.min(PIECE_LEN)];
            positioned::write_all_at(&file, piece, offset)?;
            // Little by little, so that the syncs of appends don't queue behind one big one.
            file.sync_data()?;
            offset += piece.len() as u64;
        }
        file.sync_all()?;
        Ok(Some(file))
    }

    fn remove_file(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the spare segment can't be removed");
        }
    }
}

const PIECE_LEN: usize = 1 << 20;
