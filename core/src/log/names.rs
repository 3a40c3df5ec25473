//! Names of kinds: `order.placed` for `0x1001`, both unique in the store, for good.
//!
//! A name stands in the meta log as the key `k/` and the name, its kind in two bytes as the value.
//! It is on stable storage before anybody sees it. Without a kind of its own, a name gets the
//! smallest number from `0x1001` on that has no name and no event: the type ids 0x001 to 0xFFF of
//! category 0x1, then of 0x2, and so on, the store's own categories 0x0 and 0xD left out.

use crate::format::Fault;
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::{Change, MetaSync, Values};
use crate::log::reader::Reader;
use crate::log::segments::Segment;
use crate::log::writer::Log;
use crate::model::{EventKind, LimitError};
use crate::order::ascending;
use crate::storage::Storage;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// The most bytes of a kind's name.
pub const KIND_NAME_LEN_MAX: usize = 128;

const PREFIX: &[u8] = b"k/";
const TYPE_IDS: core::ops::RangeInclusive<u16> = 1..=0xFFF;

/// Why a text is no name of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindNameError {
    /// It has no bytes, or more than [`KIND_NAME_LEN_MAX`].
    #[error("a kind's name has 1 to 128 bytes, not {actual}")]
    Length {
        /// Its bytes.
        actual: usize,
    },
    /// It has a character other than ASCII letters, digits, `.`, `_`, `-` and `:`.
    #[error("a kind's name has ASCII letters, digits, '.', '_', '-' and ':', not {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}

/// The names of one store, both ways.
#[derive(Debug, Default)]
pub(crate) struct KindNames {
    /// In the order of the kinds.
    by_kind: Vec<(EventKind, Arc<str>)>,
    /// In the order of the names.
    by_name: Vec<(Arc<str>, EventKind)>,
}

impl KindNames {
    /// The names in the meta log, and the first entry there that can't be one.
    pub(crate) fn of(values: &Values) -> (Self, Option<Fault>) {
        let (mut names, mut fault) = (KindNames::default(), None);
        for (name, value) in values.behind(PREFIX) {
            match parse_entry(name, value) {
                Some((kind, name)) if names.conflict(kind, name).is_none() => {
                    names.insert(kind, name);
                }
                _ => {
                    let found = format!("{} for {}", name.escape_ascii(), value.escape_ascii());
                    fault.get_or_insert_with(|| Fault::new(0, "a name and its kind", found));
                }
            }
        }
        (names, fault)
    }

    /// What speaks against naming this kind so: its other name, or the other kind of the name.
    fn conflict(&self, kind: EventKind, name: &str) -> Option<String> {
        let other_name = self.name_of(kind).filter(|known| ***known != *name);
        let other_kind = self.kind_of(name).filter(|known| *known != kind);
        other_name.map(ToString::to_string).or_else(|| other_kind.map(|kind| kind.to_string()))
    }

    fn insert(&mut self, kind: EventKind, name: &str) {
        let name: Arc<str> = name.into();
        if let Err(at) = self.by_kind.binary_search_by_key(&kind, |(kind, _)| *kind) {
            self.by_kind.insert(at, (kind, Arc::clone(&name)));
        }
        if let Err(at) = self.by_name.binary_search_by(|(known, _)| known.cmp(&name)) {
            self.by_name.insert(at, (name, kind));
        }
    }

    fn name_of(&self, kind: EventKind) -> Option<&Arc<str>> {
        let at = self.by_kind.binary_search_by_key(&kind, |(kind, _)| *kind).ok()?;
        Some(&self.by_kind[at].1)
    }

    fn kind_of(&self, name: &str) -> Option<EventKind> {
        let at = self.by_name.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(self.by_name[at].1)
    }
}

fn parse_entry<'a>(name: &'a [u8], value: &[u8]) -> Option<(EventKind, &'a str)> {
    let name = core::str::from_utf8(name).ok()?;
    let kind = EventKind::from_u16(u16::from_le_bytes(value.try_into().ok()?)).ok()?;
    check_name(name).ok()?;
    Some((kind, name))
}

fn check_name(name: &str) -> Result<(), KindNameError> {
    if !(1..=KIND_NAME_LEN_MAX).contains(&name.len()) {
        return Err(KindNameError::Length { actual: name.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    match name.chars().find(|c| !allowed(*c)) {
        Some(character) => Err(KindNameError::Character { character }),
        None => Ok(()),
    }
}

impl<S: Storage> Reader<S> {
    /// The name of a kind, as of now; `None` where it has none.
    #[must_use]
    pub fn kind_name(&self, kind: EventKind) -> Option<Arc<str>> {
        self.shared.names.read().name_of(kind).cloned()
    }

    /// The kind that has a name, as of now; `None` where none has.
    #[must_use]
    pub fn kind_named(&self, name: &str) -> Option<EventKind> {
        self.shared.names.read().kind_of(name)
    }

    /// All kinds that have names, in the order of their numbers.
    #[must_use]
    pub fn kind_names(&self) -> Vec<(EventKind, Arc<str>)> {
        let names = self.shared.names.read();
        names.by_kind.clone()
    }

    /// The kinds that occur among this reader's events, erased ones included.
    fn kinds_in_use(&self) -> Result<Vec<EventKind>, StoreError> {
        let mut kinds = Vec::new();
        for at in 0..self.view.len() {
            match self.view.at(at) {
                Some(Segment::Active(active)) => {
                    kinds.extend(active.index.read().kind_counts().map(|(kind, _)| kind));
                }
                Some(Segment::Sealed(sealed)) => {
                    kinds.extend(sealed.with_index(&self.shared, |index| {
                        let (_, _, count) = index.name_counts();
                        let kinds = (0..count).map(|at| index.kind_count(at).map(|(kind, _)| kind));
                        kinds.collect::<Result<Vec<_>, _>>()
                    })?);
                }
                None => {}
            }
        }
        Ok(kinds)
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Names a kind, for good: 1 to 128 ASCII letters, digits, `.`, `_`, `-` and `:`. Naming it
    /// so again is fine.
    ///
    /// # Errors
    ///
    /// [`StoreError::NameConflict`] where the kind has another name or the name another kind,
    /// [`StoreError::KindName`] for a text that is no name, [`StoreError::ReservedKind`] for the
    /// store's own kinds. A storage error: the name is not registered, and may be tried again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use annals_core::{EventKind, Host, Log, LogConfig, MemoryStorage, StoreError};
    /// # struct Fixed;
    /// # impl Host for Fixed {
    /// #     fn now_us(&self) -> i64 { 0 }
    /// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7) }
    /// # }
    /// let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
    /// let placed = EventKind::new(1, 1);
    /// log.name_kind(placed, "order.placed")?;
    /// assert_eq!(log.reader().kind_name(placed).as_deref(), Some("order.placed"));
    ///
    /// let conflict = log.name_kind(placed, "order.created");
    /// assert!(matches!(conflict, Err(StoreError::NameConflict { .. })));
    ///
    /// // The store assigns the number where the program has none.
    /// let shipped = log.kind_for_name("order.shipped")?;
    /// assert_eq!(shipped, EventKind::new(1, 2));
    /// # Ok::<(), StoreError>(())
    /// ```
    pub fn name_kind(&mut self, kind: EventKind, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        if kind.is_reserved() {
            return Err(StoreError::ReservedKind { kind });
        }
        let (conflict, known) = {
            let names = self.shared.names.read();
            (names.conflict(kind, name), names.kind_of(name).is_some())
        };
        match conflict {
            Some(known) => Err(StoreError::NameConflict { kind, name: name.into(), known }),
            None if known => self.confirm_meta(),
            None => self.register(kind, name),
        }
    }

    /// The kind that has a name. A name that is new gets the smallest number from `0x1001` on
    /// that has neither a name nor an event, and is on stable storage when this returns.
    ///
    /// The numbers depend on nothing but the order in which names come and the events that are
    /// there: type ids 0x001 to 0xFFF of category 0x1, then of 0x2, and so on.
    ///
    /// # Errors
    ///
    /// As [`name_kind`](Log::name_kind); [`StoreError::Limit`] where all numbers are taken; storage
    /// errors and corruption met while looking for events of a kind.
    pub fn kind_for_name(&mut self, name: &str) -> Result<EventKind, StoreError> {
        check_name(name)?;
        if let Some(kind) = self.reader.kind_named(name) {
            self.confirm_meta()?;
            return Ok(kind);
        }
        let kind = self.free_kind()?;
        self.register(kind, name)?;
        Ok(kind)
    }

    fn free_kind(&self) -> Result<EventKind, StoreError> {
        let mut taken = self.reader.kinds_in_use()?;
        taken.extend(self.group.events.iter().map(|event| event.kind));
        taken.extend(self.shared.names.read().by_kind.iter().map(|(kind, _)| *kind));
        let mut taken = ascending(taken);
        taken.dedup();
        let all = (1..=0xF).flat_map(|category| TYPE_IDS.map(move |id| (category, id)));
        let kinds = all.filter_map(|(category, id)| EventKind::try_new(category, id).ok());
        let free = kinds.into_iter().find(|kind| taken.binary_search(kind).is_err());
        free.ok_or_else(|| LimitError::new("kinds", taken.len(), taken.len() + 1).into())
    }

    fn register(&mut self, kind: EventKind, name: &str) -> Result<(), StoreError> {
        let key = [PREFIX, name.as_bytes()].concat();
        let value = Some(kind.as_u16().to_le_bytes().to_vec());
        self.write_meta(vec![Change { key, value }], MetaSync::Now)?;
        self.shared.names.write().insert(kind, name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b47_a_name_is_short_and_has_no_character_that_tools_must_quote() {
        for good in ["a", "order.placed", "Order_Placed-2:eu", &"n".repeat(128)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_name(""), Err(KindNameError::Length { actual: 0 }));
        assert_eq!(check_name(&"n".repeat(129)), Err(KindNameError::Length { actual: 129 }));
        for (bad, character) in
            [("a b", ' '), ("ä", 'ä'), ("a/b", '/'), ("a\n", '\n'), ("\0", '\0')]
        {
            assert_eq!(check_name(bad), Err(KindNameError::Character { character }), "{bad:?}");
        }
    }

    #[test]
    fn b47_entries_that_contradict_each_other_are_reported_and_the_first_counts() {
        let mut values = Values::default();
        for (key, value) in [
            ("k/a", &[1, 0x10][..]),
            ("k/b", &[1, 0x10]),
            ("k/c", &[2]),
            ("k/d", &[1, 0xD0]),
            ("k/e f", &[3, 0x10]),
            ("k/g", &[4, 0x10]),
            ("p/h", &[5, 0x10]),
        ] {
            values.apply(Change { key: key.into(), value: Some(value.into()) });
        }
        let (names, fault) = KindNames::of(&values);
        assert_eq!(names.by_kind.len(), 2);
        assert_eq!(names.kind_of("a"), Some(EventKind::new(1, 1)));
        assert_eq!(names.kind_of("g"), Some(EventKind::new(1, 4)));
        assert!(fault.unwrap().found.contains("b for"));
    }
}
