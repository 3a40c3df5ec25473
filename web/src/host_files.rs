//! Files through functions of the host: how the same wasm works over `node:fs`.
//!
//! The host's functions are synchronous and throw errors with a `code`, as Node's do. They may
//! read and write fewer bytes than asked: every count is checked here.

use std::rc::Rc;

use annals_core::{FileId, Storage, StorageError, StorageErrorKind, StorageFile};
use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r"
export interface HostFiles {
  list(): string[];
  create(name: string): HostFile;
  open(name: string): HostFile;
  remove(name: string): void;
  syncDirectory(): void;
}
export interface HostFile {
  length(): number;
  setLength(length: number): void;
  read(buffer: Uint8Array, offset: number): number;
  write(bytes: Uint8Array, offset: number): number;
  sync(): void;
  close(): void;
}
";

#[wasm_bindgen]
extern "C" {
    /// A directory of the host.
    #[wasm_bindgen(typescript_type = "HostFiles")]
    pub type HostFiles;
    #[wasm_bindgen(method, structural, catch)]
    fn list(this: &HostFiles) -> Result<Array, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn create(this: &HostFiles, name: &str) -> Result<HostFile, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn open(this: &HostFiles, name: &str) -> Result<HostFile, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn remove(this: &HostFiles, name: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch, js_name = syncDirectory)]
    fn sync_directory(this: &HostFiles) -> Result<(), JsValue>;

    type HostFile;
    #[wasm_bindgen(method, structural, catch)]
    fn length(this: &HostFile) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, structural, catch, js_name = setLength)]
    fn set_length(this: &HostFile, length: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn read(this: &HostFile, buffer: &mut [u8], offset: f64) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn write(this: &HostFile, bytes: &[u8], offset: f64) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    fn sync(this: &HostFile) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural)]
    fn close(this: &HostFile);
}

/// The storage trait over [`HostFiles`].
#[derive(Clone)]
pub(crate) struct HostStorage {
    files: Rc<HostFiles>,
    dir_sync_failed: Rc<std::cell::Cell<bool>>,
}

impl HostStorage {
    pub(crate) fn new(files: HostFiles) -> Self {
        Self { files: Rc::new(files), dir_sync_failed: Rc::default() }
    }
}

impl Storage for HostStorage {
    type File = OpenHostFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        let names = self.files.list().map_err(|thrown| error("list", None, &thrown))?;
        let names = names.iter().filter_map(|name| name.as_string());
        let mut ids: Vec<FileId> = names.filter_map(|name| FileId::parse(&name)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn create(&self, id: FileId) -> Result<OpenHostFile, StorageError> {
        let file = self.files.create(&id.name());
        Ok(OpenHostFile::new(id, file.map_err(|thrown| error("create", Some(id), &thrown))?))
    }

    fn open(&self, id: FileId) -> Result<OpenHostFile, StorageError> {
        let file = self.files.open(&id.name());
        Ok(OpenHostFile::new(id, file.map_err(|thrown| error("open", Some(id), &thrown))?))
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.files.remove(&id.name()).map_err(|thrown| error("remove", Some(id), &thrown))
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        if self.dir_sync_failed.get() {
            let error = StorageError::new(StorageErrorKind::Other, "sync_dir");
            return Err(error.with_detail("an earlier sync of the directory failed"));
        }
        self.files.sync_directory().map_err(|thrown| {
            self.dir_sync_failed.set(true);
            error("sync_dir", None, &thrown)
        })
    }
}

/// An open file of a [`HostStorage`].
pub(crate) struct OpenHostFile {
    id: FileId,
    file: HostFile,
    sync_failed: std::cell::Cell<bool>,
}

impl OpenHostFile {
    fn new(id: FileId, file: HostFile) -> Self {
        Self { id, file, sync_failed: std::cell::Cell::new(false) }
    }

    fn error(&self, operation: &'static str, thrown: &JsValue) -> StorageError {
        error(operation, Some(self.id), thrown)
    }

    fn count_error(&self, operation: &'static str, count: u32, asked: usize) -> StorageError {
        StorageError::new(StorageErrorKind::Other, operation)
            .with_file(self.id)
            .with_detail(format!("{count} of {asked} bytes were done"))
    }
}

impl Drop for OpenHostFile {
    fn drop(&mut self) {
        self.file.close();
    }
}

impl StorageFile for OpenHostFile {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a length is a whole number below 2^53"
    )]
    fn len(&self) -> Result<u64, StorageError> {
        self.file.length().map(|len| len as u64).map_err(|thrown| self.error("len", &thrown))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        let too_long = || StorageError::new(StorageErrorKind::NoSpace, "set_len");
        let len = exact(len).ok_or_else(too_long)?;
        self.file.set_length(len).map_err(|thrown| self.error("set_len", &thrown))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        const OPERATION: &str = "read_exact_at";
        let out_of_bounds =
            || StorageError::new(StorageErrorKind::OutOfBounds, OPERATION).with_file(self.id);
        let end = offset.checked_add(buf.len() as u64).ok_or_else(out_of_bounds)?;
        if buf.is_empty() {
            return if end > self.len()? { Err(out_of_bounds()) } else { Ok(()) };
        }
        let mut done = 0;
        while done < buf.len() {
            let at = exact(offset + done as u64).ok_or_else(out_of_bounds)?;
            let rest = &mut buf[done..];
            let asked = rest.len();
            let count = self.file.read(rest, at).map_err(|e| self.error(OPERATION, &e))?;
            match usize::try_from(count) {
                Ok(0) if end > self.len()? => return Err(out_of_bounds()),
                Ok(read) if (1..=asked).contains(&read) => done += read,
                _ => return Err(self.count_error(OPERATION, count, asked)),
            }
        }
        Ok(())
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        const OPERATION: &str = "write_all_at";
        let too_far = || StorageError::new(StorageErrorKind::NoSpace, OPERATION).with_file(self.id);
        let mut done = 0;
        while done < buf.len() {
            let at = offset.checked_add(done as u64).and_then(exact).ok_or_else(too_far)?;
            let rest = &buf[done..];
            let count = self.file.write(rest, at).map_err(|e| self.error(OPERATION, &e))?;
            match usize::try_from(count) {
                Ok(written) if (1..=rest.len()).contains(&written) => done += written,
                _ => return Err(self.count_error(OPERATION, count, rest.len())),
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        if self.sync_failed.get() {
            let error = StorageError::new(StorageErrorKind::Other, "sync_data").with_file(self.id);
            return Err(error.with_detail("an earlier sync of this file failed"));
        }
        self.file.sync().map_err(|thrown| {
            self.sync_failed.set(true);
            self.error("sync_data", &thrown)
        })
    }
}

fn error(operation: &'static str, id: Option<FileId>, thrown: &JsValue) -> StorageError {
    let text = |key: &str| {
        let value = Reflect::get(thrown, &JsValue::from_str(key)).ok()?;
        value.dyn_into::<js_sys::JsString>().ok().map(String::from)
    };
    let kind = match text("code").as_deref() {
        Some("EEXIST") => StorageErrorKind::AlreadyExists,
        Some("ENOENT") => StorageErrorKind::NotFound,
        Some("ENOSPC" | "EDQUOT" | "EFBIG") => StorageErrorKind::NoSpace,
        Some("EACCES" | "EPERM" | "EROFS") => StorageErrorKind::PermissionDenied,
        _ => StorageErrorKind::Other,
    };
    let detail = text("message").unwrap_or_else(|| "something that is no error".into());
    let error = StorageError::new(kind, operation).with_detail(detail);
    match id {
        Some(id) => error.with_file(id),
        None => error,
    }
}

/// A length or an offset as the host takes it: exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "the number was checked to be exact")]
fn exact(number: u64) -> Option<f64> {
    (number < 1 << 53).then_some(number as f64)
}
