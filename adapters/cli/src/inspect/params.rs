//! The parameters of a request: each known by name, each read once, none taken for another.

use crate::inspect::api::Refusal;
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

/// What stands behind the `?`.
pub(super) struct Params<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Params<'a> {
    /// Takes a query string apart. Only these names may stand in it.
    ///
    /// # Errors
    ///
    /// A refusal of a name that is not known, or that stands there twice without being a list.
    pub(super) fn parse(query: &'a str, known: &[&str]) -> Result<Self, Refusal> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                let known = known.join(", ");
                return Err(Refusal::bad(format!("there is no parameter {name:?}, but {known}")));
            }
            if name != "kind" && pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refusal::bad(format!("{name} is given twice")));
            }
        }
        Ok(Params { pairs })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_ref())
    }

    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        let named = self.pairs.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_ref())
    }

    /// A value that is read by a function of its own.
    ///
    /// # Errors
    ///
    /// A refusal that names the parameter.
    pub(super) fn read<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        read(text).map(Some).map_err(|error| Refusal::bad(format!("{name}={text}: {error}")))
    }

    /// A value that is read from text.
    ///
    /// # Errors
    ///
    /// A refusal that names the parameter.
    pub(super) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.read(name, str::parse)
    }

    /// A number of things from 1 to a limit.
    ///
    /// # Errors
    ///
    /// A refusal of anything else.
    pub(super) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, Refusal> {
        let count = self.value(name)?.unwrap_or(default);
        if (1..=max).contains(&count) {
            return Ok(count);
        }
        Err(Refusal::bad(format!("{name}={count}: from 1 to {max}")))
    }

    /// One of several words, the first where none is given.
    ///
    /// # Errors
    ///
    /// A refusal of any other word.
    pub(super) fn choice(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<&'static str, Refusal> {
        let Some(text) = self.text(name) else { return Ok(words[0]) };
        let word = words.iter().find(|word| **word == text).copied();
        word.ok_or_else(|| Refusal::bad(format!("{name}={text}: one of {}", words.join(", "))))
    }
}
