//! Checks the bytes of a segment on their way out, as they come: a backup is never made of damage.

use crate::format::frame::{FRAME_ALIGN, FRAME_HEADER_LEN, FRAME_MARKER, FRAME_PREFIX_LEN};
use crate::format::index_block::{PAGE_LEN, page_payload};
use crate::format::segment::{SegmentFooter, SegmentHeader};
use crate::format::{Crc32, Fault, read_u32, usize_of};
use alloc::format;
use alloc::vec::Vec;

/// See the module. The bytes are shown to it once, in order.
pub(super) struct SegmentWatch {
    at: u64,
    header: Vec<u8>,
    frames_end: u64,
    index_end: u64,
    footer: Vec<u8>,
    salt: u32,
    /// The prefix of the frame that is being read.
    prefix: Vec<u8>,
    frame: Option<Frame>,
    page: Vec<u8>,
}

struct Frame {
    start: u64,
    /// Where its body ends, and its padding.
    end: u64,
    padded_end: u64,
    stored: u32,
    crc: Crc32,
}

impl SegmentWatch {
    /// Of a segment's bytes from `at` on, which is its start or that of a frame.
    pub(super) fn new(
        header: &SegmentHeader,
        frames_end: u64,
        footer: Option<&SegmentFooter>,
        at: u64,
    ) -> Self {
        SegmentWatch {
            at,
            header: header.encode(),
            frames_end,
            index_end: frames_end + footer.map_or(0, |footer| footer.index_len),
            footer: footer.map_or_else(Vec::new, |footer| footer.encode().to_vec()),
            salt: header.salt,
            prefix: Vec::with_capacity(FRAME_PREFIX_LEN),
            frame: None,
            page: Vec::new(),
        }
    }

    /// Checks the next bytes. Faults count from the file's start.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let seen = if self.at < self.header.len() as u64 {
                same(&self.header, self.at, 0, bytes, "the header that was read on opening")?
            } else if self.at < self.frames_end {
                self.see_frame(bytes)?
            } else if self.at < self.index_end {
                self.see_page(bytes)?
            } else {
                let what = "the footer that was read on opening";
                same(&self.footer, self.at - self.index_end, self.index_end, bytes, what)?
            };
            bytes = &bytes[seen..];
            self.at += seen as u64;
        }
        Ok(())
    }

    fn see_frame(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let at = self.at;
        let Some(frame) = &mut self.frame else { return self.see_prefix(bytes) };
        if at < frame.end {
            let seen = clamp(frame.end - at, bytes.len());
            frame.crc.update(&bytes[..seen]);
            if at + seen as u64 == frame.end {
                let crc = core::mem::replace(&mut frame.crc, Crc32::new()).finish();
                if crc != frame.stored {
                    let expected = format!("a frame with crc32 {:08x}", frame.stored);
                    return Err(Fault::new(frame.start + 8, expected, format!("{crc:08x}")));
                }
            }
            self.end_frame(at + seen as u64);
            return Ok(seen);
        }
        let seen = clamp(frame.padded_end - at, bytes.len());
        if bytes[..seen].iter().any(|byte| *byte != 0) {
            return Err(Fault::new(at, "zeros behind a frame", "other bytes"));
        }
        self.end_frame(at + seen as u64);
        Ok(seen)
    }

    fn end_frame(&mut self, at: u64) {
        if self.frame.as_ref().is_some_and(|frame| at == frame.padded_end) {
            self.frame = None;
            self.prefix.clear();
        }
    }

    fn see_prefix(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let start = self.at - self.prefix.len() as u64;
        let left = clamp(self.frames_end - self.at, bytes.len());
        let seen = left.min(FRAME_PREFIX_LEN - self.prefix.len());
        self.prefix.extend_from_slice(&bytes[..seen]);
        let prefix = &self.prefix;
        if prefix.len() < FRAME_PREFIX_LEN {
            return match self.at + seen as u64 == self.frames_end {
                true => Err(Fault::new(start, "a whole frame", "the end of the frames")),
                false => Ok(seen),
            };
        }
        let word = |at| read_u32(prefix, at).unwrap_or_default();
        if word(0) != FRAME_MARKER {
            let expected = format!("a frame marker {FRAME_MARKER:08x}");
            return Err(Fault::new(start, expected, format!("{:08x}", word(0))));
        }
        let len = FRAME_PREFIX_LEN + usize_of(word(4));
        let end = start + len as u64;
        // A file may end within the padding of its last frame.
        let padded_end = end.next_multiple_of(FRAME_ALIGN as u64).min(self.frames_end);
        if len < FRAME_HEADER_LEN || end > self.frames_end {
            let found = format!("one of {len} bytes");
            return Err(Fault::new(start + 4, "a frame before the end of the frames", found));
        }
        let mut crc = Crc32::new();
        crc.update(&self.salt.to_le_bytes());
        crc.update(&prefix[4..8]);
        self.frame = Some(Frame { start, end, padded_end, stored: word(8), crc });
        Ok(seen)
    }

    fn see_page(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let left = clamp(self.index_end - self.at, bytes.len());
        let seen = left.min(PAGE_LEN - self.page.len());
        self.page.extend_from_slice(&bytes[..seen]);
        let end = self.at + seen as u64;
        if self.page.len() == PAGE_LEN || end == self.index_end {
            if page_payload(&self.page, self.salt).is_none() {
                let start = end - self.page.len() as u64;
                return Err(Fault::new(start, "a page of the index", "one with another crc32"));
            }
            self.page.clear();
        }
        Ok(seen)
    }
}

/// Compares bytes with what they must be, from `at` on, `base` bytes behind the file's start.
fn same(
    whole: &[u8],
    at: u64,
    base: u64,
    bytes: &[u8],
    expected: &'static str,
) -> Result<usize, Fault> {
    let rest = whole.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
    let len = rest.len().min(bytes.len());
    if len == 0 || rest[..len] != bytes[..len] {
        return Err(Fault::new(base + at, expected, "other bytes"));
    }
    Ok(len)
}

fn clamp(len: u64, max: usize) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(max)
}
