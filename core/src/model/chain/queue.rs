//! Events of which only the hashes are still wanted, until there are enough to be hashed together.

use super::{HAS_LANES, Parts, content_hash_of_bytes, event_hash, event_parts, hash_each};
use crate::model::hash::Hash;
use alloc::vec::Vec;
use core::mem;

/// From so many events or bytes on, waiting for more gains nothing.
const EVENTS_ENOUGH: usize = 256;
const BYTES_ENOUGH: usize = 128 * 1024;
/// Contents of more bytes are hashed at once: they fill the processor alone.
const CONTENT_LEN_MAX: usize = 4 * 1024;

/// Stored events in their order, as bytes of its own: they outlive what they were read from.
#[derive(Debug, Default)]
pub(crate) struct HashQueue {
    bytes: Vec<u8>,
    events: Vec<Queued>,
    /// Where nothing is gained by waiting, what is known at once.
    hashes: Vec<Hash>,
}

#[derive(Debug)]
struct Queued {
    /// Where its content begins in the bytes, and its header, which ends where the next begins.
    content_at: usize,
    header_at: usize,
    content_hash: Option<Hash>,
}

impl HashQueue {
    /// Adds an event whose content is there.
    pub(crate) fn push_whole(&mut self, header_bytes: &[u8], content: &[u8]) {
        if !HAS_LANES || content.len() > CONTENT_LEN_MAX {
            return self.push_erased(header_bytes, content_hash_of_bytes(content));
        }
        let content_at = self.bytes.len();
        self.bytes.extend_from_slice(content);
        self.push(content_at, header_bytes, None);
    }

    /// Adds an event whose content's hash is known.
    pub(crate) fn push_erased(&mut self, header_bytes: &[u8], content_hash: Hash) {
        if HAS_LANES {
            self.push(self.bytes.len(), header_bytes, Some(content_hash));
        } else {
            self.hashes.push(event_hash(header_bytes, &content_hash));
        }
    }

    fn push(&mut self, content_at: usize, header_bytes: &[u8], content_hash: Option<Hash>) {
        let header_at = self.bytes.len();
        self.bytes.extend_from_slice(header_bytes);
        self.events.push(Queued { content_at, header_at, content_hash });
    }

    /// Whether there are as many as are well hashed together.
    pub(crate) fn is_full(&self) -> bool {
        !HAS_LANES || self.events.len() >= EVENTS_ENOUGH || self.bytes.len() >= BYTES_ENOUGH
    }

    /// The hash of each event, in their order. Nothing is left in the queue.
    pub(crate) fn finish(&mut self) -> Vec<Hash> {
        if !HAS_LANES {
            return mem::take(&mut self.hashes);
        }
        let content = |event: &Queued| match event.content_hash {
            None => [&self.bytes[event.content_at..event.header_at], &[], &[]],
            Some(_) => [&[][..]; 3],
        };
        let contents: Vec<Parts<'_>> = self.events.iter().map(content).collect();
        let mut hashes = Vec::new();
        hash_each(&contents, &mut hashes);
        for (event, hash) in self.events.iter().zip(&mut hashes) {
            *hash = event.content_hash.unwrap_or(*hash);
        }
        let ends = self.events.iter().skip(1).map(|event| event.content_at);
        let headers = self.events.iter().zip(ends.chain([self.bytes.len()]));
        let header = |((event, end), hash): ((&Queued, usize), _)| {
            event_parts(&self.bytes[event.header_at..end], hash)
        };
        let events: Vec<Parts<'_>> = headers.zip(&hashes).map(header).collect();
        let mut event_hashes = Vec::new();
        hash_each(&events, &mut event_hashes);
        self.bytes.clear();
        self.events.clear();
        event_hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_queue_gives_the_hashes_of_whole_and_erased_events_in_their_order() {
        let mut queue = HashQueue::default();
        for round in 0..2 {
            let mut expected = Vec::new();
            for number in 0..50_u8 {
                let header = vec![number; 40 + 3 * usize::from(number)];
                let content = vec![number + round; 1 + 97 * usize::from(number)];
                let content_hash = content_hash_of_bytes(&content);
                match number % 5 {
                    0 => queue.push_erased(&header, content_hash),
                    _ => queue.push_whole(&header, &content),
                }
                expected.push(event_hash(&header, &content_hash));
            }
            assert_eq!(queue.finish(), expected);
        }
        assert_eq!(queue.finish(), []);
    }

    #[test]
    #[cfg_attr(not(feature = "std"), ignore = "nothing is gathered without vectors")]
    fn a_queue_is_full_at_so_many_events_or_bytes() {
        let mut queue = HashQueue::default();
        for _ in 0..EVENTS_ENOUGH {
            assert!(!queue.is_full());
            queue.push_whole(&[1; 100], &[2; 10]);
        }
        assert!(queue.is_full());
        assert_eq!(queue.finish().len(), EVENTS_ENOUGH);
        for _ in 0..BYTES_ENOUGH / CONTENT_LEN_MAX {
            assert!(!queue.is_full());
            queue.push_whole(&[], &[2; CONTENT_LEN_MAX]);
        }
        assert!(queue.is_full());
    }
}
