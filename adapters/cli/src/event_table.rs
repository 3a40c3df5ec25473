//! Events as lines for people: sequence, time, address, version, kind and payload in columns.
//!
//! The first lines are held back to see how wide the columns must be; from then on lines are
//! printed as they come, so that a table of any length takes constant memory. On a terminal a
//! line never wraps; elsewhere nothing is cut off.

use crate::event_json::json_of;
use crate::failure::Failure;
use crate::kind_names;
use crate::output::{Output, hex, printable};
use crate::time::rfc3339_ms;
use annals::{Event, FsStorage, Payload, PayloadFormat, Reader};
use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};

/// How many lines are held back at most.
const HELD_MAX: usize = 200;
/// Columns besides the payload.
const COLUMNS: usize = 5;
const TITLES: [&str; COLUMNS] = ["SEQ", "TIME", "EVENT OF", "VERSION", "KIND"];
/// How wide a column may get on a terminal.
const WIDTHS_MAX: [usize; COLUMNS] = [20, 24, 40, 20, 36];
/// A payload with less room than this is left out.
const PAYLOAD_WIDTH_MIN: usize = 12;

/// See the module.
#[derive(Debug)]
pub(crate) struct EventTable {
    terminal_width: Option<usize>,
    has_titles: bool,
    widths: [usize; COLUMNS],
    held: Option<Vec<Line>>,
}

#[derive(Debug)]
struct Line {
    cells: [String; COLUMNS],
    payload: String,
}

impl EventTable {
    pub(crate) fn new(out: &Output, has_titles: bool) -> Self {
        let widths = if has_titles { TITLES.map(str::len) } else { [0; COLUMNS] };
        EventTable { terminal_width: out.width(), has_titles, widths, held: Some(Vec::new()) }
    }

    /// Adds an event.
    pub(crate) fn event(
        &mut self,
        out: &mut Output,
        reader: &Reader<FsStorage>,
        event: &Event,
    ) -> Result<(), Failure> {
        let line = self.line_of(reader, event);
        for (width, cell) in self.widths.iter_mut().zip(&line.cells) {
            *width = (*width).max(measure_text_width(cell));
        }
        match &mut self.held {
            Some(held) if held.len() < HELD_MAX => held.push(line),
            Some(_) => {
                self.release(out)?;
                self.print(out, &line)?;
            }
            None => self.print(out, &line)?,
        }
        Ok(())
    }

    /// Prints what is held back.
    pub(crate) fn release(&mut self, out: &mut Output) -> Result<(), Failure> {
        let Some(held) = self.held.take() else { return Ok(()) };
        if self.has_titles && !held.is_empty() {
            let titles = Line { cells: TITLES.map(Into::into), payload: "PAYLOAD".into() };
            out.line(self.laid_out(&titles, |_| Style::new().bold()))?;
        }
        held.iter().try_for_each(|line| self.print(out, line))
    }

    fn print(&self, out: &mut Output, line: &Line) -> Result<(), Failure> {
        out.line(self.laid_out(line, |column| match column {
            0 | 1 | 3 => Style::new().dim(),
            4 => Style::new().green(),
            COLUMNS => Style::new().dim(),
            _ => Style::new(),
        }))
    }

    fn laid_out(&self, line: &Line, style: impl Fn(usize) -> Style) -> String {
        let mut text = String::new();
        let mut used = 0;
        for (at, cell) in line.cells.iter().enumerate() {
            let alignment = if matches!(at, 0 | 3) { Alignment::Right } else { Alignment::Left };
            let cell = pad_str(cell, self.widths[at], alignment, None);
            text.push_str(&style(at).apply_to(&cell).to_string());
            text.push_str("  ");
            used += measure_text_width(&cell) + 2;
        }
        match self.terminal_width {
            None => text.push_str(&line.payload),
            Some(width) if width < used + PAYLOAD_WIDTH_MIN => {
                return truncate_str(text.trim_end(), width, "…").into_owned();
            }
            Some(width) => {
                let payload = truncate_str(&line.payload, width - used, "…");
                text.push_str(&style(COLUMNS).apply_to(payload).to_string());
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn line_of(&self, reader: &Reader<FsStorage>, event: &Event) -> Line {
        let mut cells = [
            format!("#{}", event.sequence()),
            rfc3339_ms(event.header.timestamp_us),
            event.coordinate.to_string(),
            format!("v{}", event.version()),
            kind_names::label(reader, event.kind()),
        ];
        if self.terminal_width.is_some() {
            for (cell, max) in cells.iter_mut().zip(WIDTHS_MAX) {
                *cell = truncate_str(cell, max, "…").into_owned();
            }
        }
        Line { cells, payload: one_line(&event.payload) }
    }
}

/// A payload on one line: JSON and text as such, other bytes as hex.
pub(crate) fn one_line(payload: &Payload) -> String {
    let Some(bytes) = payload.bytes() else { return "(erased)".into() };
    if let Some(json) = json_of(payload) {
        return json.get().into();
    }
    match str::from_utf8(bytes) {
        Ok(text) if payload.format() != PayloadFormat::Postcard => printable(text),
        _ => format!("{} {}", payload.format(), hex(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_any_format_is_one_line_without_control_characters() {
        let json = Payload::from_parts(PayloadFormat::Json, 1, b"{ \"a\": [1.0,\n 2] }".to_vec());
        assert_eq!(one_line(&json), r#"{"a":[1.0,2]}"#);
        assert_eq!(one_line(&Payload::raw("a\x1b[2Jb\n")), "a\\u{1b}[2Jb\\n");
        assert_eq!(one_line(&Payload::raw([0xFF, 0x00])), "raw ff00");
        assert_eq!(one_line(&Payload::postcard("hi").unwrap()), "postcard 026869");
        let broken = Payload::from_parts(PayloadFormat::Json, 1, b"{".to_vec());
        assert_eq!(one_line(&broken), "{");
    }
}
