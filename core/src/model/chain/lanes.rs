//! BLAKE3 of many inputs side by side: the same hashes as those of the crate `blake3`.
//!
//! Within an input each step waits for the one before, so a processor that could do several at once
//! does one. Here each lane of its vectors has an input of its own, block by block, and takes the
//! next one when that is done. Longer inputs go chunk by chunk. What is so long that it fills the
//! lanes alone goes to the crate. The constants and flags are those of the BLAKE3 paper.

use super::Parts;
use crate::model::hash::Hash;
use alloc::vec::Vec;
use blake3::hazmat::{ChainingValue, Mode, merge_subtrees_non_root, merge_subtrees_root};
use core::array;
use core::ops::Range;
use fearless_simd::{Bytes as _, Simd, SimdBase as _, dispatch};

pub(super) use fearless_simd::Level;

const BLOCK_LEN: usize = 64;
const CHUNK_LEN: usize = 1024;
/// Inputs of more chunks go to the crate.
const CHUNKS_MAX: usize = 4;
/// As many as the widest vectors of 32-bit words have.
const LANES_MAX: usize = 16;

const IV: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// Which word of a block goes where, round by round.
const SCHEDULE: [[usize; 16]; 7] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8],
    [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1],
    [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6],
    [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4],
    [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7],
    [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13],
];

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;

/// Writes the hash of each input to its place in `hashes`, by the vectors of `level`.
pub(super) fn hash_each(level: Level, inputs: &[Parts<'_>], hashes: &mut [Hash]) {
    assert_eq!(inputs.len(), hashes.len(), "a place for each hash");
    let count = dispatch!(level, simd => lane_count(simd));
    let mut jobs = Jobs::new(inputs);
    let mut lanes = Lanes::new();
    for lane in 0..count {
        lanes.take(lane, jobs.next(hashes));
    }
    while let Some(blocks) = lanes.blocks_until_end() {
        dispatch!(level, simd => compress(simd, &mut lanes, blocks));
        for lane in 0..count {
            if let Some((target, value)) = lanes.go_on(lane, blocks) {
                jobs.done(target, value, hashes);
                lanes.take(lane, jobs.next(hashes));
            }
        }
    }
    jobs.join(hashes);
}

/// A chunk of an input.
struct Job<'a> {
    parts: &'a Parts<'a>,
    bytes: Range<usize>,
    target: Target,
}

/// What a chunk is for.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// It is all of the input.
    Whole { input: usize },
    /// It is one of several.
    Chunk { tree: usize, chunk: u8 },
}

/// An input of several chunks, and what is known of them.
struct Tree {
    input: usize,
    chunk_count: usize,
    values: [ChainingValue; CHUNKS_MAX],
}

/// What waits for a lane.
struct Jobs<'a> {
    inputs: &'a [Parts<'a>],
    next: usize,
    trees: Vec<Tree>,
    /// The length of the newest tree's input, and how many of its chunks were given away.
    open: Option<(usize, u8)>,
}

impl<'a> Jobs<'a> {
    fn new(inputs: &'a [Parts<'a>]) -> Self {
        Jobs { inputs, next: 0, trees: Vec::new(), open: None }
    }

    fn next(&mut self, hashes: &mut [Hash]) -> Option<Job<'a>> {
        loop {
            if let Some(job) = self.next_chunk() {
                return Some(job);
            }
            let input = self.next;
            let parts = self.inputs.get(input)?;
            self.next += 1;
            let len = parts.iter().map(|part| part.len()).sum::<usize>();
            if len <= CHUNK_LEN {
                return Some(Job { parts, bytes: 0..len, target: Target::Whole { input } });
            }
            let chunk_count = len.div_ceil(CHUNK_LEN);
            if chunk_count > CHUNKS_MAX {
                hashes[input] = super::hash_parts(*parts);
            } else {
                self.trees.push(Tree { input, chunk_count, values: Default::default() });
                self.open = Some((len, 0));
            }
        }
    }

    fn next_chunk(&mut self) -> Option<Job<'a>> {
        let (len, chunk) = self.open?;
        let tree = self.trees.len() - 1;
        let start = usize::from(chunk) * CHUNK_LEN;
        let end = len.min(start + CHUNK_LEN);
        self.open = (end < len).then_some((len, chunk + 1));
        let parts = &self.inputs[self.trees[tree].input];
        Some(Job { parts, bytes: start..end, target: Target::Chunk { tree, chunk } })
    }

    fn done(&mut self, target: Target, value: ChainingValue, hashes: &mut [Hash]) {
        match target {
            Target::Whole { input } => hashes[input] = Hash::from_bytes(value),
            Target::Chunk { tree, chunk } => self.trees[tree].values[usize::from(chunk)] = value,
        }
    }

    /// The hashes of what has several chunks.
    fn join(&self, hashes: &mut [Hash]) {
        for tree in &self.trees {
            let pair = |left, right| merge_subtrees_non_root(left, right, Mode::Hash);
            let [first, second, third, fourth] = &tree.values;
            let root = match tree.chunk_count {
                2 => merge_subtrees_root(first, second, Mode::Hash),
                3 => merge_subtrees_root(&pair(first, second), third, Mode::Hash),
                _ => merge_subtrees_root(&pair(first, second), &pair(third, fourth), Mode::Hash),
            };
            hashes[tree.input] = Hash::from_bytes(*root.as_bytes());
        }
    }
}

/// What one lane is at.
#[derive(Clone, Copy)]
struct Lane {
    target: Target,
    /// Where in the buffer the next block begins.
    at: usize,
    /// Bytes in the buffer.
    len: usize,
    /// Blocks that are left; 0 in an idle lane.
    blocks: usize,
    counter: u32,
    last_flags: u32,
}

const IDLE: Lane = Lane {
    target: Target::Whole { input: 0 },
    at: 0,
    len: 0,
    blocks: 0,
    counter: 0,
    last_flags: 0,
};

struct Lanes {
    lanes: [Lane; LANES_MAX],
    /// The chaining values, by word.
    values: [[u32; LANES_MAX]; 8],
    /// A chunk each, zeros behind it up to the end of its last block.
    buffers: [[u8; CHUNK_LEN]; LANES_MAX],
}

impl Lanes {
    fn new() -> Self {
        Lanes {
            lanes: [IDLE; LANES_MAX],
            values: [[0; LANES_MAX]; 8],
            buffers: [[0; CHUNK_LEN]; LANES_MAX],
        }
    }

    /// Fills a lane, or leaves it idle.
    fn take(&mut self, lane: usize, job: Option<Job<'_>>) {
        let Some(Job { parts, bytes, target }) = job else {
            self.lanes[lane] = IDLE;
            return;
        };
        let len = bytes.len();
        let blocks = len.div_ceil(BLOCK_LEN).max(1);
        let buffer = &mut self.buffers[lane];
        copy_range(parts, bytes, &mut buffer[..len]);
        buffer[len..blocks * BLOCK_LEN].fill(0);
        let (counter, last_flags) = match target {
            Target::Whole { .. } => (0, CHUNK_END | ROOT),
            Target::Chunk { chunk, .. } => (u32::from(chunk), CHUNK_END),
        };
        self.lanes[lane] = Lane { target, at: 0, len, blocks, counter, last_flags };
        for (word, iv) in self.values.iter_mut().zip(IV) {
            word[lane] = iv;
        }
    }

    /// How many blocks there are until the first lane is done; `None` where all are idle.
    fn blocks_until_end(&self) -> Option<usize> {
        self.lanes.iter().map(|lane| lane.blocks).filter(|blocks| *blocks > 0).min()
    }

    /// Moves a lane on; gives what its chunk came to, where it is done.
    fn go_on(&mut self, lane: usize, blocks: usize) -> Option<(Target, ChainingValue)> {
        let Lane { target, at, blocks: left, .. } = &mut self.lanes[lane];
        if *left != blocks {
            *at += blocks * BLOCK_LEN;
            *left = left.saturating_sub(blocks);
            return None;
        }
        let mut value = ChainingValue::default();
        for (bytes, words) in value.chunks_exact_mut(4).zip(&self.values) {
            bytes.copy_from_slice(&words[lane].to_le_bytes());
        }
        Some((*target, value))
    }
}

/// Copies some of the bytes that parts are, one behind the other.
fn copy_range(parts: &Parts<'_>, mut bytes: Range<usize>, mut out: &mut [u8]) {
    for part in parts {
        let from = bytes.start.min(part.len());
        let to = bytes.end.min(part.len());
        let (here, rest) = out.split_at_mut(to - from);
        here.copy_from_slice(&part[from..to]);
        out = rest;
        bytes = bytes.start - from..bytes.end - to;
    }
}

fn lane_count<S: Simd>(_: S) -> usize {
    S::u32s::LEN
}

/// Takes so many blocks into each lane's chaining value.
#[inline(always)]
fn compress<S: Simd>(simd: S, lanes: &mut Lanes, blocks: usize) {
    let count = S::u32s::LEN;
    let splat = |word| S::u32s::splat(simd, word);
    let load = |words: &[u32; LANES_MAX]| S::u32s::from_slice(simd, &words[..count]);
    let mut values: [S::u32s; 8] = array::from_fn(|at| load(&lanes.values[at]));
    let counters = load(&array::from_fn(|lane| lanes.lanes[lane].counter));
    for block in 0..blocks {
        let (mut lens, mut flags) = ([0; LANES_MAX], [0; LANES_MAX]);
        for (at, lane) in lanes.lanes[..count].iter().enumerate() {
            let from = lane.at + block * BLOCK_LEN;
            let left = lane.len.saturating_sub(from);
            lens[at] = u32::try_from(left.min(BLOCK_LEN)).expect("a block's length is small");
            let first = if from == 0 { CHUNK_START } else { 0 };
            flags[at] = first | if left <= BLOCK_LEN { lane.last_flags } else { 0 };
        }
        let message = message(simd, lanes, block);
        let [a, b, c, d, e, f, g, h] = values;
        let [i, j, k, l, ..] = IV.map(splat);
        let (lens, flags) = (load(&lens), load(&flags));
        let mut state = [a, b, c, d, e, f, g, h, i, j, k, l, counters, splat(0), lens, flags];
        round::<S, 0>(&mut state, &message);
        round::<S, 1>(&mut state, &message);
        round::<S, 2>(&mut state, &message);
        round::<S, 3>(&mut state, &message);
        round::<S, 4>(&mut state, &message);
        round::<S, 5>(&mut state, &message);
        round::<S, 6>(&mut state, &message);
        values = array::from_fn(|at| state[at] ^ state[at + 8]);
    }
    for (words, value) in lanes.values.iter_mut().zip(values) {
        value.store_slice(&mut words[..count]);
    }
}

/// The 16 words of each lane's block, word by word.
#[inline(always)]
fn message<S: Simd>(simd: S, lanes: &Lanes, block: usize) -> [S::u32s; 16] {
    let count = S::u32s::LEN;
    let mut message = [S::u32s::splat(simd, 0); 16];
    for first in (0..16).step_by(count) {
        for lane in 0..count {
            let from = (lanes.lanes[lane].at + block * BLOCK_LEN) % CHUNK_LEN + first * 4;
            let bytes = &lanes.buffers[lane][from..from + count * 4];
            message[first + lane] = S::u8s::from_slice(simd, bytes).bitcast();
        }
        transpose::<S>(&mut message[first..first + count]);
    }
    message
}

/// As many vectors as each has words: what was the row of a word is its column.
#[inline(always)]
fn transpose<S: Simd>(rows: &mut [S::u32s]) {
    let half = S::u32s::LEN / 2;
    let mut done = 1;
    while done < S::u32s::LEN {
        let old: [S::u32s; LANES_MAX] = array::from_fn(|at| rows[at % S::u32s::LEN]);
        for at in 0..half {
            (rows[2 * at], rows[2 * at + 1]) = old[at].interleave(old[at + half]);
        }
        done *= 2;
    }
}

#[inline(always)]
fn round<S: Simd, const ROUND: usize>(state: &mut [S::u32s; 16], message: &[S::u32s; 16]) {
    let at = SCHEDULE[ROUND];
    mix::<S>(state, [0, 4, 8, 12], message[at[0]], message[at[1]]);
    mix::<S>(state, [1, 5, 9, 13], message[at[2]], message[at[3]]);
    mix::<S>(state, [2, 6, 10, 14], message[at[4]], message[at[5]]);
    mix::<S>(state, [3, 7, 11, 15], message[at[6]], message[at[7]]);
    mix::<S>(state, [0, 5, 10, 15], message[at[8]], message[at[9]]);
    mix::<S>(state, [1, 6, 11, 12], message[at[10]], message[at[11]]);
    mix::<S>(state, [2, 7, 8, 13], message[at[12]], message[at[13]]);
    mix::<S>(state, [3, 4, 9, 14], message[at[14]], message[at[15]]);
}

#[inline(always)]
fn mix<S: Simd>(v: &mut [S::u32s; 16], [a, b, c, d]: [usize; 4], x: S::u32s, y: S::u32s) {
    v[a] = v[a] + v[b] + x;
    v[d] = turn::<S, 16>(v[d] ^ v[a]);
    v[c] += v[d];
    v[b] = turn::<S, 12>(v[b] ^ v[c]);
    v[a] = v[a] + v[b] + y;
    v[d] = turn::<S, 8>(v[d] ^ v[a]);
    v[c] += v[d];
    v[b] = turn::<S, 7>(v[b] ^ v[c]);
}

/// Turns each word to the right.
#[inline(always)]
fn turn<S: Simd, const BITS: u32>(words: S::u32s) -> S::u32s {
    (words >> BITS) | (words << (32 - BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// All that this processor has, the widest first.
    fn levels() -> Vec<Level> {
        let widest = Level::new();
        #[cfg(target_arch = "x86_64")]
        let others = [
            widest.as_avx2().map(Level::Avx2),
            widest.as_sse4_2().map(Level::Sse4_2),
            widest.as_sse2().map(Level::Sse2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let others = [None];
        [Some(widest)].into_iter().chain(others).flatten().collect()
    }

    /// Bytes of which no two pieces are alike, and where each part of an input of `len` ends.
    fn bytes(len: usize) -> Vec<u8> {
        (0_u32..).take(len).map(|at| at.wrapping_mul(0x9E37_79B9).to_be_bytes()[0]).collect()
    }

    fn check(inputs: &[Parts<'_>]) {
        for level in levels() {
            let mut hashes = vec![Hash::ZERO; inputs.len()];
            hash_each(level, inputs, &mut hashes);
            for (at, (parts, hash)) in inputs.iter().zip(&hashes).enumerate() {
                let whole = parts.concat();
                let expected = blake3::hash(&whole);
                let len = whole.len();
                assert_eq!(hash.as_bytes(), expected.as_bytes(), "{level:?}: {at}, {len} bytes");
            }
        }
    }

    #[test]
    fn inputs_of_every_length_have_the_hashes_of_the_crate() {
        let bytes = bytes(6 * CHUNK_LEN);
        let lens = (0..=2 * CHUNK_LEN + BLOCK_LEN + 1).chain([3071, 3072, 3073, 4095, 4096, 4097]);
        let inputs: Vec<Parts<'_>> = lens
            .map(|len| [&bytes[len..len + len / 3], &bytes[..len % 7], &bytes[..len - len / 3]])
            .collect();
        check(&inputs);
    }

    #[test]
    fn any_number_of_inputs_is_hashed() {
        let bytes = bytes(200);
        for count in 0..=2 * LANES_MAX + 1 {
            let inputs: Vec<Parts<'_>> = (0..count)
                .map(|at| [&bytes[at..at + 20], &bytes[at..at + 3 * at], &[][..]])
                .collect();
            check(&inputs);
        }
    }

    proptest! {
        #[test]
        fn mixed_inputs_in_parts_have_the_hashes_of_the_crate(
            lens in prop::collection::vec(
                prop_oneof![0..200_usize, 0..1_100_usize, 1_000..5_000_usize],
                0..60,
            ),
            cuts in (0..1_000_usize, 0..1_000_usize),
        ) {
            let bytes = bytes(5_100);
            let inputs: Vec<Parts<'_>> = lens
                .iter()
                .enumerate()
                .map(|(at, len)| {
                    let input = &bytes[at..at + len];
                    let (first, rest) = input.split_at(cuts.0 * len / 1_000);
                    let (second, third) = rest.split_at(cuts.1 * rest.len() / 1_000);
                    [first, second, third]
                })
                .collect();
            check(&inputs);
        }
    }
}
