//! Names of kinds: from any text to a name, from a name or number to a kind, and back.

use crate::failure::Failure;
use annals::{EventKind, FsStorage, KindError, Reader};
use std::borrow::Cow;

/// The name that stands for a text.
///
/// A text of ASCII letters, digits, `.`, `_`, `-` and `:` is its own name. In any other, letters
/// of other scripts are transcribed, and each run of other characters and dashes becomes one `-`,
/// with none at the ends. `None` where nothing is left.
pub(crate) fn name_of(text: &str) -> Option<Cow<'_, str>> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if text.is_empty() || text.chars().all(is_allowed) {
        return (!text.is_empty()).then_some(Cow::Borrowed(text));
    }
    let mut name = String::with_capacity(text.len());
    for c in deunicode::deunicode_with_tofu_cow(text, " ").chars() {
        match c {
            c if is_allowed(c) && c != '-' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(name.trim_end_matches('-').len());
    (!name.is_empty()).then_some(Cow::Owned(name))
}

/// A kind's name, or its number where it has none.
pub(crate) fn label(reader: &Reader<FsStorage>, kind: EventKind) -> String {
    match reader.kind_name(kind) {
        Some(name) => name.to_string(),
        None if kind == EventKind::ERASURE => format!("{kind} (erasure)"),
        None => kind.to_string(),
    }
}

/// The kind that a person means: `0x1001`, a name, or a text that an import made a name of.
pub(crate) fn find(reader: &Reader<FsStorage>, text: &str) -> Result<EventKind, Failure> {
    if is_number(text) {
        if text.eq_ignore_ascii_case(&EventKind::ERASURE.to_string()) {
            return Ok(EventKind::ERASURE);
        }
        return text.parse().map_err(|error| no_kind(text, &error));
    }
    let found = name_of(text).and_then(|name| reader.kind_named(&name));
    found.ok_or_else(|| {
        Failure::no(format!("no kind is named {text:?}")).hint("`annals stats` lists the kinds")
    })
}

/// Whether a text is meant as a number of a kind.
pub(crate) fn is_number(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}

/// The failure of a text that is meant as a number and is none of a kind.
pub(crate) fn no_kind(text: &str, error: &KindError) -> Failure {
    Failure::usage(format!("--kind {text}: {error}"))
        .hint("a number is such as 0x1001, a name such as order.placed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b47_a_text_that_is_a_name_stays_as_it_is() {
        for name in ["order.placed", "Order_Placed-2:eu", "-", "T02"] {
            assert_eq!(name_of(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn b47_any_other_text_becomes_a_name() {
        for (text, name) in [
            ("T02 Check confirmation of receipt", "T02-Check-confirmation-of-receipt"),
            (
                "T10 Determine necessity to stop indication",
                "T10-Determine-necessity-to-stop-indication",
            ),
            ("  paid (by card) / in full! ", "paid-by-card-in-full"),
            ("a - b", "a-b"),
            ("Überprüfung läuft", "Uberprufung-lauft"),
            ("订单", "Ding-Dan"),
            ("tab\tand\nline", "tab-and-line"),
        ] {
            assert_eq!(name_of(text).as_deref(), Some(name), "{text}");
        }
        for text in ["", " ", "!?"] {
            assert_eq!(name_of(text), None, "{text:?}");
        }
    }
}
