//! To be filled: sync.
