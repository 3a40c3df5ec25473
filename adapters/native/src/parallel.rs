//! Proving a store whole on several threads, one segment each at a time.
//!
//! Each thread proves a segment by itself, and what it found is joined in the order of the
//! segments. So the report is the one that [`verify`](annals_core::verify) gives.

use annals_core::{
    Reader, SegmentFindings, Storage, VerifyMerge, VerifyOptions, VerifyProgress, VerifyReport,
    verify_segment,
};
use parking_lot::{Condvar, Mutex};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Proves all that a reader sees, on `jobs` threads.
///
/// The report is the same as that of [`verify`](annals_core::verify). `progress` is called on the
/// calling thread, at each megabyte or so, and stops all threads by answering `Break`.
///
/// # Examples
///
/// ```
/// use annals::{Coordinate, EventKind, Store, VerifyOptions, verify_parallel};
/// use std::num::NonZeroUsize;
/// use std::ops::ControlFlow;
///
/// let store = Store::in_memory()?;
/// store.append(&Coordinate::new("order:5", "shop")?, EventKind::new(1, 1), &"two apples")?;
/// let jobs = NonZeroUsize::new(2).expect("two");
/// let options = VerifyOptions::default();
/// let report = verify_parallel(&store.reader(), &options, jobs, |_| ControlFlow::Continue(()));
/// assert!(report.is_whole());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_parallel<S>(
    reader: &Reader<S>,
    options: &VerifyOptions,
    jobs: NonZeroUsize,
    progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
) -> VerifyReport
where
    S: Storage + Send + Sync,
    S::File: Send + Sync,
{
    let jobs = jobs.get().min(reader.segment_count());
    if jobs <= 1 {
        return annals_core::verify(reader, options, progress);
    }
    let crew = Crew { stopped: AtomicBool::new(false), window: Window::new(2 * jobs) };
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        for _ in 0..jobs {
            let (crew, tell) = (&crew, tell.clone());
            scope.spawn(move || crew.prove(reader, options, &tell));
        }
        drop(tell);
        join(reader, &crew, &told, progress)
    })
}

/// What the threads tell the one that joins.
enum Told {
    Bytes(u64),
    Findings(Box<SegmentFindings>),
}

/// What the threads share.
struct Crew {
    stopped: AtomicBool,
    window: Window,
}

impl Crew {
    fn prove<S: Storage>(&self, reader: &Reader<S>, options: &VerifyOptions, tell: &Sender<Told>) {
        while let Some(at) = self.window.take(reader.segment_count()) {
            let findings = verify_segment(reader, at, options, &mut |bytes| {
                // Nobody listens any more only where the joining thread panicked.
                let heard = tell.send(Told::Bytes(bytes));
                match self.stopped.load(Ordering::Relaxed) || heard.is_err() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            if tell.send(Told::Findings(Box::new(findings))).is_err() {
                return;
            }
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.window.close();
    }
}

/// Hands out the segments, and keeps the threads from running far ahead of the joining: findings
/// that wait take memory.
struct Window {
    state: Mutex<WindowState>,
    changed: Condvar,
    width: usize,
}

#[derive(Default)]
struct WindowState {
    next: usize,
    joined: usize,
    closed: bool,
}

impl Window {
    fn new(width: usize) -> Self {
        Window { state: Mutex::default(), changed: Condvar::new(), width }
    }

    fn take(&self, segments: usize) -> Option<usize> {
        let mut state = self.state.lock();
        while !state.closed && state.next < segments && state.next >= state.joined + self.width {
            self.changed.wait(&mut state);
        }
        if state.closed || state.next >= segments {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    fn note_joined(&self, joined: usize) {
        self.state.lock().joined = joined;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Stops the threads when the joining ends, also by a panic of the callback.
struct StopOnDrop<'a>(&'a Crew);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn join<S: Storage>(
    reader: &Reader<S>,
    crew: &Crew,
    told: &Receiver<Told>,
    mut progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
) -> VerifyReport {
    let _stop = StopOnDrop(crew);
    let mut merge = VerifyMerge::new(reader);
    let segments = reader.segment_count() as u64;
    let mut now = VerifyProgress::new(segments, reader.verify_bytes());
    let mut asked = false;
    for told in told {
        match told {
            Told::Bytes(bytes) => now.bytes_done = (now.bytes_done + bytes).min(now.bytes),
            Told::Findings(findings) => {
                merge.add(*findings);
                now.segments_done = (now.segments_done + 1).min(segments);
                crew.window.note_joined(merge.joined_count());
            }
        }
        if !asked && now.segments_done < segments && progress(now).is_break() {
            asked = true;
            merge.stop();
            crew.stop();
        }
    }
    let report = merge.finish();
    if report.complete {
        now.bytes_done = now.bytes;
        // All is done, so there is nothing left to stop.
        let _ = progress(now);
    }
    report
}
