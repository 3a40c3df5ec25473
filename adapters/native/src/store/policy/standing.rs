//! The state that a stream is in, read from the newest transition in it.

use crate::store::policy::PolicyError;
use annals_core::{
    EventRef, ExpectedVersion, MachineState, Reader, Sequence, StateMachine, Storage, StoreError,
    TransitionRecord, Version,
};
use std::sync::Arc;

/// Where a stream stands with a machine, at one moment.
pub(super) struct Standing {
    /// The version of its newest event.
    head: Option<Version>,
    /// The name of the state.
    pub(super) state: String,
}

impl Standing {
    pub(super) fn read<M, S>(reader: &Reader<Arc<S>>, entity: &str) -> Result<Self, PolicyError>
    where
        M: StateMachine,
        S: Storage,
    {
        let mut events = reader.stream(entity).backward();
        let mut head = None;
        while let Some((version, found)) =
            events.next_with(|event| (event.header().version(), entered::<M>(event)))?
        {
            head = head.or(Some(version));
            match found {
                Entered::Nothing => {}
                Entered::State(state) => return Ok(Standing { head, state }),
                Entered::Erased(sequence) => {
                    let (entity, machine) = (entity.to_owned(), M::NAME);
                    return Err(PolicyError::StateErased { entity, machine, sequence });
                }
            }
        }
        Ok(Standing { head, state: <M::Initial as MachineState>::NAME.to_owned() })
    }

    pub(super) fn as_expected(&self) -> ExpectedVersion {
        self.head.map_or(ExpectedVersion::NoStream, ExpectedVersion::Exact)
    }

    pub(super) fn check_version(
        &self,
        entity: &str,
        expected: ExpectedVersion,
    ) -> Result<(), StoreError> {
        let holds = match expected {
            ExpectedVersion::Any => true,
            ExpectedVersion::StreamExists => self.head.is_some(),
            ExpectedVersion::NoStream | ExpectedVersion::Exact(_) => self.as_expected() == expected,
        };
        let entity = entity.to_owned();
        if holds {
            Ok(())
        } else {
            Err(StoreError::VersionConflict { entity, expected, actual: self.head })
        }
    }
}

/// What an event says about the state of a machine.
enum Entered {
    Nothing,
    State(String),
    Erased(Sequence),
}

fn entered<M: StateMachine>(event: &EventRef<'_>) -> Entered {
    if event.payload().is_none() {
        return entered_by_kind::<M>(event);
    }
    match event.metadata().and_then(TransitionRecord::from_metadata) {
        Some(record) if record.machine == M::NAME => Entered::State(record.to),
        _ => Entered::Nothing,
    }
}

/// The record of an erased event is gone, but its kind may leave no choice.
fn entered_by_kind<M: StateMachine>(event: &EventRef<'_>) -> Entered {
    let mut states = M::EDGES.iter().filter(|edge| edge.kind == event.header().kind());
    let Some(first) = states.next() else { return Entered::Nothing };
    if states.all(|edge| edge.to == first.to) {
        Entered::State(first.to.to_owned())
    } else {
        Entered::Erased(event.sequence())
    }
}
