//! Reading fixed integers out of byte slices without panics.

/// The `N` bytes at `at`, or `None` where the slice ends before.
pub(crate) fn read_array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    read_array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    read_array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    read_array(bytes, at).map(u64::from_le_bytes)
}

pub(crate) fn read_i64(bytes: &[u8], at: usize) -> Option<i64> {
    read_array(bytes, at).map(i64::from_le_bytes)
}

/// A `u32` as an index. Every target of Annals has pointers of 32 bits at least.
pub(crate) const fn usize_of(value: u32) -> usize {
    const { assert!(usize::BITS >= 32) };
    value as usize
}
