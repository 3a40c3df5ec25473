//! Counts lines beside a parser that reads ahead.
//!
//! The CSV parser counts a record from where it began to look for it, blank lines before it
//! included. What it can tell for sure is where a record ends; counting back from there gives the
//! line on which the record begins.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// A reader that notes where lines end.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: R,
    read: u64,
    ends: Rc<RefCell<VecDeque<u64>>>,
}

/// Tells lines by offsets, which must not go back.
#[derive(Debug)]
pub(super) struct LineCount {
    ends: Rc<RefCell<VecDeque<u64>>>,
    /// Line ends before the last offset asked for.
    passed: u64,
    last_end: Option<u64>,
}

/// A reader, and the count of what is read through it.
pub(super) fn counted<R: Read>(reader: R) -> (LineReader<R>, LineCount) {
    let ends = Rc::new(RefCell::new(VecDeque::new()));
    let count = LineCount { ends: Rc::clone(&ends), passed: 0, last_end: None };
    (LineReader { reader, read: 0, ends }, count)
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        let offsets = self.read..;
        let ends = buffer[..len].iter().zip(offsets).filter(|(byte, _)| **byte == b'\n');
        self.ends.borrow_mut().extend(ends.map(|(_, offset)| offset));
        self.read += len as u64;
        Ok(len)
    }
}

impl LineCount {
    /// The line, from 1, on which a record begins that ends before the byte `end`, its own line
    /// end included, and has `inner` line ends within.
    pub(super) fn first_line(&mut self, end: u64, inner: u64) -> u64 {
        let mut ends = self.ends.borrow_mut();
        while let Some(offset) = ends.front().copied().filter(|offset| *offset < end) {
            ends.pop_front();
            self.passed += 1;
            self.last_end = Some(offset);
        }
        let is_ended = self.last_end.is_some_and(|offset| offset + 1 == end);
        (self.passed + 1).saturating_sub(inner + u64::from(is_ended))
    }
}
