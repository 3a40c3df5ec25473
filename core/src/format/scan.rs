//! Walking the frames of a segment, and judging what stands behind the last of them.
//!
//! A segment that was being written when its process ended has a tail that may be torn. What
//! tells a torn tail from damage is `synced_len`: a valid frame *behind* the first bad place that
//! vouches for more bytes than lie before that place proves that data promised durable is gone.

use super::Fault;
use super::frame::{FRAME_ALIGN, FRAME_HEADER_LEN, FRAME_MARKER, FrameAt, FrameRef};
use core::convert::Infallible;

/// Bytes of a file, at hand piece by piece.
pub trait Source {
    /// Why bytes could not be had. Never the end of the file.
    type Error;
    /// All bytes there are.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// At least `needed` bytes from `offset` on, fewer only where the file ends before.
    ///
    /// # Errors
    ///
    /// Where reading fails.
    fn bytes_at(&mut self, offset: u64, needed: usize) -> Result<&[u8], Self::Error>;
}

impl Source for &[u8] {
    type Error = Infallible;

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn bytes_at(&mut self, offset: u64, _needed: usize) -> Result<&[u8], Infallible> {
        let from =
            usize::try_from(offset).map_or(<[u8]>::len(self), |at| at.min(<[u8]>::len(self)));
        Ok(&self[from..])
    }
}

/// Where a walk over frames ended, and what stood there instead of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanEnd {
    /// The first byte that no valid frame covers: where the next frame goes. It lies behind the
    /// end of a file that was cut within the padding of its last frame.
    pub offset: u64,
    /// Why it is no frame; `None` at the end of what was to be walked.
    pub fault: Option<Fault>,
}

/// Shows `visit` every frame from `start` on, with its offset, until `end` or the first place
/// where no valid frame stands.
///
/// # Errors
///
/// The source's, and whatever `visit` returns.
pub fn frames<S: Source, E: From<S::Error>>(
    source: &mut S,
    start: u64,
    end: u64,
    salt: u32,
    mut visit: impl FnMut(u64, FrameRef<'_>) -> Result<(), E>,
) -> Result<ScanEnd, E> {
    let mut offset = start;
    let mut needed = FRAME_HEADER_LEN;
    while offset < end {
        let bytes = source.bytes_at(offset, needed)?;
        match FrameRef::at(bytes, end - offset, salt) {
            FrameAt::Frame(frame) => {
                visit(offset, frame)?;
                offset = offset.saturating_add(frame.len as u64);
                needed = FRAME_HEADER_LEN;
            }
            FrameAt::Incomplete { needed: more } if more > bytes.len() && more > needed => {
                needed = more;
            }
            FrameAt::Incomplete { .. } => {
                let fault = Fault::new(offset, "a whole frame", "the end of the file");
                return Ok(ScanEnd { offset, fault: Some(fault) });
            }
            FrameAt::Invalid(fault) => {
                return Ok(ScanEnd { offset, fault: Some(fault.behind(offset)) });
            }
        }
    }
    Ok(ScanEnd { offset, fault: None })
}

/// What stands behind the last frame of an unsealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Bytes up to the last one that is not zero: 0 for a preallocated or clean end.
    pub torn_len: u64,
    /// The first valid frame there that vouches for bytes behind the end, with its `synced_len`.
    pub vouched: Option<(u64, u64)>,
}

/// Judges the bytes from `end` on, where the walk over the frames ended.
///
/// # Errors
///
/// The source's.
pub fn tail<S: Source>(source: &mut S, end: u64, salt: u32) -> Result<Tail, S::Error> {
    let mut tail = Tail { torn_len: 0, vouched: None };
    let mut offset = end;
    let len = source.len();
    while offset < len {
        let bytes = source.bytes_at(offset, TAIL_STEP)?;
        let step = bytes.len().min(TAIL_STEP);
        if step == 0 {
            break;
        }
        if let Some(last) = bytes[..step].iter().rposition(|byte| *byte != 0) {
            tail.torn_len = offset - end + last as u64 + 1;
            if let Some(vouched) = vouched_in(source, offset, step, end, salt)? {
                tail.vouched = Some(vouched);
                return Ok(tail);
            }
        }
        offset += step as u64;
    }
    Ok(tail)
}

/// How many bytes of a tail are looked at in one go; a multiple of the frame alignment.
const TAIL_STEP: usize = 256 * 1024;

/// The first frame that starts within `step` bytes from `offset` and vouches for more than `end`.
fn vouched_in<S: Source>(
    source: &mut S,
    offset: u64,
    step: usize,
    end: u64,
    salt: u32,
) -> Result<Option<(u64, u64)>, S::Error> {
    let marker = FRAME_MARKER.to_le_bytes();
    let mut at = usize::try_from(offset.next_multiple_of(FRAME_ALIGN as u64) - offset)
        .expect("less than the alignment");
    while at < step {
        let place = offset + at as u64;
        let bytes = source.bytes_at(place, step - at)?;
        let within = (step - at).min(bytes.len());
        let Some(hit) = bytes[..within]
            .chunks_exact(FRAME_ALIGN)
            .position(|chunk| chunk.starts_with(&marker))
            .map(|chunk| chunk * FRAME_ALIGN)
        else {
            return Ok(None);
        };
        let place = place + hit as u64;
        if let Some(synced_len) = frame_synced_len(source, place, salt)?
            && synced_len > end
        {
            return Ok(Some((place, synced_len)));
        }
        at += hit + FRAME_ALIGN;
    }
    Ok(None)
}

fn frame_synced_len<S: Source>(
    source: &mut S,
    place: u64,
    salt: u32,
) -> Result<Option<u64>, S::Error> {
    let remaining = source.len() - place;
    let mut needed = FRAME_HEADER_LEN;
    loop {
        let bytes = source.bytes_at(place, needed)?;
        match FrameRef::at(bytes, remaining, salt) {
            FrameAt::Frame(frame) => return Ok(Some(frame.synced_len)),
            FrameAt::Incomplete { needed: more } if more > bytes.len() && more > needed => {
                needed = more;
            }
            FrameAt::Incomplete { .. } | FrameAt::Invalid(_) => return Ok(None),
        }
    }
}
