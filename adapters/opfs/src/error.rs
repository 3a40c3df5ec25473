//! From what a browser throws to what a caller acts on.
//!
//! A thrown value is told by its `name` alone: messages differ between browsers and versions.

use annals_core::{FileId, StorageError, StorageErrorKind};
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// Why files could not be opened, opened ahead or deleted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpfsError {
    /// Another worker holds the store, and did not let go of it in time.
    #[error("{file} is held by another worker for more than {waited_ms} ms")]
    Busy {
        /// The name of the file that could not be opened.
        file: String,
        /// How long it was tried, in milliseconds.
        waited_ms: u32,
    },
    /// There is no such file system here: a private window, or an old browser.
    #[error("the origin private file system is not available ({reason})")]
    Unavailable {
        /// What the browser said.
        reason: String,
    },
    /// The browser refused for another reason.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The `name` of something thrown: of a `DOMException`, what it is.
pub(crate) fn thrown_name(thrown: &JsValue) -> String {
    text_of(thrown, "name").unwrap_or_default()
}

/// A storage error for something thrown, by its name.
pub(crate) fn storage_error(
    operation: &'static str,
    file: Option<FileId>,
    thrown: &JsValue,
) -> StorageError {
    let kind = match thrown_name(thrown).as_str() {
        "QuotaExceededError" => StorageErrorKind::NoSpace,
        "NotAllowedError" | "SecurityError" => StorageErrorKind::PermissionDenied,
        _ => StorageErrorKind::Other,
    };
    let error = StorageError::new(kind, operation).with_detail(describe(thrown));
    match file {
        Some(file) => error.with_file(file),
        None => error,
    }
}

/// Name and message of something thrown, for a person.
pub(crate) fn describe(thrown: &JsValue) -> String {
    match (text_of(thrown, "name"), text_of(thrown, "message")) {
        (Some(name), Some(message)) if !message.is_empty() => format!("{name}: {message}"),
        (Some(name), _) => name,
        _ => thrown.as_string().unwrap_or_else(|| "something that is no error".into()),
    }
}

fn text_of(thrown: &JsValue, property: &str) -> Option<String> {
    Reflect::get(thrown, &JsValue::from_str(property)).ok()?.as_string()
}
