//! Rows of CSV: the first names the columns, every value is text.

use crate::failure::Failure;
use crate::import::line_count::{LineCount, LineReader, counted};
use crate::import::row::{BadRow, Refused, RowPlan, Source};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde::Serializer;
use serde::ser::SerializeMap;
use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

/// See the module.
pub(super) struct CsvSource<R> {
    reader: Reader<LineReader<R>>,
    lines: LineCount,
    columns: StringRecord,
    bytes: ByteRecord,
    row: StringRecord,
}

impl<R: Read> CsvSource<R> {
    /// Reads the header and checks that the planned columns are in it.
    pub(super) fn open(reader: R, delimiter: u8, plan: &RowPlan) -> Result<Self, Failure> {
        let (reader, lines) = counted(reader);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(reader);
        let columns = reader.headers().map_err(|error| unreadable(&error))?.clone();
        if columns.is_empty() {
            return Err(Failure::usage("there is no header, as there is no row at all"));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
            return Err(Failure::usage(format!("the header names the column {twice:?} twice")));
        }
        for column in plan.columns() {
            if !seen.contains(column) {
                let names: Vec<_> = columns.iter().map(|name| format!("{name:?}")).collect();
                let message = format!("there is no column {column:?}");
                return Err(
                    Failure::usage(message).hint(format!("its columns are {}", names.join(", ")))
                );
            }
        }
        let (bytes, row) = (ByteRecord::new(), StringRecord::new());
        Ok(CsvSource { reader, lines, columns, bytes, row })
    }
}

impl<R: Read> Source for CsvSource<R> {
    fn advance(&mut self) -> Option<Result<u64, Refused>> {
        let read = self.reader.read_byte_record(&mut self.bytes);
        if let Ok(false) = read {
            return None;
        }
        let inner = self.bytes.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = self.lines.first_line(self.reader.position().byte(), inner);
        if let Err(error) = read {
            return Some(Err(refused(&error, line)));
        }
        match StringRecord::from_byte_record(self.bytes.clone()) {
            Ok(row) => {
                self.row = row;
                Some(Ok(line))
            }
            Err(error) => {
                let field = error.utf8_error().field();
                let column = self.columns.get(field).map(Into::into);
                let problem = "the text is not UTF-8".into();
                Some(Err(Refused::Row(BadRow { line, column, problem })))
            }
        }
    }

    fn text(&self, column: &str) -> Result<Cow<'_, str>, &'static str> {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| self.row.get(at)).map(Cow::Borrowed).ok_or("is missing")
    }

    fn payload(&self, left_out: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.row.as_slice().len() * 2);
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let entries = self.columns.iter().zip(&self.row);
        let kept = entries.filter(|(column, _)| !left_out.contains(column));
        let mut map = serializer.serialize_map(None).expect("a vector takes all");
        for (column, value) in kept {
            map.serialize_entry(column, value).expect("a vector takes all");
        }
        map.end().expect("a vector takes all");
        bytes
    }
}

fn refused(error: &csv::Error, line: u64) -> Refused {
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let problem = format!("{len} fields, where the header has {expected_len}");
            Refused::Row(BadRow { line, column: None, problem })
        }
        _ => Refused::Import(unreadable(error)),
    }
}

fn unreadable(error: &csv::Error) -> Failure {
    Failure::unreadable("the input", error)
}
