//! Random bytes for ids.

use crate::log::config::Host;

/// Random bytes, asked of the host in bulk.
#[derive(Debug)]
pub(super) struct RandomBytes {
    bytes: [u8; 640],
    used: usize,
}

impl Default for RandomBytes {
    fn default() -> Self {
        RandomBytes { bytes: [0; 640], used: 640 }
    }
}

impl RandomBytes {
    pub(super) fn take<H: Host>(&mut self, host: &H) -> [u8; 10] {
        if self.used == self.bytes.len() {
            host.fill_random(&mut self.bytes);
            self.used = 0;
        }
        let mut taken = [0; 10];
        taken.copy_from_slice(&self.bytes[self.used..self.used + 10]);
        self.used += 10;
        taken
    }
}
