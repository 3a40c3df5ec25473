//! Sorts that are compiled once, or are small.
//!
//! The sort of the library is fast and large: in wasm, 4 kB for each type of items, and 8 kB where they
//! are large themselves. It is for what is sorted often or in great numbers.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts numbers by what they stand for.
pub(crate) fn sort_numbers(numbers: &mut [u32], compare: &dyn Fn(u32, u32) -> Ordering) {
    numbers.sort_unstable_by(|one, other| compare(*one, *other));
}

/// Items in ascending order, for few or small ones: by a heap, whose code is a tenth of a sort's.
pub(crate) fn ascending<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let heap: BinaryHeap<T> = items.into_iter().collect();
    heap.into_sorted_vec()
}

/// Items in the order of their keys, each moved once, however large it is.
pub(crate) fn by_key<T, K: Ord>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let places = ascending(items.iter().enumerate().map(|(at, item)| (key(item), at)));
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    places.iter().filter_map(|(_, at)| items[*at].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_the_order_of_their_keys_and_none_is_lost() {
        let words = ["ox", "a", "cat", "bee", "", "dog"].map(alloc::string::String::from);
        let sorted = by_key(words.to_vec(), |word| (word.len(), word.clone()));
        assert_eq!(sorted, ["", "a", "ox", "bee", "cat", "dog"]);
        assert_eq!(ascending([3, 1, 2, 1]), [1, 1, 2, 3]);
        let mut numbers = [0, 1, 2];
        sort_numbers(&mut numbers, &|one, other| other.cmp(&one));
        assert_eq!(numbers, [2, 1, 0]);
    }
}
