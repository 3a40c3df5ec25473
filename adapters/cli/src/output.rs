//! Stdout, buffered, and how numbers are written for people.
//!
//! Every write can fail, most often because nobody reads any more; that is a
//! [`Failure`] like any other and never a panic.

use crate::failure::Failure;
use console::{Style, Term};
use serde::Serialize;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Where a command's answer goes.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout().lock();
        let is_terminal = stdout.is_terminal();
        Output { writer: BufWriter::with_capacity(64 * 1024, stdout), is_terminal }
    }

    /// The terminal's width in columns; `None` where the output is no terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let size = self.is_terminal.then(|| Term::stdout().size_checked()).flatten();
        size.map(|(_, columns)| usize::from(columns)).or_else(|| self.is_terminal.then_some(80))
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.writer, "{text}")?)
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.writer, value).map_err(io::Error::from)?;
        Ok(self.writer.write_all(b"\n")?)
    }

    /// JSON over several lines.
    pub(crate) fn json_pretty(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(io::Error::from)?;
        self.line(crate::json_text::pretty(&text))
    }

    /// A writer of bytes.
    pub(crate) fn bytes(&mut self) -> &mut impl Write {
        &mut self.writer
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.writer.flush()?)
    }
}

/// A word on stderr about an answer that is not the whole one.
pub(crate) fn note(text: impl fmt::Display) {
    said(format_args!("{} {text}", Style::new().for_stderr().yellow().bold().apply_to("note:")));
}

/// A line on stderr. Where nobody reads that any more, there is nobody to tell.
pub(crate) fn said(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 event`, `2 events`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Text for a terminal: no control character of the data gets there.
pub(crate) fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(1, "event", "events"), "1 event");
        assert_eq!(counted(8577, "event", "events"), "8,577 events");
    }

    #[test]
    fn control_characters_are_escaped_and_other_scripts_are_not() {
        assert_eq!(printable("größer 你好"), "größer 你好");
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(hex(&[0, 0xAB, 0xFF]), "00abff");
    }
}
