//! From a row to an event: which columns say what, and what is wrong where they don't.

use crate::args::ImportArgs;
use crate::failure::Failure;
use crate::time::TimeFormat;
use annals::{Append, AppendOptions, Coordinate, EventId, EventKind, Payload, PayloadFormat};
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// A format of rows. It stands on one row at a time.
pub(super) trait Source {
    /// Goes on to the next row and tells its first line, from 1; `None` at the end.
    fn advance(&mut self) -> Option<Result<u64, Refused>>;
    /// The text of a column of this row, or what is wrong with it.
    fn text(&self, column: &str) -> Result<Cow<'_, str>, &'static str>;
    /// The row as a JSON object, but for these columns.
    fn payload(&self, left_out: &[&str]) -> Vec<u8>;
}

/// Why a row was not appended.
#[derive(Debug)]
pub(super) enum Refused {
    /// The row itself can't be an event.
    Row(BadRow),
    /// The import can't go on.
    Import(Failure),
}

/// A row that can't be an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct BadRow {
    /// Its first line, from 1.
    pub(super) line: u64,
    /// The column that is wrong, if it is one.
    pub(super) column: Option<String>,
    /// What is wrong.
    pub(super) problem: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What makes each part of an event.
#[derive(Debug)]
pub(super) struct RowPlan {
    entity: String,
    scope: From,
    kind: From,
    time: Option<(String, TimeFormat)>,
    key: Key,
    keep_columns: bool,
}

/// A column, or the same text for every row.
#[derive(Debug)]
enum From {
    Column(String),
    Value(String),
}

/// What makes a row unique.
#[derive(Debug)]
enum Key {
    None,
    Column(String),
    /// The line, behind the name of the file.
    Line(String),
}

/// An event to be, but for the number of its kind.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) coordinate: Coordinate,
    /// The text that says the kind.
    pub(super) kind: String,
    /// `None`: as it is read.
    pub(super) time_us: Option<i64>,
    key: Option<EventId>,
    payload: Vec<u8>,
}

impl Row {
    pub(super) fn append(self, kind: EventKind) -> Append {
        let options = AppendOptions { idempotency_key: self.key, ..AppendOptions::default() };
        let payload = Payload::from_parts(PayloadFormat::Json, 1, self.payload);
        Append::new(self.coordinate, kind, payload).with_options(options)
    }
}

impl RowPlan {
    pub(super) fn new(args: &ImportArgs) -> Result<Self, Failure> {
        let either = |column: &Option<String>, value: &Option<String>| match (column, value) {
            (Some(column), _) => From::Column(column.clone()),
            (None, value) => From::Value(value.clone().unwrap_or_default()),
        };
        let time_format = TimeFormat { unit: args.time_unit, utc: args.utc };
        Ok(RowPlan {
            entity: args.entity.clone(),
            scope: either(&args.scope, &args.scope_value),
            kind: either(&args.kind, &args.kind_name),
            time: args.time.clone().map(|column| (column, time_format)),
            key: Key::new(args)?,
            keep_columns: args.keep_columns,
        })
    }

    /// The columns that must be there.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let key = match &self.key {
            Key::Column(column) => Some(column.as_str()),
            Key::None | Key::Line(_) => None,
        };
        self.left_out().chain(key)
    }

    /// The column that says the kind, if one does.
    pub(super) fn kind_column(&self) -> Option<&str> {
        self.kind.column()
    }

    /// The row that the source stands on.
    pub(super) fn row(&self, source: &dyn Source, line: u64) -> Result<Row, Refused> {
        let bad = |column: &str, problem: String| {
            Refused::Row(BadRow { line, column: Some(column.into()), problem })
        };
        let text =
            |column: &str| source.text(column).map_err(|problem| bad(column, problem.into()));
        let entity = text(&self.entity)?;
        let scope = self.scope.text(text)?;
        let coordinate = Coordinate::new(&entity, &scope).map_err(|error| {
            let message = error.to_string();
            let is_scope = message.starts_with("scope");
            let column = if is_scope { self.scope.column() } else { Some(&*self.entity) };
            Refused::Row(BadRow { line, column: column.map(Into::into), problem: message })
        })?;
        let kind = self.kind.text(text)?.into_owned();
        let time_us = match &self.time {
            None => None,
            Some((column, format)) => {
                let time = text(column)?;
                let parsed = format.parse_us(&time);
                Some(parsed.map_err(|problem| bad(column, format!("{time:?} {problem}")))?)
            }
        };
        let key = match &self.key {
            Key::None => None,
            Key::Line(file) => Some(EventId::from_key(&format!("{file}:{line}"))),
            Key::Column(column) => match &*text(column)? {
                "" => return Err(bad(column, "the key is empty".into())),
                key => Some(EventId::from_key(key)),
            },
        };
        let left_out: Vec<&str> = match self.keep_columns {
            true => Vec::new(),
            false => self.left_out().collect(),
        };
        Ok(Row { coordinate, kind, time_us, key, payload: source.payload(&left_out) })
    }

    fn left_out(&self) -> impl Iterator<Item = &str> {
        let time = self.time.as_ref().map(|(column, _)| column.as_str());
        let columns = [Some(self.entity.as_str()), self.scope.column(), self.kind.column(), time];
        columns.into_iter().flatten()
    }
}

impl From {
    fn column(&self) -> Option<&str> {
        match self {
            From::Column(column) => Some(column),
            From::Value(_) => None,
        }
    }

    fn text<'a, E>(
        &'a self,
        text_of: impl Fn(&str) -> Result<Cow<'a, str>, E>,
    ) -> Result<Cow<'a, str>, E> {
        match self {
            From::Column(column) => text_of(column),
            From::Value(value) => Ok(Cow::Borrowed(value)),
        }
    }
}

impl Key {
    fn new(args: &ImportArgs) -> Result<Self, Failure> {
        if let Some(column) = &args.key {
            return Ok(Key::Column(column.clone()));
        }
        if !args.key_row {
            return Ok(Key::None);
        }
        if args.file == Path::new("-") {
            return Err(Failure::usage("--key-row needs a file: stdin has no name")
                .hint("name the column that makes a row unique with --key COL"));
        }
        let name = args.file.file_name().and_then(OsStr::to_str);
        let none = || Failure::usage("--key-row needs a file with a name in UTF-8");
        name.map(|name| Key::Line(name.into())).ok_or_else(none)
    }
}
