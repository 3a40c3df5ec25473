//! The bytes of a file, in pages that copies share until one of them writes.
//!
//! Invariants: bytes that were never written are zero and take no page; no byte behind the
//! length is other than zero, so growing needs nothing but a new length.

use std::{collections::BTreeMap, sync::Arc};

/// A sparse run of bytes, cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_LEN]>>,
}

impl Pages {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (last_page, kept) = split(len);
            self.pages.split_off(&(last_page + 1));
            if let Some(page) = self.pages.get_mut(&last_page) {
                Arc::make_mut(page)[kept..].fill(0);
            }
        }
        self.len = len;
    }

    /// Whether `len` bytes from `offset` lie inside.
    pub(super) fn contains(&self, offset: u64, len: usize) -> bool {
        let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
        end.is_some_and(|end| end <= self.len)
    }

    /// Fills `buf`; what lies behind the end is zero.
    pub(super) fn read(&self, mut buf: &mut [u8], mut offset: u64) {
        while !buf.is_empty() {
            let (number, start) = split(offset);
            let (piece, rest) = buf.split_at_mut(buf.len().min(PAGE_LEN - start));
            match self.pages.get(&number) {
                Some(page) => piece.copy_from_slice(&page[start..start + piece.len()]),
                None => piece.fill(0),
            }
            offset += piece.len() as u64;
            buf = rest;
        }
    }

    /// Writes `bytes`, growing as needed; an empty write changes nothing.
    pub(super) fn write(&mut self, mut bytes: &[u8], mut offset: u64) {
        while !bytes.is_empty() {
            let (number, start) = split(offset);
            let (piece, rest) = bytes.split_at(bytes.len().min(PAGE_LEN - start));
            let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE_LEN]));
            Arc::make_mut(page)[start..start + piece.len()].copy_from_slice(piece);
            offset += piece.len() as u64;
            self.len = self.len.max(offset);
            bytes = rest;
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let len = usize::try_from(self.len).expect("a file that is looked at fits into memory");
        let mut bytes = vec![0; len];
        self.read(&mut bytes, 0);
        bytes
    }
}

const PAGE_LEN: usize = 4096;

fn split(offset: u64) -> (u64, usize) {
    let page_len = PAGE_LEN as u64;
    let start = usize::try_from(offset % page_len).expect("smaller than a page");
    (offset / page_len, start)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, Vec<u8>),
        SetLen(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000_usize, prop::collection::vec(any::<u8>(), 0..9_000))
                .prop_map(|(offset, bytes)| Step::Write(offset, bytes)),
            (0..20_000_usize).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn pages_behave_as_a_plain_vector(steps in prop::collection::vec(step(), 1..20)) {
            let mut pages = Pages::default();
            let mut plain = Vec::new();
            for step in steps {
                let before = pages.clone();
                let plain_before = plain.clone();
                match step {
                    Step::Write(offset, bytes) => {
                        pages.write(&bytes, offset as u64);
                        if !bytes.is_empty() {
                            plain.resize(plain.len().max(offset + bytes.len()), 0);
                            plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
                        }
                    }
                    Step::SetLen(len) => {
                        pages.set_len(len as u64);
                        plain.resize(len, 0);
                    }
                }
                prop_assert!(pages.to_vec() == plain);
                prop_assert!(before.to_vec() == plain_before, "a copy does not change");
            }
        }
    }
}
