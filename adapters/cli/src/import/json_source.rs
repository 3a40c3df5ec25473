//! Rows of JSON Lines: one object a line, every value kept exactly as it is written.

use crate::failure::Failure;
use crate::import::row::{BadRow, Refused, Source};
use annals::PAYLOAD_LEN_MAX;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};

/// More than any payload and what stands beside it.
const LINE_LEN_MAX: u64 = PAYLOAD_LEN_MAX as u64 + 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// See the module.
pub(super) struct JsonSource<R> {
    reader: R,
    line: u64,
    bytes: Vec<u8>,
    fields: Fields,
}

/// The members of an object in their order.
#[derive(Debug, Default)]
struct Fields(Vec<(String, Box<RawValue>)>);

impl<R: BufRead> JsonSource<R> {
    pub(super) fn new(reader: R) -> Self {
        JsonSource { reader, line: 0, bytes: Vec::new(), fields: Fields::default() }
    }

    /// Reads the next line that is not blank; `false` at the end.
    fn next_line(&mut self) -> Result<bool, Failure> {
        loop {
            self.bytes.clear();
            let mut limited = self.reader.by_ref().take(LINE_LEN_MAX);
            let read = limited.read_until(b'\n', &mut self.bytes);
            let len = read.map_err(|error| Failure::unreadable("the input", &error))?;
            if len == 0 {
                return Ok(false);
            }
            self.line += 1;
            if len as u64 == LINE_LEN_MAX && !self.bytes.ends_with(b"\n") {
                let message = format!("line {} has more than {LINE_LEN_MAX} bytes", self.line);
                return Err(Failure::no(message));
            }
            if self.line == 1 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                self.bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.bytes.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Source for JsonSource<R> {
    fn advance(&mut self) -> Option<Result<u64, Refused>> {
        match self.next_line() {
            Ok(false) => return None,
            Ok(true) => {}
            Err(failure) => return Some(Err(Refused::Import(failure))),
        }
        let bad =
            |column, problem| Some(Err(Refused::Row(BadRow { line: self.line, column, problem })));
        self.fields = match serde_json::from_slice(&self.bytes) {
            Ok(fields) => fields,
            Err(error) => return bad(None, problem_of(&error)),
        };
        let fields = &self.fields.0;
        for (at, (name, _)) in fields.iter().enumerate() {
            if fields[..at].iter().any(|(earlier, _)| earlier == name) {
                return bad(Some(name.clone()), "the object has it twice".into());
            }
        }
        Some(Ok(self.line))
    }

    fn text(&self, column: &str) -> Result<Cow<'_, str>, &'static str> {
        let found = self.fields.0.iter().find(|(name, _)| name == column);
        let Some((_, value)) = found else { return Err("is missing") };
        match value.get().as_bytes()[0] {
            b'"' => serde_json::from_str(value.get()).map(Cow::Owned).map_err(|_| "is no text"),
            b'{' => Err("is an object, not a text or a number"),
            b'[' => Err("is an array, not a text or a number"),
            b'n' => Err("is null"),
            _ => Ok(Cow::Borrowed(value.get())),
        }
    }

    fn payload(&self, left_out: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        bytes.push(b'{');
        for (name, value) in &self.fields.0 {
            if left_out.contains(&name.as_str()) {
                continue;
            }
            if bytes.len() > 1 {
                bytes.push(b',');
            }
            serde_json::to_writer(&mut bytes, name).expect("a vector takes all");
            bytes.push(b':');
            bytes.extend_from_slice(value.get().as_bytes());
        }
        bytes.push(b'}');
        bytes
    }
}

/// What the parser says, with the place in the line alone.
fn problem_of(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match told.strip_suffix(&place) {
        Some(told) => format!("{told}, at byte {} of the line", error.column()),
        None => told,
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}
