//! CRC-32/ISO-HDLC, salted: `crc32fast` where there is `std` to detect the CPU, a table without.
//!
//! The salt of a segment goes in first, so that stale bytes of another segment, or a payload
//! that imitates a frame, do not pass.

/// A CRC that grows by `update`.
#[derive(Clone)]
pub(crate) struct Crc32 {
    #[cfg(feature = "std")]
    state: crc32fast::Hasher,
    #[cfg(not(feature = "std"))]
    state: crc::Digest<'static, u32, crc::Table<16>>,
}

/// Made when it is first used: 16 KiB of it in a wasm file would not compress.
#[cfg(not(feature = "std"))]
static TABLE: spin::LazyLock<crc::Crc<u32, crc::Table<16>>> =
    spin::LazyLock::new(|| crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC));

impl Crc32 {
    /// The CRC of no bytes.
    pub(crate) fn new() -> Self {
        #[cfg(feature = "std")]
        return Crc32 { state: crc32fast::Hasher::new() };
        #[cfg(not(feature = "std"))]
        return Crc32 { state: TABLE.digest() };
    }

    /// The CRC of `bytes` behind `salt`.
    pub(crate) fn salted(salt: u32, bytes: &[u8]) -> u32 {
        Crc32::of_salt(salt).and(bytes)
    }

    /// The CRC behind which all of a segment's go on, for many of them.
    pub(crate) fn of_salt(salt: u32) -> Self {
        let mut crc = Crc32::new();
        crc.update(&salt.to_le_bytes());
        crc
    }

    /// This CRC with `bytes` behind it.
    #[inline]
    pub(crate) fn and(&self, bytes: &[u8]) -> u32 {
        let mut crc = self.clone();
        crc.update(bytes);
        crc.finish()
    }

    /// The CRC of `bytes` alone.
    pub(crate) fn of(bytes: &[u8]) -> u32 {
        let mut crc = Crc32::new();
        crc.update(bytes);
        crc.finish()
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    pub(crate) fn finish(self) -> u32 {
        self.state.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn the_check_value_of_the_polynomial_is_right() {
        assert_eq!(Crc32::of(b"123456789"), 0xCBF4_3926);
    }
}
