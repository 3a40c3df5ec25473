//! Whole reads and writes over what a browser offers, every count checked.
//!
//! An access handle may read or write fewer bytes than it was asked to, without an exception;
//! a `File` is read through `FileReaderSync`, which is synchronous in a worker. Offsets go
//! through `f64`, which is exact below 2^53.

use annals_core::{FileId, StorageError, StorageErrorKind};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{File, FileReaderSync, FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

use crate::error::{storage_error, thrown_name};

/// The largest whole number below which every `f64` is exact.
const EXACT_MAX: u64 = 1 << 53;
/// What Chromium's `write` returns where there is no space left, instead of throwing: its
/// `FILE_ERROR_NO_SPACE`, -8, as 32 bits without a sign (crbug.com/541725401).
const CHROMIUM_NO_SPACE: f64 = 4_294_967_288.0;

/// Fills `buffer` from `offset` on. The caller has checked that the file is that long.
pub(crate) fn read(
    handle: &FileSystemSyncAccessHandle,
    id: FileId,
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), StorageError> {
    let mut done = 0;
    while done < buffer.len() {
        let at = at(id, "read_exact_at", offset, done)?;
        let rest = &mut buffer[done..];
        let asked = rest.len();
        let count =
            with_options(at, |options| handle.read_with_u8_array_and_options(rest, options))
                .map_err(|thrown| storage_error("read_exact_at", Some(id), &thrown))?;
        done += progress(id, "read_exact_at", count, asked)?;
    }
    Ok(())
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write(
    handle: &FileSystemSyncAccessHandle,
    id: FileId,
    bytes: &[u8],
    offset: u64,
) -> Result<(), StorageError> {
    let mut done = 0;
    while done < bytes.len() {
        let at = at(id, "write_all_at", offset, done)?;
        let rest = &bytes[done..];
        let count =
            with_options(at, |options| handle.write_with_u8_array_and_options(rest, options))
                .map_err(|thrown| storage_error("write_all_at", Some(id), &thrown))?;
        if says_no_space(count) {
            let error = StorageError::new(StorageErrorKind::NoSpace, "write_all_at");
            return Err(error.with_file(id));
        }
        done += progress(id, "write_all_at", count, rest.len())?;
    }
    Ok(())
}

/// Cuts or grows the file.
pub(crate) fn truncate(
    handle: &FileSystemSyncAccessHandle,
    id: FileId,
    len: u64,
) -> Result<(), StorageError> {
    let len = exact(len)
        .ok_or_else(|| StorageError::new(StorageErrorKind::NoSpace, "set_len").with_file(id))?;
    handle.truncate_with_f64(len).map_err(|thrown| storage_error("set_len", Some(id), &thrown))
}

/// The length in bytes.
pub(crate) fn len(handle: &FileSystemSyncAccessHandle, id: FileId) -> Result<u64, StorageError> {
    let size = handle.get_size().map_err(|thrown| storage_error("len", Some(id), &thrown))?;
    whole(size).ok_or_else(|| StorageError::new(StorageErrorKind::Other, "len").with_file(id))
}

/// The length of a closed file in bytes.
pub(crate) fn file_len(file: &File) -> u64 {
    whole(file.size()).unwrap_or_default()
}

/// Fills `buffer` from a closed file. [`StorageErrorKind::NotReady`] where the browser's
/// snapshot of it is no longer good, so that a new one must be fetched.
pub(crate) fn read_closed(
    reader: &FileReaderSync,
    file: &File,
    id: FileId,
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), StorageError> {
    let failed = |thrown: JsValue| match thrown_name(&thrown).as_str() {
        "NotReadableError" | "NotFoundError" => {
            StorageError::new(StorageErrorKind::NotReady, "read_exact_at").with_file(id)
        }
        _ => storage_error("read_exact_at", Some(id), &thrown),
    };
    let out_of_range =
        || StorageError::new(StorageErrorKind::OutOfBounds, "read_exact_at").with_file(id);
    let start = exact(offset).ok_or_else(out_of_range)?;
    let end = offset.checked_add(buffer.len() as u64).and_then(exact).ok_or_else(out_of_range)?;
    let slice = file.slice_with_f64_and_f64(start, end).map_err(failed)?;
    let read = reader.read_as_array_buffer(&slice).map_err(failed)?;
    let bytes = Uint8Array::new(&read);
    if bytes.length() as usize != buffer.len() {
        return Err(StorageError::new(StorageErrorKind::Other, "read_exact_at")
            .with_file(id)
            .with_detail(format!("{} bytes came instead of {}", bytes.length(), buffer.len())));
    }
    bytes.copy_to(buffer);
    Ok(())
}

/// Where the rest of an operation begins.
fn at(id: FileId, operation: &'static str, offset: u64, done: usize) -> Result<f64, StorageError> {
    let at = offset.checked_add(done as u64).and_then(exact);
    at.ok_or_else(|| {
        StorageError::new(StorageErrorKind::NoSpace, operation)
            .with_file(id)
            .with_detail("the offset is beyond what a browser can address")
    })
}

/// Runs `act` with options that say where. They are made once: that takes as long as a read.
fn with_options<T>(at: f64, act: impl FnOnce(&FileSystemReadWriteOptions) -> T) -> T {
    thread_local! {
        static OPTIONS: FileSystemReadWriteOptions = FileSystemReadWriteOptions::new();
    }
    OPTIONS.with(|options| {
        options.set_at(at);
        act(options)
    })
}

/// Whether a write found no space. Firefox writes what fits, and then nothing.
fn says_no_space(count: f64) -> bool {
    [0.0, CHROMIUM_NO_SPACE].contains(&count)
}

/// How many bytes were done, which must be some and not too many.
fn progress(
    id: FileId,
    operation: &'static str,
    count: f64,
    asked: usize,
) -> Result<usize, StorageError> {
    let done = whole(count).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    if (1..=asked).contains(&done) {
        return Ok(done);
    }
    // Without the count: printing an `f64` takes 20 kB of code.
    Err(StorageError::new(StorageErrorKind::Other, operation)
        .with_file(id)
        .with_detail(format!("an impossible number of {asked} bytes was done")))
}

/// A length or an offset as the browser takes it.
#[expect(clippy::cast_precision_loss, reason = "the number was checked to be exact")]
fn exact(number: u64) -> Option<f64> {
    (number < EXACT_MAX).then_some(number as f64)
}

/// A length or a count as the browser gives it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the number was checked to be whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    let in_range = (0.0..EXACT_MAX as f64).contains(&number);
    (in_range && number.fract() == 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_cross_the_border_whole_or_not_at_all() {
        for number in [0, 1, 4096, u64::from(u32::MAX) + 1, EXACT_MAX - 1] {
            assert_eq!(exact(number).and_then(whole), Some(number));
        }
        assert_eq!(exact(EXACT_MAX), None);
        for number in [-1.0, 0.5, f64::NAN, f64::INFINITY, 2_f64.powi(53)] {
            assert_eq!(whole(number), None);
        }
    }

    #[test]
    fn a_write_of_nothing_and_the_number_that_chromium_gives_say_that_there_is_no_space() {
        assert!(says_no_space(0.0) && says_no_space(f64::from(0_u32.wrapping_sub(8))));
        assert!(!says_no_space(1.0) && !says_no_space(f64::NAN));
    }

    #[test]
    fn a_count_of_nothing_or_of_too_much_is_an_error() {
        let id = FileId::segment(1);
        assert_eq!(progress(id, "write_all_at", 3.0, 7).ok(), Some(3));
        for count in [0.0, 8.0, -1.0, 1.5, f64::NAN] {
            let error = progress(id, "write_all_at", count, 7).unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::Other, "{error}");
        }
    }
}
