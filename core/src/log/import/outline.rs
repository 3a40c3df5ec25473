//! The order of a backup's sections: what may come next, and that all of it came.

use crate::format::backup::{
    BACKUP_VERSION, BackupHeader, BackupSegment, BeginFault, SECTION_HEADER_LEN, SectionKind,
    SectionReader, values,
};
use crate::format::meta::MetaEntry;
use crate::format::{Fault, read_array};
use crate::log::BackupError;
use crate::log::meta::travels;
use crate::model::{Hash, Sequence};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// See the module.
#[derive(Debug)]
pub(super) struct Outline {
    stream: SectionReader,
    header: Option<BackupHeader>,
    segment: Option<Open>,
    segments: u64,
    next_sequence: Sequence,
    complete: bool,
}

/// A segment whose bytes come next.
#[derive(Debug)]
struct Open {
    about: BackupSegment,
    received: u64,
}

/// A section that has its place.
pub(super) enum Item<'a> {
    Begin(BackupHeader),
    Values(Vec<MetaEntry<'a>>),
    Segment(BackupSegment),
    Data(Data<'a>),
    End,
}

/// Bytes of a segment.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) about: BackupSegment,
    /// Where they stand in the segment.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    /// Whether they are the segment's last.
    pub(super) last: bool,
}

impl Outline {
    pub(super) fn new() -> Self {
        Outline {
            stream: SectionReader::new(),
            header: None,
            segment: None,
            segments: 0,
            next_sequence: Sequence::ZERO,
            complete: false,
        }
    }

    pub(super) fn header(&self) -> Option<&BackupHeader> {
        self.header.as_ref()
    }

    /// Bytes that were taken.
    pub(super) fn position(&self) -> u64 {
        self.stream.end()
    }

    /// Whether a section is whole that was not accepted yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.stream.section().is_some()
    }

    /// Takes bytes until a section is whole, and says how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, BackupError> {
        if self.complete && !bytes.is_empty() {
            let fault = Fault::new(self.stream.end(), "the end of the stream", "more bytes");
            return Err(BackupError::damaged(self.stream.number(), fault));
        }
        let number = self.stream.number();
        self.stream.take(bytes).map_err(|fault| BackupError::damaged(number, fault))
    }

    /// That the end has come.
    pub(super) fn check_complete(&self) -> Result<(), BackupError> {
        if self.complete {
            return Ok(());
        }
        let found = "the end of the stream";
        let fault = Fault::new(self.stream.end(), "the rest of the backup", found);
        Err(BackupError::damaged(self.stream.number(), fault))
    }

    /// The section that is whole; `None` where none is.
    pub(super) fn item(&self) -> Result<Option<Item<'_>>, BackupError> {
        let Some(section) = self.stream.section() else { return Ok(None) };
        if let Some(expected) = self.expected_instead_of(section.kind) {
            return Err(self.wrong(0, expected, format!("its {}", section.kind)));
        }
        let body = section.body;
        match section.kind {
            SectionKind::Begin => self.begin(body),
            SectionKind::Values => self.values(body),
            SectionKind::Segment => self.segment(body),
            SectionKind::Data => self.data(body),
            SectionKind::End => self.end(body),
        }
        .map(Some)
    }

    /// Goes on behind the section that is whole.
    pub(super) fn accept(&mut self) -> Result<(), BackupError> {
        match self.item()? {
            None | Some(Item::Values(_)) => {}
            Some(Item::Begin(header)) => {
                self.next_sequence = header.first_sequence;
                self.header = Some(header);
            }
            Some(Item::Segment(about)) => {
                self.segments += 1;
                self.next_sequence = about.end_sequence;
                self.segment = Some(Open { about, received: 0 });
            }
            Some(Item::Data(Data { bytes, last, .. })) => {
                let len = bytes.len() as u64;
                if let Some(open) = &mut self.segment {
                    open.received += len;
                }
                self.segment = self.segment.take().filter(|_| !last);
            }
            Some(Item::End) => self.complete = true,
        }
        self.stream.advance();
        Ok(())
    }

    /// A fault in the body of the section that is whole.
    pub(super) fn fault(&self, fault: Fault) -> BackupError {
        let body_at = self.stream.offset() + SECTION_HEADER_LEN as u64;
        BackupError::damaged(self.stream.number(), fault.behind(body_at))
    }

    pub(super) fn wrong(
        &self,
        at: u64,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> BackupError {
        self.fault(Fault::new(at, expected, found))
    }

    /// What should stand here instead of a section of this kind, if another should.
    fn expected_instead_of(&self, kind: SectionKind) -> Option<&'static str> {
        match (kind, self.header.is_some(), &self.segment) {
            (SectionKind::Begin, false, _) | (SectionKind::Data, true, Some(_)) => None,
            (_, false, _) => Some("the beginning of a backup"),
            (_, true, Some(_)) => Some("more bytes of the segment"),
            (SectionKind::Begin | SectionKind::Data, true, None) => Some("the next segment"),
            (SectionKind::Values, true, None) if self.segments > 0 => Some("the next segment"),
            (_, true, None) => None,
        }
    }

    fn begin(&self, body: &[u8]) -> Result<Item<'_>, BackupError> {
        match BackupHeader::decode(body) {
            Ok(header) => Ok(Item::Begin(header)),
            Err(BeginFault::Fault(fault)) => Err(self.fault(fault)),
            Err(BeginFault::Newer { found }) => {
                Err(BackupError::NewerBackup { found, supported: BACKUP_VERSION })
            }
        }
    }

    fn values<'a>(&self, body: &'a [u8]) -> Result<Item<'a>, BackupError> {
        let entries = values(body).map_err(|fault| self.fault(fault))?;
        match entries.iter().find(|entry| !travels(entry.key)) {
            Some(stranger) => {
                let found = stranger.key.escape_ascii().to_string();
                Err(self.wrong(0, "names of kinds and checkpoints of consumers", found))
            }
            None => Ok(Item::Values(entries)),
        }
    }

    fn segment(&self, body: &[u8]) -> Result<Item<'_>, BackupError> {
        let about = BackupSegment::decode(body).map_err(|fault| self.fault(fault))?;
        if about.base_sequence != self.next_sequence {
            let expected = format!("a segment from sequence {} on", self.next_sequence);
            return Err(self.wrong(8, expected, format!("one from {}", about.base_sequence)));
        }
        let in_place = self.header.is_some_and(|header| {
            self.segments < header.segment_count && about.end_sequence <= header.end_sequence
        });
        match in_place {
            true => Ok(Item::Segment(about)),
            false => {
                let found = format!("one up to {}", about.end_sequence);
                Err(self.wrong(16, self.all_segments(), found))
            }
        }
    }

    fn data<'a>(&self, bytes: &'a [u8]) -> Result<Item<'a>, BackupError> {
        let (about, offset) = match &self.segment {
            Some(open) => (open.about, open.received),
            None => return Err(self.wrong(0, "the next segment", "bytes of one")),
        };
        let (len, left) = (bytes.len() as u64, about.byte_len - offset);
        if len > left || len == 0 {
            let expected = format!("1 to {left} bytes more of the segment");
            return Err(self.wrong(0, expected, format!("{len}")));
        }
        Ok(Item::Data(Data { about, offset, bytes, last: len == left }))
    }

    fn end(&self, body: &[u8]) -> Result<Item<'_>, BackupError> {
        let Some(header) = self.header else { return Err(BackupError::Incomplete) };
        if self.segments != header.segment_count || self.next_sequence != header.end_sequence {
            let found = format!("{} up to {}", self.segments, self.next_sequence);
            return Err(self.wrong(0, self.all_segments(), found));
        }
        let computed = self.stream.hash();
        let stored = read_array(body, 0).map(Hash::from_bytes);
        if stored != Some(computed) || body.len() != 32 {
            let found = stored.map_or_else(|| "none".into(), |hash| hash.to_string());
            return Err(self.wrong(0, format!("the hash {computed} of all before"), found));
        }
        if self.stream.end() != header.stream_len {
            let expected = format!("the end at byte {}", header.stream_len);
            return Err(self.wrong(0, expected, format!("it at {}", self.stream.end())));
        }
        Ok(Item::End)
    }

    fn all_segments(&self) -> String {
        let (count, end) = self
            .header
            .map_or((0, Sequence::ZERO), |header| (header.segment_count, header.end_sequence));
        format!("{count} segments up to sequence {end}")
    }
}

/// Proves a backup whole, without a place to put it: its sections, their order and its hash.
///
/// What its segments say is proven when they are taken in, by an [`Import`](crate::Import).
///
/// # Examples
///
/// ```
/// use annals_core::{BackupCheck, BackupError};
///
/// let mut check = BackupCheck::new();
/// let refused = check.feed(b"not a backup at all, but long enough");
/// assert!(matches!(refused, Err(BackupError::Damaged { offset: 0, .. })));
/// ```
#[derive(Debug)]
pub struct BackupCheck {
    outline: Outline,
    ended: bool,
}

impl Default for BackupCheck {
    fn default() -> Self {
        BackupCheck::new()
    }
}

impl BackupCheck {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        BackupCheck { outline: Outline::new(), ended: false }
    }

    /// What the backup is of, once its beginning was taken in.
    #[must_use]
    pub fn header(&self) -> Option<&BackupHeader> {
        self.outline.header()
    }

    /// Takes in the next bytes of the stream, all of them.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] with the place, [`BackupError::NewerBackup`].
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        if self.ended {
            return Err(BackupError::Ended);
        }
        self.ended = true;
        while !bytes.is_empty() {
            let taken = self.outline.take(bytes)?;
            bytes = &bytes[taken..];
            if self.outline.is_waiting() {
                self.outline.accept()?;
            }
        }
        self.ended = false;
        Ok(())
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] where it ended early.
    pub fn finish(&self) -> Result<BackupHeader, BackupError> {
        if self.ended {
            return Err(BackupError::Ended);
        }
        self.outline.check_complete()?;
        self.header().copied().ok_or(BackupError::Incomplete)
    }
}
