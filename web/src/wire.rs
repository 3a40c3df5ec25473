//! The packed buffers: how values stand in them.
//!
//! Numbers are little-endian and of fixed length, bytes are `len u32 | bytes`, an optional value
//! is `0` or `1 | value`. A request is `numbers and bytes | texts | len of the texts u32`: a text
//! among the numbers is its length in UTF-16, and the text itself stands with the others, ended by
//! a zero, because TypeScript encodes all in one go. In an answer texts are `len u32 | text`. The
//! TypeScript side is `ts/wire.ts`; both sides come from one build, so there is no versioning in
//! here. What can't be read is an error, never a panic.

/// A request that is read from the front.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    texts: &'a str,
    /// Lengths in UTF-16 are lengths in bytes then.
    is_ascii: bool,
}

/// The buffer ended early or holds what it can't.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Malformed;

type Read<T> = Result<T, Malformed>;

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Read<Self> {
        let (bytes, len) = bytes.split_last_chunk().ok_or(Malformed)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| Malformed)?;
        let border = bytes.len().checked_sub(len).ok_or(Malformed)?;
        let (rest, texts) = bytes.split_at(border);
        let texts = core::str::from_utf8(texts).map_err(|_| Malformed)?;
        Ok(Self { rest, texts, is_ascii: texts.is_ascii() })
    }

    /// Whether all of it was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.texts.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Microseconds: a whole number as JavaScript has it, infinite where there is no limit.
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond the ends means the ends")]
    pub(crate) fn time_us(&mut self) -> Read<i64> {
        let number = f64::from_le_bytes(self.array()?);
        if number.is_nan() { Err(Malformed) } else { Ok(number as i64) }
    }

    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        let units = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let len = if self.is_ascii { units } else { len_of_units(self.texts, units)? };
        let (text, rest) = self.texts.split_at_checked(len).ok_or(Malformed)?;
        self.texts = rest.strip_prefix('\0').ok_or(Malformed)?;
        Ok(text)
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }
}

/// What a byte of UTF-8 adds to the units of UTF-16: the first of a character all of them.
fn units_at(byte: u8) -> usize {
    match byte {
        0x80..0xC0 => 0,
        0xF0.. => 2,
        _ => 1,
    }
}

/// How many bytes so many units of UTF-16 take up.
fn len_of_units(text: &str, mut units: usize) -> Read<usize> {
    for (at, byte) in text.bytes().enumerate() {
        let more = units_at(byte);
        if units == 0 && more > 0 {
            return Ok(at);
        }
        units = units.checked_sub(more).ok_or(Malformed)?;
    }
    if units == 0 { Ok(text.len()) } else { Err(Malformed) }
}

/// How many units of UTF-16 a text in UTF-8 takes up.
pub(crate) fn units_of(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { text.iter().map(|byte| units_at(*byte)).sum() }
}

/// A buffer that is written to its end.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// The answer to a request that succeeded, which its first byte says.
    pub(crate) fn answer() -> Self {
        Self { bytes: vec![0] }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, number: u8) {
        self.bytes.push(number);
    }

    pub(crate) fn u16(&mut self, number: u16) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, number: i64) {
        self.raw(&number.to_le_bytes());
    }

    /// A length or a count; what does not fit 32 bits does not fit a wasm memory either.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A text as JSON.
    pub(crate) fn json(&mut self, text: &str) {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let bytes = text.as_bytes();
        let mut done = 0;
        self.u8(b'"');
        for (at, byte) in bytes.iter().enumerate() {
            if *byte < b' ' || matches!(byte, b'"' | b'\\') {
                self.raw(&bytes[done..at]);
                self.raw(b"\\u00");
                self.u8(DIGITS[usize::from(byte >> 4)]);
                self.u8(DIGITS[usize::from(byte & 0xF)]);
                done = at + 1;
            }
        }
        self.raw(&bytes[done..]);
        self.u8(b'"');
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request as TypeScript writes it.
    fn request(numbers: Output, texts: &[&str]) -> Vec<u8> {
        let mut out = numbers;
        let before = out.len();
        for text in texts {
            out.raw(text.as_bytes());
            out.u8(0);
        }
        out.count(out.len() - before);
        out.into_bytes()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for texts in [["e", ""], ["é\0a", "\u{1F600}b"]] {
            let mut out = Output::default();
            out.count(units_of(texts[0].as_bytes()));
            out.u8(1);
            out.u16(2);
            out.u64(u64::MAX);
            out.raw(&(-3.0_f64).to_le_bytes());
            out.raw(&f64::INFINITY.to_le_bytes());
            out.raw(&f64::NAN.to_le_bytes());
            out.option(Some(7), Output::u32);
            out.option(None, Output::u32);
            out.count(units_of(texts[1].as_bytes()));
            let bytes = request(out, &texts);
            let mut input = Input::new(&bytes).unwrap();
            assert_eq!(input.text().unwrap(), texts[0]);
            assert_eq!(input.u8().unwrap(), 1);
            assert_eq!(input.u16().unwrap(), 2);
            assert_eq!(input.u64().unwrap(), u64::MAX);
            assert_eq!(input.time_us().unwrap(), -3);
            assert_eq!(input.time_us().unwrap(), i64::MAX);
            assert!(input.time_us().is_err());
            assert_eq!(input.option(Input::u32).unwrap(), Some(7));
            assert_eq!(input.option(Input::u32).unwrap(), None);
            assert!(!input.is_empty());
            assert_eq!(input.text().unwrap(), texts[1]);
            assert!(input.is_empty() && input.u8().is_err());
        }
    }

    #[test]
    fn json_has_no_more_than_the_text() {
        let mut out = Output::default();
        out.json("a\"b\\\n\u{e9}\u{2028}\"");
        let json = String::from_utf8(out.into_bytes()).unwrap();
        assert_eq!(json, "\"a\\u0022b\\u005c\\u000a\u{e9}\u{2028}\\u0022\"");
    }

    #[test]
    fn a_request_cut_anywhere_is_malformed() {
        let mut out = Output::default();
        out.u32(6);
        let bytes = request(out, &["entity"]);
        for end in 0..bytes.len() {
            let text = Input::new(&bytes[..end]).map(|mut input| input.text().is_err());
            assert_ne!(text.ok(), Some(false), "cut at {end}");
        }
        assert!(Input::new(&[2, 0, 0, 0, 0]).unwrap().option(Input::u8).is_err());
    }

    #[test]
    fn a_length_that_ends_within_a_character_or_elsewhere_than_its_text_is_malformed() {
        for (units, text) in [(1, "\u{1F600}"), (1, "ab"), (3, "ab"), (2, "é"), (u32::MAX, "é")] {
            let mut out = Output::default();
            out.u32(units);
            let bytes = request(out, &[text]);
            assert!(Input::new(&bytes).unwrap().text().is_err(), "{units} of {text}");
        }
        let mut out = Output::default();
        out.bytes(&[0xFF]);
        out.u32(1);
        assert!(Input::new(&out.into_bytes()).is_err(), "texts are UTF-8");
    }
}
