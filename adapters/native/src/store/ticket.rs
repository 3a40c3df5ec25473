//! An append that is on its way.

use crate::store::request::Request;
use annals_core::{AppendReceipt, StoreError};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The promise of a receipt: wait for it, look for it, or await it, with any async runtime.
///
/// Dropping a ticket does not take the append back.
#[derive(Debug)]
pub struct Ticket {
    pub(crate) batch: BatchTicket,
}

/// The promise of the receipts of a batch.
#[derive(Debug)]
pub struct BatchTicket {
    pub(crate) request: Arc<Request>,
}

impl Ticket {
    /// Waits until the event is committed.
    ///
    /// # Errors
    ///
    /// Why it was not, as [`Store::append`](crate::Store::append).
    pub fn wait(self) -> Result<AppendReceipt, StoreError> {
        self.batch.wait().map(only)
    }

    /// The receipt if the event is committed; else the ticket again.
    ///
    /// # Errors
    ///
    /// The ticket, while the answer is not there.
    pub fn try_wait(self) -> Result<Result<AppendReceipt, StoreError>, Self> {
        match self.batch.try_wait() {
            Ok(answer) => Ok(answer.map(only)),
            Err(batch) => Err(Ticket { batch }),
        }
    }
}

impl Future for Ticket {
    type Output = Result<AppendReceipt, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.batch.request.poll(context.waker()).map(|answer| answer.map(only))
    }
}

impl BatchTicket {
    /// Waits until the batch is committed.
    ///
    /// # Errors
    ///
    /// Why it was not, as [`Store::append_batch`](crate::Store::append_batch).
    pub fn wait(self) -> Result<Vec<AppendReceipt>, StoreError> {
        self.request.wait()
    }

    /// The receipts if the batch is committed; else the ticket again.
    ///
    /// # Errors
    ///
    /// The ticket, while the answer is not there.
    pub fn try_wait(self) -> Result<Result<Vec<AppendReceipt>, StoreError>, Self> {
        self.request.take().ok_or(self)
    }
}

impl Future for BatchTicket {
    type Output = Result<Vec<AppendReceipt>, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.request.poll(context.waker())
    }
}

fn only(receipts: Vec<AppendReceipt>) -> AppendReceipt {
    receipts.into_iter().next().expect("one receipt for one event")
}
