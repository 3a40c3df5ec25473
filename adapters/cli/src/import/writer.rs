//! Rows into the log: each staged on its own with its own time, many written and synced at once.

use crate::failure::Failure;
use crate::import::row::{BadRow, Refused};
use crate::kind_names;
use crate::open::{self, of_store};
use annals::{Append, EventKind, FsStorage, Host, Log, Staged, StoreError};
use jiff::Timestamp;
use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::slice;

/// Bytes that are written at the latest, however few rows they are.
const STAGED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// See the module.
pub(super) struct RowWriter {
    dir: PathBuf,
    log: Log<FsStorage, RowHost>,
    clock: Rc<Cell<Option<i64>>>,
    batch: usize,
    staged: usize,
    kinds: HashMap<String, EventKind>,
    merged: Vec<MergedKind>,
}

/// A text that became the same kind as another text before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MergedKind {
    pub(super) text: String,
    pub(super) earlier: String,
}

impl RowWriter {
    /// Opens the store, or begins one. `batch` rows are written and synced together.
    pub(super) fn open(dir: &Path, batch: u32) -> Result<Self, Failure> {
        let clock = Rc::new(Cell::new(None));
        let log = open::for_appending(dir, RowHost { time_us: Rc::clone(&clock) })?;
        Ok(RowWriter {
            dir: dir.into(),
            log,
            clock,
            batch: usize::try_from(batch).unwrap_or(usize::MAX),
            staged: 0,
            kinds: HashMap::new(),
            merged: Vec::new(),
        })
    }

    /// The kind that a text stands for, made known to the store if it is new.
    pub(super) fn kind(
        &mut self,
        text: &str,
        line: u64,
        column: Option<&str>,
    ) -> Result<EventKind, Refused> {
        if let Some(kind) = self.kinds.get(text) {
            return Ok(*kind);
        }
        let Some(name) = kind_names::name_of(text) else {
            let problem = format!("{text:?} has no letter or digit to name a kind with");
            return Err(Refused::Row(BadRow { line, column: column.map(Into::into), problem }));
        };
        self.clock.set(None);
        let kind = self.log.kind_for_name(&name);
        let kind = kind.map_err(|error| self.refused(error, line, column))?;
        if let Some((earlier, _)) = self.kinds.iter().find(|(_, known)| **known == kind) {
            self.merged.push(MergedKind { text: text.into(), earlier: earlier.clone() });
        }
        self.kinds.insert(text.into(), kind);
        Ok(kind)
    }

    /// Stages an event; `false` where its key says that it is there already.
    pub(super) fn append(
        &mut self,
        append: &Append,
        time_us: Option<i64>,
        line: u64,
    ) -> Result<bool, Refused> {
        loop {
            self.clock.set(time_us);
            match self.log.stage(slice::from_ref(append), None) {
                Ok(Staged::Known(_)) => return Ok(false),
                // A key of an earlier row of this batch answers with that row's place.
                Ok(Staged::Group(range)) if range.start < self.staged => return Ok(false),
                Ok(Staged::Group(range)) => {
                    self.staged = range.end;
                    return Ok(true);
                }
                Err(error) => return Err(self.refused(error, line, None)),
                // The group is full: what is staged goes first.
                Ok(_) => self.commit().map_err(Refused::Import)?,
            }
        }
    }

    /// Whether it is time to commit.
    pub(super) fn is_full(&self) -> bool {
        self.staged >= self.batch || self.log.staged_bytes() >= STAGED_BYTES_MAX
    }

    /// Writes and syncs what is staged.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        self.staged = 0;
        self.log.commit(|_, _| {}).map_err(|error| of_store(&self.dir, error))
    }

    /// Commits what is staged and closes the store.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.commit()?;
        self.log.close().map_err(|error| of_store(&self.dir, error))
    }

    /// The texts that became one kind with another text.
    pub(super) fn take_merged(&mut self) -> Vec<MergedKind> {
        std::mem::take(&mut self.merged)
    }

    /// Whether it is the row that is wrong, or more than that.
    fn refused(&self, error: StoreError, line: u64, column: Option<&str>) -> Refused {
        match error {
            StoreError::IdempotencyConflict { .. }
            | StoreError::Limit(_)
            | StoreError::Codec(_)
            | StoreError::KindName(_)
            | StoreError::NameConflict { .. } => {
                let column = column.map(Into::into);
                Refused::Row(BadRow { line, column, problem: error.to_string() })
            }
            error => Refused::Import(of_store(&self.dir, error)),
        }
    }
}

/// A host whose clock reads what a row says, or the system's time where no row says any.
struct RowHost {
    time_us: Rc<Cell<Option<i64>>>,
}

impl Host for RowHost {
    fn now_us(&self) -> i64 {
        self.time_us.get().unwrap_or_else(|| Timestamp::now().as_microsecond())
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system gives random bytes");
    }
}
