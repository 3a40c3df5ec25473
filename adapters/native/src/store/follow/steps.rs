//! What is done to an event between the log and whoever receives it.

use crate::store::follow::FollowError;
use crate::store::follow::receive::Pull;
use crate::store::signal::Signal;
use annals_core::Event;
use std::sync::Arc;

/// Gives events.
pub(super) trait Source {
    fn signal(&self) -> &Arc<Signal>;
    fn next_event(&mut self) -> Result<Option<Event>, FollowError>;
}

/// A source, and the steps behind it.
pub(super) struct Flow<X, T> {
    pub(super) source: X,
    steps: Box<dyn Step<T>>,
    ended: bool,
}

trait Step<T>: Send {
    /// What becomes of an event; `None` where nothing does.
    fn apply(&mut self, event: Event) -> Option<T>;

    /// Whether nothing will become of any event.
    fn is_done(&self) -> bool;
}

impl<X> Flow<X, Event> {
    pub(super) fn new(source: X) -> Self {
        Flow { source, steps: Box::new(Whole), ended: false }
    }
}

impl<X, T: 'static> Flow<X, T> {
    pub(super) fn filter(self, keep: impl FnMut(&T) -> bool + Send + 'static) -> Self {
        self.with(|before| Box::new(Filter { before, keep }))
    }

    pub(super) fn map<U>(self, to: impl FnMut(T) -> U + Send + 'static) -> Flow<X, U> {
        self.with(|before| Box::new(Map { before, to }))
    }

    pub(super) fn take(self, count: u64) -> Self {
        self.with(|before| Box::new(Take { before, left: count }))
    }

    fn with<U>(self, step: impl FnOnce(Box<dyn Step<T>>) -> Box<dyn Step<U>>) -> Flow<X, U> {
        let Flow { source, steps, ended } = self;
        Flow { source, steps: step(steps), ended }
    }
}

impl<X: Source, T> Pull for Flow<X, T> {
    type Item = T;

    fn signal(&self) -> &Arc<Signal> {
        self.source.signal()
    }

    fn pull(&mut self) -> Result<Option<T>, FollowError> {
        if self.steps.is_done() {
            return Err(FollowError::Finished);
        }
        while let Some(event) = self.source.next_event()? {
            if let Some(item) = self.steps.apply(event) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn ended(&mut self) -> &mut bool {
        &mut self.ended
    }
}

struct Whole;

impl Step<Event> for Whole {
    fn apply(&mut self, event: Event) -> Option<Event> {
        Some(event)
    }

    fn is_done(&self) -> bool {
        false
    }
}

struct Filter<T, P> {
    before: Box<dyn Step<T>>,
    keep: P,
}

impl<T, P: FnMut(&T) -> bool + Send> Step<T> for Filter<T, P> {
    fn apply(&mut self, event: Event) -> Option<T> {
        self.before.apply(event).filter(&mut self.keep)
    }

    fn is_done(&self) -> bool {
        self.before.is_done()
    }
}

struct Map<T, F> {
    before: Box<dyn Step<T>>,
    to: F,
}

impl<T, U, F: FnMut(T) -> U + Send> Step<U> for Map<T, F> {
    fn apply(&mut self, event: Event) -> Option<U> {
        self.before.apply(event).map(&mut self.to)
    }

    fn is_done(&self) -> bool {
        self.before.is_done()
    }
}

struct Take<T> {
    before: Box<dyn Step<T>>,
    left: u64,
}

impl<T> Step<T> for Take<T> {
    fn apply(&mut self, event: Event) -> Option<T> {
        let item = self.before.apply(event)?;
        self.left = self.left.saturating_sub(1);
        Some(item)
    }

    fn is_done(&self) -> bool {
        self.left == 0 || self.before.is_done()
    }
}

/// The public steps of a type whose field `flow` is a [`Flow`].
macro_rules! flow_methods {
    ($of:ident) => {
        impl<S: annals_core::Storage, T: 'static> $of<S, T> {
            /// Only those that `keep` says yes to. A region does the same by seek, without
            /// reading the others.
            pub fn filter(self, keep: impl FnMut(&T) -> bool + Send + 'static) -> Self {
                $of { flow: self.flow.filter(keep) }
            }

            /// What `to` makes of each.
            pub fn map<U>(self, to: impl FnMut(T) -> U + Send + 'static) -> $of<S, U> {
                $of { flow: self.flow.map(to) }
            }

            /// So many, and then [`Finished`](crate::FollowError::Finished).
            pub fn take(self, count: u64) -> Self {
                $of { flow: self.flow.take(count) }
            }
        }
    };
}
pub(super) use flow_methods;
