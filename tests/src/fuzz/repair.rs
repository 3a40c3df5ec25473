//! Makes checksums right again, so that what is behind them is reached. As `docs/FORMAT.md` has them.

/// The CRC of a salt, if there is one, and of ranges behind it.
fn crc(salt: Option<u32>, ranges: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    if let Some(salt) = salt {
        hasher.update(&salt.to_le_bytes());
    }
    ranges.iter().for_each(|range| hasher.update(range));
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn len_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// The header, frames, records, index pages and the footer of a segment.
pub fn repair_segment(bytes: &mut [u8]) {
    let _ = repair_segment_header(bytes);
    let (Some(salt), Some(header_len)) = (u32_at(bytes, 56), len_at(bytes, 12)) else { return };
    let mut at = header_len;
    while let Some(next) = repair_frame(bytes, at, salt) {
        at = next;
    }
    let _ = repair_end(bytes, salt);
}

fn repair_segment_header(bytes: &mut [u8]) -> Option<()> {
    let crc_at = len_at(bytes, 60)?.checked_mul(8)?.checked_add(96)?;
    let value = crc(None, &[bytes.get(..crc_at)?]);
    u32_at(bytes, crc_at)?;
    put(bytes, crc_at, value);
    Some(())
}

/// Where the next frame stands.
fn repair_frame(bytes: &mut [u8], at: usize, salt: u32) -> Option<usize> {
    if u32_at(bytes, at)? != 0xA771_15F0 {
        return None;
    }
    let end = len_at(bytes, at + 4)?.checked_add(at)?.checked_add(12)?;
    if end > bytes.len() || end < at + 32 {
        return None;
    }
    let mut record = at + 32;
    while let Some(len) = len_at(&bytes[..end], record + 4) {
        let Some(record_end) = len.checked_add(record + 8).filter(|place| *place <= end) else {
            break;
        };
        let value = crc(Some(salt), &[&bytes[record + 4..record_end]]);
        put(bytes, record, value);
        record = record_end;
    }
    let value = crc(Some(salt), &[&bytes[at + 4..at + 8], &bytes[at + 12..end]]);
    put(bytes, at + 8, value);
    Some(end.next_multiple_of(8))
}

fn repair_end(bytes: &mut [u8], salt: u32) -> Option<()> {
    let footer = bytes.len().checked_sub(256)?;
    if &bytes[footer..footer + 8] != b"ANNALEND" {
        return None;
    }
    let frames_end = len_at(bytes, footer + 16)?;
    for page in bytes.get_mut(frames_end..footer)?.chunks_mut(16_384) {
        let Some(crc_at) = page.len().checked_sub(4) else { break };
        let value = crc(Some(salt), &[&page[..crc_at]]);
        put(page, crc_at, value);
    }
    let value = crc(None, &[&bytes[footer..footer + 252]]);
    put(bytes, footer + 252, value);
    Some(())
}

/// The header and the frames of a file of the meta log.
pub fn repair_meta(bytes: &mut [u8]) {
    if bytes.len() < 64 {
        return;
    }
    let value = crc(None, &[&bytes[..60]]);
    put(bytes, 60, value);
    let salt = crc(None, &[&bytes[48..52], &bytes[16..32], &bytes[32..40]]);
    let mut at = 64;
    while let Some(0xA771_3E7A) = u32_at(bytes, at) {
        let end = len_at(bytes, at + 4).and_then(|len| len.checked_add(at + 12));
        let Some(end) = end.filter(|end| *end <= bytes.len() && *end >= at + 24) else { break };
        let value = crc(Some(salt), &[&bytes[at + 4..at + 8], &bytes[at + 12..end]]);
        put(bytes, at + 8, value);
        at = end.next_multiple_of(8);
    }
}

/// The sections of a backup, the segments in them, and the hash at its end.
pub fn repair_backup(bytes: &mut [u8]) {
    let mut sections = Vec::new();
    let mut at = 0;
    while let Some(0xA771_BACC) = u32_at(bytes, at) {
        let end = len_at(bytes, at + 4).and_then(|len| len.checked_add(at + 12));
        let Some(end) = end.filter(|end| *end <= bytes.len() && *end >= at + 24) else { break };
        sections.push((at, end, u32_at(bytes, at + 20)));
        at = end.next_multiple_of(8);
    }
    // A segment's data stands in the sections behind the one that announces it.
    for run in sections.chunk_by(|_, (.., kind)| *kind == Some(4)) {
        let data = run.iter().filter(|(.., kind)| *kind == Some(4));
        let ranges: Vec<_> = data.map(|(at, end, _)| at + 24..*end).collect();
        let segment = ranges.iter().flat_map(|range| &bytes[range.clone()]);
        let mut segment: Vec<u8> = segment.copied().collect();
        repair_segment(&mut segment);
        let mut repaired = segment.into_iter();
        for place in ranges.into_iter().flatten() {
            bytes[place] = repaired.next().expect("as many as there were");
        }
    }
    for (at, end, kind) in sections {
        if kind == Some(5) && end == at + 24 + 32 {
            let hash = blake3::hash(&bytes[..at]);
            bytes[at + 24..end].copy_from_slice(hash.as_bytes());
        }
        let value = crc(Some(0), &[&bytes[at + 4..at + 8], &bytes[at + 12..end]]);
        put(bytes, at + 8, value);
    }
}
