//! The ways to receive, the same for everything that follows.

use crate::store::follow::FollowError;
use crate::store::signal::{Registration, Signal, Wake};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Gives what is there, without waiting.
pub(super) trait Pull {
    type Item;

    fn signal(&self) -> &Arc<Signal>;

    /// The next item; `None` where there is none now.
    fn pull(&mut self) -> Result<Option<Self::Item>, FollowError>;

    /// Whether its iterator has come to its end.
    fn ended(&mut self) -> &mut bool;
}

/// The next item, waited for until `deadline`; `None` where it has passed.
pub(super) fn recv<P: Pull>(
    from: &mut P,
    deadline: Option<Instant>,
) -> Result<Option<P::Item>, FollowError> {
    loop {
        let seen = from.signal().seen();
        if let Some(item) = from.pull()? {
            return Ok(Some(item));
        }
        if seen.is_closed() {
            return Err(FollowError::Closed);
        }
        if from.signal().wait(seen, deadline) == Wake::TimedOut {
            return Ok(None);
        }
    }
}

/// The next item that is there now.
pub(super) fn try_recv<P: Pull>(from: &mut P) -> Result<Option<P::Item>, FollowError> {
    let seen = from.signal().seen();
    match from.pull()? {
        None if seen.is_closed() => Err(FollowError::Closed),
        item => Ok(item),
    }
}

/// The next item, for any async runtime. What is not polled to its end has taken nothing.
pub(super) fn recv_async<P: Pull>(
    from: &mut P,
) -> impl Future<Output = Result<P::Item, FollowError>> + Unpin {
    let mut registration = Registration::new(from.signal());
    poll_fn(move |context| {
        loop {
            let seen = from.signal().seen();
            match from.pull() {
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Some(item)) => return Poll::Ready(Ok(item)),
                Ok(None) if seen.is_closed() => return Poll::Ready(Err(FollowError::Closed)),
                Ok(None) => {}
            }
            if registration.poll_moved(seen, context.waker()).is_pending() {
                return Poll::Pending;
            }
        }
    })
}

/// The next item of an iterator, which ends where there will be none, and behind a failure.
pub(super) fn next<P: Pull>(from: &mut P) -> Option<Result<P::Item, FollowError>> {
    if *from.ended() {
        return None;
    }
    match recv(from, None) {
        Ok(item) => item.map(Ok),
        Err(FollowError::Closed | FollowError::Finished) => {
            *from.ended() = true;
            None
        }
        Err(error) => {
            *from.ended() = matches!(error, FollowError::Store(_));
            Some(Err(error))
        }
    }
}

/// The public ways to receive from a type whose field `$from` is a [`Pull`].
macro_rules! receive_methods {
    ($of:ident<S $(, $param:ident)?>, $item:ty, $from:ident) => {
        impl<S: annals_core::Storage $(, $param)?> $of<S $(, $param)?> {
            /// The next one, waited for as long as it takes.
            ///
            /// # Errors
            ///
            /// See [`FollowError`](crate::FollowError).
            pub fn recv(&mut self) -> Result<$item, crate::FollowError> {
                let received = crate::store::follow::receive::recv(&mut self.$from, None)?;
                received.ok_or(crate::FollowError::Closed)
            }

            /// The next one if it is there already.
            ///
            /// # Errors
            ///
            /// See [`FollowError`](crate::FollowError).
            pub fn try_recv(&mut self) -> Result<Option<$item>, crate::FollowError> {
                crate::store::follow::receive::try_recv(&mut self.$from)
            }

            /// The next one; `None` where there is none within `timeout`.
            ///
            /// # Errors
            ///
            /// See [`FollowError`](crate::FollowError).
            pub fn recv_timeout(
                &mut self,
                timeout: std::time::Duration,
            ) -> Result<Option<$item>, crate::FollowError> {
                let deadline = std::time::Instant::now().checked_add(timeout);
                crate::store::follow::receive::recv(&mut self.$from, deadline)
            }

            /// The next one, for any async runtime. Dropping the future takes nothing.
            ///
            /// # Errors
            ///
            /// See [`FollowError`](crate::FollowError).
            pub fn recv_async(
                &mut self,
            ) -> impl Future<Output = Result<$item, crate::FollowError>> + Unpin {
                crate::store::follow::receive::recv_async(&mut self.$from)
            }
        }

        /// Waits for each item. It ends when the store is closed, or behind a failure of the
        /// store's.
        impl<S: annals_core::Storage $(, $param)?> Iterator for $of<S $(, $param)?> {
            type Item = Result<$item, crate::FollowError>;

            fn next(&mut self) -> Option<Self::Item> {
                crate::store::follow::receive::next(&mut self.$from)
            }
        }
    };
}
pub(super) use receive_methods;
