//! To be filled: storage.
