//! The coordinate of an event: who it happened to (the entity) and where (the scope).
//!
//! A coordinate that exists is valid: both parts have 1 to 1,024 bytes and no control characters.
//! Both live in one allocation, so that a clone costs a reference count.

use alloc::string::String;
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::{ENTITY_LEN_MAX, SCOPE_LEN_MAX};

/// The address of an event: an entity within a scope, shown as `entity@scope`.
///
/// The events of one entity form its stream, whatever their scopes. A colon in an entity is a
/// namespace border: `order:5:line:1` lies within `order:5`.
///
/// ```
/// # use annals_core::Coordinate;
/// let order = Coordinate::new("order:5", "shop")?;
/// assert_eq!(order.entity(), "order:5");
/// assert_eq!(order.to_string(), "order:5@shop");
/// assert!(Coordinate::new("", "shop").is_err());
/// # Ok::<(), annals_core::CoordinateError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Coordinate {
    /// `entity@scope`.
    text: Arc<str>,
    entity_len: u16,
}

impl Coordinate {
    /// Makes a coordinate of an entity and a scope.
    ///
    /// # Errors
    ///
    /// A part that is empty, longer than 1,024 bytes, or holds a control character.
    pub fn new(entity: impl AsRef<str>, scope: impl AsRef<str>) -> Result<Self, CoordinateError> {
        let (entity, scope) = (entity.as_ref(), scope.as_ref());
        check_part("entity", entity, ENTITY_LEN_MAX)?;
        check_part("scope", scope, SCOPE_LEN_MAX)?;
        Ok(Self::join(entity, scope))
    }

    /// Makes a coordinate of parts that [`check_part`] has passed before.
    pub(crate) fn join(entity: &str, scope: &str) -> Self {
        let entity_len = u16::try_from(entity.len()).expect("a checked entity is short");
        let mut text = String::with_capacity(entity.len() + 1 + scope.len());
        text.push_str(entity);
        text.push('@');
        text.push_str(scope);
        Self { text: text.into(), entity_len }
    }

    /// Makes a coordinate of the bytes of two names, if they are text. Most fit a buffer, so that
    /// an event that is read costs one allocation for its address.
    pub(crate) fn of_bytes(entity: &[u8], scope: &[u8]) -> Option<Self> {
        const SHORT: usize = 64;
        let mut buffer = [0; SHORT];
        let len = entity.len() + 1 + scope.len();
        let Some(joined) = buffer.get_mut(..len) else {
            return Some(Self::join(text_of(entity)?, text_of(scope)?));
        };
        joined[..entity.len()].copy_from_slice(entity);
        joined[entity.len()] = b'@';
        joined[entity.len() + 1..].copy_from_slice(scope);
        // A border between two names is one between characters: the byte there is ASCII.
        let text = text_of(joined)?;
        Some(Self { text: text.into(), entity_len: u16::try_from(entity.len()).ok()? })
    }

    /// Who the event happened to: the name of its stream.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.text[..usize::from(self.entity_len)]
    }

    /// Where the event happened.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.text[usize::from(self.entity_len) + 1..]
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coordinate({:?} @ {:?})", self.entity(), self.scope())
    }
}

impl Ord for Coordinate {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.entity(), self.scope()).cmp(&(other.entity(), other.scope()))
    }
}

impl PartialOrd for Coordinate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Coordinate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_struct("Coordinate", 2)?;
        parts.serialize_field("entity", self.entity())?;
        parts.serialize_field("scope", self.scope())?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Coordinate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Coordinate")]
        struct Parts {
            entity: String,
            scope: String,
        }
        let parts = Parts::deserialize(deserializer)?;
        Self::new(parts.entity, parts.scope).map_err(D::Error::custom)
    }
}

/// Why a coordinate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinateError {
    /// The part is empty.
    #[error("{part} is empty")]
    Empty {
        /// `entity` or `scope`.
        part: &'static str,
    },
    /// The part has too many bytes.
    #[error("{part} has {len} bytes, more than {len_max}")]
    TooLong {
        /// `entity` or `scope`.
        part: &'static str,
        /// Its bytes.
        len: usize,
        /// The most that are permitted.
        len_max: usize,
    },
    /// The part holds a control character.
    #[error("{part} holds the control character U+{:04X} at byte {at}", u32::from(*.character))]
    ControlCharacter {
        /// `entity` or `scope`.
        part: &'static str,
        /// The first one.
        character: char,
        /// Its place, in bytes.
        at: usize,
    },
}

/// Checks one part of a coordinate.
#[inline]
pub(crate) fn check_part(
    part: &'static str,
    text: &str,
    len_max: usize,
) -> Result<(), CoordinateError> {
    if text.is_empty() {
        return Err(CoordinateError::Empty { part });
    }
    if text.len() > len_max {
        return Err(CoordinateError::TooLong { part, len: text.len(), len_max });
    }
    if is_plain(text.as_bytes()) {
        return Ok(());
    }
    match text.char_indices().find(|(_, character)| character.is_control()) {
        None => Ok(()),
        Some((at, character)) => Err(CoordinateError::ControlCharacter { part, character, at }),
    }
}

/// The text that a name's bytes are, if they are any. Nearly all are ASCII, and to see that takes a
/// third of the time that reading short UTF-8 does.
#[inline]
pub(crate) fn text_of(bytes: &[u8]) -> Option<&str> {
    match ascii::AsciiStr::from_ascii(bytes) {
        Ok(text) => Some(text.as_str()),
        Err(_) => core::str::from_utf8(bytes).ok(),
    }
}

/// Whether there are only printable ASCII characters: eight bytes at a time, since nearly all
/// names are plain and every event that is read has two of them.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
        return is_short_plain(bytes);
    };
    // The last eight may have been looked at before; most names have no more than these two.
    let mut odd = odd_bytes(u64::from_le_bytes(*first)) | odd_bytes(u64::from_le_bytes(*last));
    if bytes.len() > 16 {
        let (words, _) = bytes.as_chunks::<8>();
        odd = words.iter().fold(odd, |odd, word| odd | odd_bytes(u64::from_le_bytes(*word)));
    }
    odd == 0
}

/// As [`is_plain`], of fewer than eight bytes.
#[inline]
fn is_short_plain(bytes: &[u8]) -> bool {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            odd_bytes(u64::from(first) | u64::from(last) << 32) == 0
        }
        _ => bytes.iter().all(|byte| (b' '..0x7F).contains(byte)),
    }
}

/// Zero where all eight bytes are plain.
#[inline(always)]
const fn odd_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Of bytes without a high bit: a delete gets one by adding 1, and only those below a space
    // get none by adding 0x60. No sum carries, unless there was a high bit, which is odd anyway.
    let (delete, not_below_space) = (word.wrapping_add(EACH), word.wrapping_add(0x60 * EACH));
    (word | delete | !not_below_space) & (0x80 * EACH)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn plain_bytes_are_told_from_all_others_at_every_place() {
        for len in 0..40 {
            let mut bytes = alloc::vec![b'a'; len];
            assert!(is_plain(&bytes));
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    bytes[at] = byte;
                    assert_eq!(is_plain(&bytes), (b' '..0x7F).contains(&byte), "{byte} at {at}");
                }
                bytes[at] = b'~';
            }
        }
    }

    #[test]
    fn the_text_of_a_name_is_what_reading_utf_8_gives() {
        for bytes in [&b""[..], b"order:5", b"\x7F\0", "stra\u{df}e".as_bytes(), b"\xFF", b"a\xC3"]
        {
            assert_eq!(text_of(bytes), core::str::from_utf8(bytes).ok(), "{bytes:?}");
        }
    }

    #[test]
    fn b40_a_coordinate_is_shown_as_entity_at_scope_and_empty_parts_are_errors() {
        let coordinate = Coordinate::new("order:5", "shop").unwrap();
        assert_eq!(coordinate.to_string(), "order:5@shop");
        assert_eq!((coordinate.entity(), coordinate.scope()), ("order:5", "shop"));
        assert_eq!(Coordinate::new("", "s"), Err(CoordinateError::Empty { part: "entity" }));
        assert_eq!(Coordinate::new("e", ""), Err(CoordinateError::Empty { part: "scope" }));
    }

    #[test]
    fn the_longest_part_is_accepted_and_one_byte_more_is_not() {
        let longest = "e".repeat(ENTITY_LEN_MAX);
        assert!(Coordinate::new(&longest, &longest).is_ok());
        let longer = "e".repeat(ENTITY_LEN_MAX + 1);
        for error in [Coordinate::new(&longer, "s"), Coordinate::new("e", &longer)] {
            assert!(matches!(error, Err(CoordinateError::TooLong { len: 1025, .. })));
        }
    }

    #[test]
    fn control_characters_are_refused_and_other_unicode_is_not() {
        for bad in ["a\0", "a\n", "a\x7F", "a\u{85}", "é\u{1b}"] {
            assert!(
                matches!(Coordinate::new(bad, "s"), Err(CoordinateError::ControlCharacter { .. })),
                "{bad:?}"
            );
            assert!(Coordinate::new("e", bad).is_err());
        }
        for good in ["a b", "Größe", "注文:5", "x\u{a0}y"] {
            assert_eq!(Coordinate::new(good, "s").unwrap().entity(), good);
        }
    }

    #[test]
    fn an_at_sign_in_the_entity_does_not_make_two_coordinates_one() {
        let left = Coordinate::new("a@b", "c").unwrap();
        let right = Coordinate::new("a", "b@c").unwrap();
        assert_eq!(left.to_string(), right.to_string());
        assert_ne!(left, right);
        assert!(right < left);
    }

    #[test]
    fn coordinates_are_ordered_by_entity_then_scope() {
        let make = |entity, scope| Coordinate::new(entity, scope).unwrap();
        let mut all = [make("b", "a"), make("a!", "a"), make("a", "z"), make("a", "b")];
        all.sort();
        assert_eq!(all, [make("a", "b"), make("a", "z"), make("a!", "a"), make("b", "a")]);
    }

    #[test]
    fn a_coordinate_round_trips_and_a_bad_one_is_not_deserialized() {
        let coordinate = Coordinate::new("order:5", "shop").unwrap();
        let json = serde_json::to_string(&coordinate).unwrap();
        assert_eq!(json, r#"{"entity":"order:5","scope":"shop"}"#);
        assert_eq!(serde_json::from_str::<Coordinate>(&json).unwrap(), coordinate);
        let bytes = postcard::to_allocvec(&coordinate).unwrap();
        assert_eq!(postcard::from_bytes::<Coordinate>(&bytes).unwrap(), coordinate);
        let error = serde_json::from_str::<Coordinate>(r#"{"entity":"","scope":"s"}"#);
        assert!(error.unwrap_err().to_string().contains("entity is empty"));
    }
}
