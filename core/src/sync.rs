//! The locks of the core: one API, two libraries.
//!
//! With the feature `std` a waiting thread parks (`parking_lot`), without it the thread
//! spins (`spin`). Both return the guard itself: there is no poisoning, so a panic under a
//! lock leaves the value as it was and whoever owns it decides what that means. Only what
//! both libraries share may be used: `new`, `lock`, `read`, `write`, the `try_` forms,
//! `get_mut`, `into_inner`. Nobody holds one of these across I/O that a reader waits on.

#[cfg(feature = "std")]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(feature = "std"))]
pub(crate) use spin::{Mutex, RwLock};

#[cfg(test)]
mod tests {
    use super::{Mutex, RwLock};

    #[test]
    fn guards_are_returned_directly() {
        let counter = Mutex::new(1_u32);
        *counter.lock() += 1;
        assert!(counter.try_lock().is_some());
        assert_eq!(counter.into_inner(), 2);

        let mut shared = RwLock::new(1_u32);
        {
            let first = shared.read();
            let second = shared.read();
            assert_eq!(*first + *second, 2);
            assert!(shared.try_write().is_none());
        }
        *shared.write() += 1;
        assert_eq!(*shared.get_mut(), 2);
    }
}
