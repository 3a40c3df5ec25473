//! Seeded randomness that never changes between versions, so that a seed in a bug report
//! stays a reproduction: SplitMix64 (Steele, Lea and Flood, 2014).

/// A small generator, good enough to pick faults and nothing else.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end - 1`.
    ///
    /// # Panics
    ///
    /// If `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below 0");
        self.next_u64() % end
    }

    /// An index below `end`.
    ///
    /// # Panics
    ///
    /// If `end` is 0.
    pub fn index(&mut self, end: usize) -> usize {
        let index = self.below(u64::try_from(end).unwrap_or(u64::MAX));
        usize::try_from(index).expect("smaller than a usize")
    }

    /// True once in `n` times on average.
    pub const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Runs a simulation once for each seed below `seed_count`, or only for the seed in the
/// environment variable `ANNALS_SEED`. A run that panics says which seed it had.
///
/// # Panics
///
/// If a run does, or if `ANNALS_SEED` is no number.
pub fn for_each_seed(simulation: &str, seed_count: u64, mut run: impl FnMut(u64)) {
    let seeds = match std::env::var("ANNALS_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("ANNALS_SEED is a number");
            seed..=seed
        }
        Err(_) => 0..=seed_count.saturating_sub(1),
    };
    for seed in seeds {
        let _seed = SeedOnPanic { simulation, seed };
        run(seed);
    }
}

struct SeedOnPanic<'a> {
    simulation: &'a str,
    seed: u64,
}

impl Drop for SeedOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} failed: run it alone with ANNALS_SEED={}", self.simulation, self.seed);
        }
    }
}
