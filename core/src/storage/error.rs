//! What a storage answers when it can't do what it was asked.
//!
//! The kind is what a caller acts on; operation, file and detail are what a person reads.
//! The host's own error stays reachable through `source()`.

use alloc::{boxed::Box, sync::Arc};
use core::{error::Error, fmt};

use super::FileId;

/// Why a storage operation failed, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// The file to create exists already.
    AlreadyExists,
    /// The disk, the quota or the largest possible file is full.
    NoSpace,
    /// There is no such file.
    NotFound,
    /// The read touches a byte behind the end of the file.
    OutOfBounds,
    /// The storage is read-only, or the host forbids it.
    PermissionDenied,
    /// The host must open this file ahead and has not done so yet.
    NotReady,
    /// Anything else: most often an I/O error.
    Other,
}

impl StorageErrorKind {
    /// What went wrong, and where it helps the next step.
    const fn text(self) -> &'static str {
        match self {
            Self::AlreadyExists => "the file exists already",
            Self::NoSpace => "no space left, free some or raise the quota",
            Self::NotFound => "no such file",
            Self::OutOfBounds => "the read goes past the end of the file",
            Self::PermissionDenied => "permission denied",
            Self::NotReady => "the file is not prepared yet, prepare it and try again",
            Self::Other => "the storage failed",
        }
    }
}

impl fmt::Display for StorageErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A failed storage operation: which one, on which file, and why.
///
/// ```
/// use annals_core::{FileId, StorageError, StorageErrorKind};
///
/// let error = StorageError::new(StorageErrorKind::NotFound, "open").with_file(FileId::segment(3));
/// assert_eq!(error.to_string(), "open 0000000003.seg: no such file");
/// ```
#[derive(Clone, Debug)]
pub struct StorageError {
    // Every answer of a storage is as large as its error.
    parts: Box<Parts>,
}

#[derive(Clone, Debug)]
struct Parts {
    kind: StorageErrorKind,
    operation: &'static str,
    file: Option<FileId>,
    detail: Option<Box<str>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StorageError {
    /// An error of this kind in this operation (the name of a trait method, or what the
    /// adapter did, in lower case).
    #[must_use]
    #[cold]
    pub fn new(kind: StorageErrorKind, operation: &'static str) -> Self {
        let parts = Parts { kind, operation, file: None, detail: None, source: None };
        Self { parts: Box::new(parts) }
    }

    /// Says which file it was about.
    #[must_use]
    pub fn with_file(mut self, file: FileId) -> Self {
        self.parts.file = Some(file);
        self
    }

    /// Says more than the kind does, in lower case and without a full stop.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.parts.detail = Some(detail.into());
        self
    }

    /// Keeps the host's own error as the [`source`](Error::source).
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.parts.source = Some(Arc::new(source));
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> StorageErrorKind {
        self.parts.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.parts.operation
    }

    /// The file it was about, if it was about one.
    #[must_use]
    pub fn file(&self) -> Option<FileId> {
        self.parts.file
    }

    /// More than the kind says, if there is more to say.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.parts.detail.as_deref()
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { kind, operation, file, detail, .. } = &*self.parts;
        f.write_str(operation)?;
        if let Some(file) = file {
            write!(f, " {file}")?;
        }
        write!(f, ": {kind}")?;
        if let Some(detail) = detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.parts.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_error_names_operation_file_kind_and_detail() {
        let error = StorageError::new(StorageErrorKind::NoSpace, "write")
            .with_file(FileId::meta(1))
            .with_detail("at offset 7");
        assert_eq!(
            error.to_string(),
            "write 0000000001.meta: no space left, free some or raise the quota (at offset 7)"
        );
        assert_eq!(error.kind(), StorageErrorKind::NoSpace);
        assert_eq!(error.operation(), "write");
        assert_eq!(error.file(), Some(FileId::meta(1)));
        assert!(error.source().is_none());
    }

    #[test]
    fn the_cause_is_kept_through_a_clone() {
        let cause = StorageError::new(StorageErrorKind::Other, "device");
        let error = StorageError::new(StorageErrorKind::Other, "sync_data").with_source(cause);
        let source = error.clone();
        assert_eq!(
            source.source().map(ToString::to_string),
            Some("device: the storage failed".into())
        );
    }

    #[test]
    fn an_error_can_cross_threads() {
        fn assert_send_sync<T: Send + Sync + 'static>() {}
        assert_send_sync::<StorageError>();
    }
}
