//! A batch that waits for a commit, and the answer it gets.

use crate::store::sync::{AtomicBool, Mutex, Ordering, Thread, current, park};
use annals_core::{Append, AppendCondition, AppendReceipt, Batch, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Poll, Waker};

/// What a commit answers.
pub(crate) type Answer = Result<Vec<AppendReceipt>, StoreError>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Request {
    batch: Batch,
    done: AtomicBool,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Option<Answer>,
    waiting: Option<Waiting>,
}

/// Who is told when the answer is there.
#[derive(Debug)]
enum Waiting {
    Thread(Thread),
    Task(Waker),
}

impl Request {
    pub(crate) fn new(batch: Batch) -> Self {
        Request { batch, done: AtomicBool::new(false), slot: Mutex::default() }
    }

    pub(crate) fn batch_ref(&self) -> (&[Append], Option<&AppendCondition>) {
        (self.batch.items(), self.batch.condition())
    }

    /// Notes that this thread parks for the answer.
    pub(crate) fn wait_here(&self) {
        self.slot.lock().waiting = Some(Waiting::Thread(current()));
    }

    /// Whether a thread waits, which can lead the next commit.
    pub(crate) fn wake_to_lead(&self) -> bool {
        match &self.slot.lock().waiting {
            Some(Waiting::Thread(thread)) => {
                thread.unpark();
                true
            }
            Some(Waiting::Task(_)) | None => false,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Answers a thread, or nobody yet, and gives the answer to a task back: its waker is a
    /// stranger's code, which must not run while the writer is held.
    pub(crate) fn answer_thread(&self, answer: Answer) -> Result<(), Answer> {
        let mut slot = self.slot.lock();
        if let Some(Waiting::Task(_)) = slot.waiting {
            return Err(answer);
        }
        slot.answer = Some(answer);
        self.done.store(true, Ordering::Release);
        let waiting = slot.waiting.take();
        drop(slot);
        if let Some(Waiting::Thread(thread)) = waiting {
            thread.unpark();
        }
        Ok(())
    }

    pub(crate) fn answer(&self, answer: Answer) {
        let mut slot = self.slot.lock();
        slot.answer = Some(answer);
        self.done.store(true, Ordering::Release);
        let waiting = slot.waiting.take();
        drop(slot);
        // A waker is the caller's code: others wait for their answers behind it.
        let told = catch_unwind(AssertUnwindSafe(|| match waiting {
            Some(Waiting::Thread(thread)) => thread.unpark(),
            Some(Waiting::Task(waker)) => waker.wake(),
            None => {}
        }));
        if told.is_err() {
            tracing::error!("the waker of a ticket panicked");
        }
    }

    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Answer> {
        if self.is_done() { self.slot.lock().answer.take() } else { None }
    }

    /// Parks until the answer is there.
    pub(crate) fn wait(&self) -> Answer {
        self.wait_here();
        loop {
            if let Some(answer) = self.take() {
                return answer;
            }
            park();
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Answer> {
        let mut slot = self.slot.lock();
        match slot.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.waiting = Some(Waiting::Task(waker.clone()));
                Poll::Pending
            }
        }
    }
}
