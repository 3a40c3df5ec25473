//! Reads and writes at an offset, whole or not at all as far as the caller can tell.
//!
//! The operating system may move fewer bytes than asked; every count is checked. Neither
//! platform's call depends on a cursor, so any number of threads may share a descriptor.

use std::{fs::File, io};

/// Fills `buf` from `offset`; `UnexpectedEof` if the file ends before that.
pub(super) fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    check_range(buf.len(), offset, io::ErrorKind::UnexpectedEof)?;
    platform::read_exact_at(file, buf, offset)
}

/// Writes all of `buf` at `offset`.
pub(super) fn write_all_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
    check_range(buf.len(), offset, io::ErrorKind::FileTooLarge)?;
    platform::write_all_at(file, buf, offset)
}

/// Offsets are signed on every platform; one that does not fit lies behind any end.
fn check_range(len: usize, offset: u64, otherwise: io::ErrorKind) -> io::Result<()> {
    let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
    match end {
        Some(end) if i64::try_from(end).is_ok() => Ok(()),
        _ => Err(otherwise.into()),
    }
}

#[cfg(unix)]
mod platform {
    use std::{fs::File, io, os::unix::fs::FileExt};

    pub(super) fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(file, buf, offset)
    }

    pub(super) fn write_all_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(file, buf, offset)
    }
}

#[cfg(windows)]
mod platform {
    use std::{fs::File, io, os::windows::fs::FileExt};

    pub(super) fn read_exact_at(
        file: &File,
        mut buf: &mut [u8],
        mut offset: u64,
    ) -> io::Result<()> {
        while !buf.is_empty() {
            match file.seek_read(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buf = &mut buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn write_all_at(file: &File, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match file.seek_write(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    buf = &buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
