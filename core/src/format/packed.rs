//! Columns of integers, each stored in as few bits as the largest needs.
//!
//! Element `i` stands at bit `i * width` from the column's start, least significant bit first,
//! less the column's minimum. A width is 0 to 56 or 64, so that eight bytes from the byte where
//! an element starts always hold it whole.

use super::{read_u32, read_u64};
use alloc::vec::Vec;

/// Bytes of a column's description.
pub const COLUMN_REF_LEN: usize = 24;

/// Where a column stands in the index block's stream, and how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnRef {
    /// Where it starts, in bytes of the stream.
    pub offset: u64,
    /// What every stored element lacks.
    pub min: u64,
    /// How many elements it has.
    pub count: u32,
    /// Bits an element.
    pub width: u8,
}

impl ColumnRef {
    /// Bytes that the column takes up, eight spare ones included.
    pub fn byte_len(&self) -> u64 {
        if self.width == 0 {
            0
        } else {
            (u64::from(self.count) * u64::from(self.width)).div_ceil(8)
        }
    }

    /// The byte, counted from the stream's start, from which element `index` is read, and how
    /// many bits to drop there.
    pub(crate) fn place(&self, index: u32) -> (u64, u32) {
        let bit = u64::from(index) * u64::from(self.width);
        (self.offset + bit / 8, u32::try_from(bit % 8).unwrap_or(0))
    }

    /// The element in the eight bytes from its place.
    pub(crate) fn element(&self, word: u64, drop: u32) -> u64 {
        let mask = if self.width == 64 { u64::MAX } else { (1 << self.width) - 1 };
        self.min.wrapping_add((word >> drop) & mask)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.min.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&[self.width, 0, 0, 0]);
    }

    /// The description in these bytes; `None` where it can't be one of a stream of `stream_len`.
    pub(crate) fn decode(bytes: &[u8], stream_len: u64) -> Option<Self> {
        let column = ColumnRef {
            offset: read_u64(bytes, 0)?,
            min: read_u64(bytes, 8)?,
            count: read_u32(bytes, 16)?,
            width: *bytes.get(20)?,
        };
        let end = column.offset.checked_add(column.byte_len())?;
        (end <= stream_len && (column.width <= 56 || column.width == 64)).then_some(column)
    }
}

/// Appends a column of `values` to `stream`.
pub(crate) fn push_column(stream: &mut Vec<u8>, values: &[u64]) -> ColumnRef {
    let (Some(min), Some(max)) = (values.iter().min(), values.iter().max()) else {
        return ColumnRef { offset: stream.len() as u64, ..ColumnRef::default() };
    };
    let (min, max) = (*min, *max);
    let count = u32::try_from(values.len()).expect("a segment is below 4 GiB");
    let bits = u64::BITS - (max - min).leading_zeros();
    let width = if bits > 56 { 64 } else { bits };
    let column = ColumnRef {
        offset: stream.len() as u64,
        min,
        count,
        width: u8::try_from(width).unwrap_or(64),
    };
    if width > 0 {
        push_bits(stream, values, min, width);
    }
    column
}

fn push_bits(stream: &mut Vec<u8>, values: &[u64], min: u64, width: u32) {
    let (mut pending, mut held) = (0_u128, 0);
    for value in values {
        pending |= u128::from(value - min) << held;
        held += width;
        while held >= 32 {
            stream.extend_from_slice(&pending.to_le_bytes()[..4]);
            pending >>= 32;
            held -= 32;
        }
    }
    let rest = usize::try_from(held.div_ceil(8)).unwrap_or(4);
    stream.extend_from_slice(&pending.to_le_bytes()[..rest]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(stream: &[u8], column: &ColumnRef, index: u32) -> u64 {
        let (at, drop) = column.place(index);
        let mut word = [0; 8];
        let from = usize::try_from(at).unwrap();
        let have = stream.len().saturating_sub(from).min(8);
        word[..have].copy_from_slice(&stream[from..from + have]);
        column.element(u64::from_le_bytes(word), drop)
    }

    proptest! {
        #[test]
        fn every_element_comes_back(
            values in prop::collection::vec(any::<u64>(), 0..200), shift in 0_u32..64, lead in 0..9_usize,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            let mut stream = alloc::vec![0xFF; lead];
            let column = push_column(&mut stream, &values);
            prop_assert_eq!(stream.len() as u64, column.offset + column.byte_len());
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(read(&stream, &column, u32::try_from(index).unwrap()), *value);
            }
            let mut bytes = Vec::new();
            column.encode(&mut bytes);
            prop_assert_eq!(ColumnRef::decode(&bytes, stream.len() as u64), Some(column));
        }
    }
}
