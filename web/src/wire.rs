//! The packed buffers: how values stand in them.
//!
//! Numbers are little-endian and of fixed length, texts and bytes are `len u32 | bytes`, an
//! optional value is `0` or `1 | value`. The TypeScript side is `ts/wire.ts`; both sides come
//! from one build, so there is no versioning in here. What can't be read is an error, never a
//! panic.

/// Bytes that are read from the front.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

/// The buffer ended early or holds what it can't.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Malformed;

type Read<T> = Result<T, Malformed>;

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
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

    pub(crate) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        core::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }
}

/// A buffer that is written to its end.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
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

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Output::default();
        out.u8(1);
        out.u16(2);
        out.u64(u64::MAX);
        out.i64(-3);
        out.text("é");
        out.option(Some(7), Output::u32);
        out.option(None, Output::u32);
        let bytes = out.into_bytes();
        let mut input = Input::new(&bytes);
        assert_eq!(input.u8().unwrap(), 1);
        assert_eq!(input.u16().unwrap(), 2);
        assert_eq!(input.u64().unwrap(), u64::MAX);
        assert_eq!(input.i64().unwrap(), -3);
        assert_eq!(input.text().unwrap(), "é");
        assert_eq!(input.option(Input::u32).unwrap(), Some(7));
        assert_eq!(input.option(Input::u32).unwrap(), None);
        assert!(input.is_empty() && input.u8().is_err());
    }

    #[test]
    fn a_buffer_cut_anywhere_is_malformed() {
        let mut out = Output::default();
        out.text("entity");
        let bytes = out.into_bytes();
        for end in 0..bytes.len() {
            assert!(Input::new(&bytes[..end]).text().is_err());
        }
        assert!(Input::new(&[2]).option(Input::u8).is_err());
        assert!(Input::new(&[1, 0, 0, 0, 0xFF]).text().is_err());
    }
}
