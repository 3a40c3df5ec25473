//! The hashes that chain the events of one entity.
//!
//! ```text
//! content bytes = varint(0 = no metadata, else its bytes + 1) | metadata | payload
//! content_hash  = BLAKE3(content bytes)
//! event_hash    = BLAKE3("annals.event.v1\0" | record header as stored | content_hash)
//! ```
//! The header begins with the previous event's hash, so that no event can change unnoticed.

#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod lanes;
mod queue;

pub(crate) use queue::HashQueue;

use super::hash::Hash;
use super::wire::varint_bytes;
use alloc::vec::Vec;

/// Sets an event's hash apart from all other uses of BLAKE3.
const EVENT_DOMAIN: &[u8; 16] = b"annals.event.v1\0";

/// Up to this many bytes, a copy and one call are cheaper than a streaming hasher.
const CONTIGUOUS_LEN_MAX: usize = 512;

/// Whether many inputs are hashed side by side here. Where they are not, what would gather them is
/// left out: in wasm each kilobyte counts.
pub(crate) const HAS_LANES: bool =
    cfg!(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")));

/// What is hashed, in parts that follow one another.
pub(crate) type Parts<'a> = [&'a [u8]; 3];

/// The hash of an event's content, which stays behind when the content is erased.
pub(crate) fn content_hash(metadata: Option<&[u8]>, payload: &[u8]) -> Hash {
    let len = metadata.map_or(0, |metadata| metadata.len() as u64 + 1);
    let (prefix, prefix_len) = varint_bytes(len);
    hash_parts([&prefix[..prefix_len], metadata.unwrap_or_default(), payload])
}

/// The hash of an event's content bytes, as a record stores them.
pub(crate) fn content_hash_of_bytes(content: &[u8]) -> Hash {
    Hash::from_bytes(*blake3::hash(content).as_bytes())
}

/// The hash of an event, from its record's header bytes and its content's hash.
pub(crate) fn event_hash(header_bytes: &[u8], content_hash: &Hash) -> Hash {
    hash_parts(event_parts(header_bytes, content_hash))
}

/// What the hash of an event is over.
pub(crate) fn event_parts<'a>(header_bytes: &'a [u8], content_hash: &'a Hash) -> Parts<'a> {
    [EVENT_DOMAIN, header_bytes, content_hash.as_bytes()]
}

/// Whether so many inputs are hashed faster side by side than one after the other.
pub(crate) const fn are_worth_lanes(count: usize) -> bool {
    HAS_LANES && count > 2
}

/// Puts the hash of each input into `hashes`, in their order: of many, side by side, in a fraction of
/// the time.
pub(crate) fn hash_each(inputs: &[Parts<'_>], hashes: &mut Vec<Hash>) {
    hashes.clear();
    #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if are_worth_lanes(inputs.len()) {
        hashes.resize(inputs.len(), Hash::ZERO);
        return lanes::hash_each(lanes::Level::new(), inputs, hashes);
    }
    hashes.extend(inputs.iter().map(|parts| hash_parts(*parts)));
}

#[inline]
fn hash_parts(parts: Parts<'_>) -> Hash {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    if len > CONTIGUOUS_LEN_MAX {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        return Hash::from_bytes(*hasher.finalize().as_bytes());
    }
    let mut buffer = [0; CONTIGUOUS_LEN_MAX];
    let mut end = 0;
    for part in parts {
        buffer[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    content_hash_of_bytes(&buffer[..len])
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn blake3_of(parts: &[&[u8]]) -> Hash {
        Hash::from_bytes(*blake3::hash(&parts.concat()).as_bytes())
    }

    #[test]
    fn the_content_hash_is_that_of_the_stored_bytes_at_every_size() {
        for len in [0, 1, 100, 510, 511, 512, 513, 5000] {
            let payload = vec![7; len];
            assert_eq!(content_hash(None, &payload), blake3_of(&[&[0], &payload]), "{len}");
        }
        let (metadata, payload) = (vec![1; 300], vec![2; 40]);
        let stored: Vec<u8> = [&[0xAD, 0x02], &metadata[..], &payload].concat();
        assert_eq!(content_hash(Some(&metadata), &payload), content_hash_of_bytes(&stored));
    }

    #[test]
    fn no_metadata_empty_metadata_and_a_moved_border_differ() {
        let none = content_hash(None, b"ab");
        let empty = content_hash(Some(b""), b"ab");
        let moved = content_hash(Some(b"a"), b"b");
        assert!(none != empty && empty != moved && none != moved);
    }

    #[test]
    fn the_event_hash_covers_the_domain_the_header_and_the_content() {
        let content = content_hash(None, b"payload");
        for len in [0, 100, 464, 465, 3000] {
            let header = vec![9; len];
            assert_eq!(
                event_hash(&header, &content),
                blake3_of(&[b"annals.event.v1\0", &header, content.as_bytes()]),
            );
        }
    }
}
