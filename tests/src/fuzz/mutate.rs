//! Random changes to bytes, decided by a seed: what a fuzzer without coverage can do.

use crate::sim_disk::Random;

/// No input grows beyond it.
const LEN_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub struct Mutator {
    random: Random,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    /// Changes these seeds.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn new(seeds: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!seeds.is_empty(), "there is nothing to begin with");
        Mutator { random: Random::new(seed), seeds }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.seeds[self.random.index(self.seeds.len())].clone();
        for _ in 0..=self.random.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(LEN_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.any_byte());
            return;
        }
        let at = self.random.index(bytes.len());
        let len = (1 + self.random.index(64)).min(bytes.len() - at);
        match self.random.below(10) {
            0 | 1 => bytes[at] ^= 1 << self.random.below(8),
            2 | 3 => bytes[at] = self.any_byte(),
            4 | 5 => self.number(bytes, at),
            6 => drop(bytes.drain(at..at + len)),
            7 => {
                let range = bytes[at..at + len].to_vec();
                let to = self.random.index(bytes.len());
                bytes.splice(to..to, range);
            }
            8 => bytes.truncate(at),
            _ => {
                let other = &self.seeds[self.random.index(self.seeds.len())];
                if let Some(range) = other.get(at..(at + len).min(other.len())) {
                    bytes[at..at + range.len()].copy_from_slice(range);
                }
            }
        }
    }

    /// A number where one may stand: near a border, or a little off.
    fn number(&mut self, bytes: &mut [u8], at: usize) {
        let at = at & !3;
        let width = [2, 4, 8][self.random.index(3)];
        let Some(place) = bytes.get_mut(at..at + width) else { return };
        let mut old = [0; 8];
        old[..width].copy_from_slice(place);
        let near = u64::from_le_bytes(old).wrapping_add(self.random.below(5)).wrapping_sub(2);
        let new = [near, 0, 1, u64::MAX, 1 << 31, self.random.below(1 << 17)];
        let new = new[self.random.index(new.len())];
        place.copy_from_slice(&new.to_le_bytes()[..width]);
    }

    fn any_byte(&mut self) -> u8 {
        self.random.next_u64().to_le_bytes()[0]
    }
}
