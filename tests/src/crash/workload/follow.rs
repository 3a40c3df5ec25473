//! What follows the store: consumers' checkpoints, names of kinds, a cursor.

use annals_core::{ConsumerCheckpoint, EventKind, MetaSync, Region, Sequence, StoreError};

use super::super::{Found, Journal};
use super::{End, Workload};

impl Workload {
    /// A consumer says how far it is. As the native one does, it syncs first what it speaks of.
    pub(super) fn checkpoint(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        before(&self.journal);
        let end = match self.log().sync() {
            Ok(end) => end.get(),
            Err(error) => return self.failed(&error),
        };
        self.journal.synced(end);
        let name = ["mailer", "search"][self.random.index(2)];
        let after = Some(self.random.below(end + 1)).filter(|after| *after < end);
        let sync = if self.random.one_in(2) { MetaSync::Now } else { MetaSync::Later };
        self.journal.notes.begin(|said| {
            said.consumers.insert(name.to_owned(), after);
        });
        before(&self.journal);
        let after = after.map(Sequence::new);
        let checkpoint = ConsumerCheckpoint { after, region: Region::all() };
        let done = self.log().set_consumer_checkpoint(name, &checkpoint, sync);
        self.noted(done, sync == MetaSync::Now)
    }

    /// A kind gets its name.
    pub(super) fn name_kind(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        let kind = EventKind::new(1, [1, 2, 3, 4, 5][self.random.index(5)]);
        let name = format!("kind-{kind}");
        let is_new = !self.journal.notes.visible().kinds.contains_key(&kind);
        if is_new {
            self.journal.notes.begin(|said| {
                said.kinds.insert(kind, name.clone());
            });
        }
        before(&self.journal);
        let done = self.log().name_kind(kind, &name);
        if !is_new {
            return self.settle(done);
        }
        self.noted(done, true)
    }

    fn noted(&mut self, done: Result<(), StoreError>, durable: bool) -> End {
        if done.is_ok() {
            self.journal.notes.done(durable);
        }
        self.settle(done)
    }

    /// A cursor goes on, through everything that was done to the segments meanwhile.
    pub(super) fn poll(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        before(&self.journal);
        let reader = self.log().reader();
        let Ok(found) = Found::read(&reader) else { return End::Fine };
        let position = self.cursor.position();
        let is_next = |sequence| position.is_none_or(|position| sequence > position);
        let left = found.events.iter().filter(|event| is_next(event.sequence()));
        let left: Vec<_> = left.take(7).collect();
        match self.cursor.poll(&reader, 7) {
            Ok(polled) => {
                // An error behind an event comes with the next poll.
                let is_in_order = left.iter().zip(&polled).all(|(one, other)| *one == other);
                let is_nothing_left_out = polled.len() == left.len() || !polled.is_empty();
                assert!(
                    is_in_order && is_nothing_left_out,
                    "the cursor at {position:?} was given {polled:?}"
                );
                End::Fine
            }
            Err(error) => self.failed(&error),
        }
    }
}
