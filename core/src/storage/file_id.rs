//! Names of files: a kind and a number, and nothing else.
//!
//! The name on the disk is `{number:010}` and `.seg`, `.meta` or `.import`. Each file has exactly
//! one name and a name is parsed only if it is that one, so no two names mean one file.

use alloc::string::{String, ToString as _};
use core::fmt;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Events: frames, and when sealed an index block and a footer.
    Segment,
    /// The meta log: keys and values.
    Meta,
    /// The mark of an import that is under way: what it writes is not part of the store yet.
    Import,
}

impl FileKind {
    /// The end of a file's name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Segment => "seg",
            Self::Meta => "meta",
            Self::Import => "import",
        }
    }
}

/// A file of a [`Storage`](super::Storage): its kind and its number. Ordered by kind, then
/// number; numbers of different kinds don't collide.
///
/// ```
/// use annals_core::FileId;
///
/// let id = FileId::segment(7);
/// assert_eq!(id.name(), "0000000007.seg");
/// assert_eq!(FileId::parse("0000000007.seg"), Some(id));
/// assert_eq!(FileId::parse("7.seg"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// What the file is for.
    pub kind: FileKind,
    /// Its number among the files of its kind.
    pub number: u64,
}

impl FileId {
    /// The segment with this number.
    #[must_use]
    pub const fn segment(number: u64) -> Self {
        Self { kind: FileKind::Segment, number }
    }

    /// The meta log with this number.
    #[must_use]
    pub const fn meta(number: u64) -> Self {
        Self { kind: FileKind::Meta, number }
    }

    /// The mark of an import whose first segment has this number.
    #[must_use]
    pub const fn import(number: u64) -> Self {
        Self { kind: FileKind::Import, number }
    }

    /// The file's name: the number in at least ten digits, a dot, the kind.
    #[must_use]
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// The file that has this name; `None` if no file has it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (digits, extension) = name.split_once('.')?;
        let kind = [FileKind::Segment, FileKind::Meta, FileKind::Import]
            .into_iter()
            .find(|kind| kind.extension() == extension)?;
        let canonical = match digits.len() {
            0..DIGITS_MIN => false,
            DIGITS_MIN => true,
            _ => !digits.starts_with('0'),
        };
        if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { kind, number: digits.parse().ok()? })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS_MIN$}.{}", self.number, self.kind.extension())
    }
}

const DIGITS_MIN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_ten_digits_and_the_kind() {
        assert_eq!(FileId::segment(0).name(), "0000000000.seg");
        assert_eq!(FileId::meta(12).to_string(), "0000000012.meta");
        assert_eq!(FileId::segment(u64::MAX).name(), "18446744073709551615.seg");
    }

    #[test]
    fn every_name_parses_to_its_own_file() {
        for number in [0, 1, 9_999_999_999, 10_000_000_000, u64::MAX] {
            for id in [FileId::segment(number), FileId::meta(number), FileId::import(number)] {
                assert_eq!(FileId::parse(&id.name()), Some(id));
            }
        }
    }

    #[test]
    fn other_names_are_no_files() {
        for name in [
            "",
            ".seg",
            "LOCK",
            "1.seg",
            "000000001.seg",
            "00000000001.seg",
            "0000000001.SEG",
            "0000000001.seg ",
            "0000000001.seg.tmp",
            "+000000001.seg",
            "000000000x.meta",
            "18446744073709551616.seg",
            "٠٠٠٠٠٠٠٠٠١.seg",
        ] {
            assert_eq!(FileId::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn files_sort_by_kind_then_number() {
        let mut ids = [FileId::meta(1), FileId::segment(10), FileId::segment(9)];
        ids.sort();
        assert_eq!(ids, [FileId::segment(9), FileId::segment(10), FileId::meta(1)]);
    }
}
