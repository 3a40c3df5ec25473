//! Lifting payloads of older versions to the newest, one step at a time.
//!
//! Stored bytes never change: an event keeps the version that it was appended with, and whoever
//! reads it lifts it. A missing step and a version that is newer than the reader's are errors,
//! never a guess.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::Event;
use super::kind::EventKind;
use super::payload::{CodecError, EventPayload, Payload, PayloadFormat};

type Step = Arc<dyn Fn(Payload) -> Result<Payload, CodecError> + Send + Sync>;

/// The steps that lift payloads from each version of a kind to the next.
///
/// # Examples
///
/// ```
/// use annals_core::{EventKind, EventPayload, Payload, Upcasts};
/// use serde::{Deserialize, Serialize};
///
/// /// Version 1 had no currency.
/// #[derive(Serialize, Deserialize)]
/// struct PaidV1 {
///     cents: u64,
/// }
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Paid {
///     cents: u64,
///     currency: String,
/// }
///
/// impl EventPayload for Paid {
///     const KIND: EventKind = EventKind::new(1, 2);
///     const VERSION: u16 = 2;
/// }
///
/// let upcasts = Upcasts::new()
///     .with(Paid::KIND, 1, |old: PaidV1| Paid { cents: old.cents, currency: "EUR".into() });
/// let stored = Payload::postcard(&PaidV1 { cents: 300 })?;
/// let paid: Paid = upcasts.lift(Paid::KIND, stored, Paid::VERSION)?.decode()?;
/// assert_eq!(paid, Paid { cents: 300, currency: "EUR".into() });
/// # Ok::<(), annals_core::CodecError>(())
/// ```
#[derive(Clone, Default)]
pub struct Upcasts {
    steps: BTreeMap<(EventKind, u16), Step>,
}

impl fmt::Debug for Upcasts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.steps.keys()).finish()
    }
}

impl Upcasts {
    /// No steps: every payload must have the version that is asked for.
    #[must_use]
    pub const fn new() -> Self {
        Self { steps: BTreeMap::new() }
    }

    /// Adds the step from version `from` of a kind to the next, between types. It serves postcard
    /// and JSON alike: the new value is encoded in the format that the old one had.
    ///
    /// # Panics
    ///
    /// If the kind has a step from this version already, or `from` is the greatest version.
    #[must_use]
    pub fn with<Old, New>(
        self,
        kind: EventKind,
        from: u16,
        lift: impl Fn(Old) -> New + Send + Sync + 'static,
    ) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
    {
        self.with_step(kind, from, move |payload| {
            let new = lift(payload.decode()?);
            match payload.format() {
                PayloadFormat::Postcard => Payload::postcard(&new),
                PayloadFormat::Json => Payload::json(&new),
                PayloadFormat::Raw => Err(CodecError::Raw),
            }
        })
    }

    /// Adds the step from version `from` of a kind to the next, between payloads, for bytes that
    /// no type of this program describes. The version of what it returns is set by the registry.
    ///
    /// # Panics
    ///
    /// If the kind has a step from this version already, or `from` is the greatest version.
    #[must_use]
    pub fn with_step(
        mut self,
        kind: EventKind,
        from: u16,
        step: impl Fn(Payload) -> Result<Payload, CodecError> + Send + Sync + 'static,
    ) -> Self {
        assert!(from < u16::MAX, "no version comes after {from}");
        let before = self.steps.insert((kind, from), Arc::new(step));
        assert!(before.is_none(), "kind {kind} has two steps from version {from}");
        self
    }

    /// Lifts a payload to version `to`, through every step between.
    ///
    /// An erased payload stays as it is: there is nothing to lift.
    ///
    /// # Errors
    ///
    /// [`CodecError::NewerVersion`] if the payload is above `to`, [`CodecError::NoUpcast`] if a
    /// step is missing, and whatever a step returns.
    pub fn lift(
        &self,
        kind: EventKind,
        mut payload: Payload,
        to: u16,
    ) -> Result<Payload, CodecError> {
        let mut from = payload.version();
        if from > to {
            return Err(CodecError::NewerVersion { kind, found: from, known: to });
        }
        while from < to && !payload.is_erased() {
            let step = self.steps.get(&(kind, from));
            let step = step.ok_or(CodecError::NoUpcast { kind, from, to })?;
            from += 1;
            payload = step(payload)?.with_version(from);
        }
        Ok(payload)
    }
}

/// Whether a payload of this kind and version must be lifted to be a `T`.
pub(crate) fn is_older<T: EventPayload>(kind: EventKind, version: u16) -> Result<bool, CodecError> {
    if kind != T::KIND {
        return Err(CodecError::OtherKind { expected: T::KIND, found: kind });
    }
    Ok(version != T::VERSION)
}

impl Event {
    /// Decodes the payload as the newest version of its type, lifting an older one.
    ///
    /// # Errors
    ///
    /// [`CodecError::OtherKind`] if `T` is another kind's, otherwise as [`Upcasts::lift`] and
    /// [`Payload::decode`].
    pub fn decode_as<T: EventPayload>(&self, upcasts: &Upcasts) -> Result<T, CodecError> {
        if is_older::<T>(self.kind(), self.payload.version())? {
            upcasts.lift(self.kind(), self.payload.clone(), T::VERSION)?.decode()
        } else {
            self.decode()
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString as _};

    use serde::Deserialize;

    use super::*;
    use crate::model::Hash;
    use crate::model::event::tests::event;

    #[derive(Serialize, Deserialize)]
    struct V1 {
        name: String,
    }

    #[derive(Serialize, Deserialize)]
    struct V2 {
        first: String,
        last: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Named {
        first: String,
        last: String,
        title: Option<String>,
    }

    impl EventPayload for Named {
        const KIND: EventKind = EventKind::new(1, 1);
        const VERSION: u16 = 3;
    }

    fn upcasts() -> Upcasts {
        Upcasts::new()
            .with(Named::KIND, 1, |old: V1| {
                let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
                V2 { first: first.into(), last: last.into() }
            })
            .with(Named::KIND, 2, |old: V2| Named { first: old.first, last: old.last, title: None })
    }

    fn ada() -> Named {
        Named { first: "Ada".into(), last: "Lovelace".into(), title: None }
    }

    #[test]
    fn b27_an_older_payload_is_lifted_through_every_step_in_both_formats() {
        let v1 = V1 { name: "Ada Lovelace".into() };
        let v2 = V2 { first: "Ada".into(), last: "Lovelace".into() };
        for stored in [
            Payload::postcard(&v1).unwrap(),
            Payload::json(&v1).unwrap(),
            Payload::postcard(&v2).unwrap().with_version(2),
            Payload::json(&v2).unwrap().with_version(2),
            ada().to_payload().unwrap(),
        ] {
            let format = stored.format();
            let lifted = upcasts().lift(Named::KIND, stored.clone(), 3).unwrap();
            assert_eq!((lifted.format(), lifted.version()), (format, 3));
            let event = Event { payload: stored, ..event() };
            assert_eq!(event.decode_as::<Named>(&upcasts()), Ok(ada()));
        }
    }

    #[test]
    fn b27_a_gap_and_a_newer_version_are_told() {
        let gap = upcasts().lift(Named::KIND, Payload::raw(*b"x").with_version(0), 3);
        assert_eq!(gap, Err(CodecError::NoUpcast { kind: Named::KIND, from: 0, to: 3 }));
        let newer = Event { payload: Payload::raw(*b"x").with_version(4), ..event() };
        let error = newer.decode_as::<Named>(&upcasts()).unwrap_err();
        assert_eq!(error, CodecError::NewerVersion { kind: Named::KIND, found: 4, known: 3 });
        assert!(error.to_string().contains("version 4"), "{error}");
    }

    #[test]
    fn a_step_that_fails_tells_why() {
        let broken = Payload::Postcard { version: 1, bytes: alloc::vec![9] };
        let error = upcasts().lift(Named::KIND, broken, 3).unwrap_err();
        assert!(matches!(error, CodecError::Decode { .. }));
        assert_eq!(upcasts().lift(Named::KIND, Payload::raw(*b"x"), 3), Err(CodecError::Raw));
    }

    #[test]
    fn an_erased_payload_says_that_it_was_erased() {
        let content_hash = Hash::from_bytes([1; 32]);
        let erased = Payload::Erased { format: PayloadFormat::Postcard, version: 1, content_hash };
        let event = Event { payload: erased, ..event() };
        let error = event.decode_as::<Named>(&upcasts()).unwrap_err();
        assert_eq!(error, CodecError::Erased { content_hash });
    }

    #[test]
    fn a_type_of_another_kind_is_never_decoded() {
        let mut event = Event { payload: ada().to_payload().unwrap(), ..event() };
        event.header.kind = EventKind::new(1, 2);
        let error = event.decode_as::<Named>(&upcasts()).unwrap_err();
        let (expected, found) = (Named::KIND, event.kind());
        assert_eq!(error, CodecError::OtherKind { expected, found });
    }

    #[test]
    #[should_panic(expected = "two steps")]
    fn a_step_is_registered_once() {
        let _ = upcasts().with_step(Named::KIND, 1, Ok);
    }
}
