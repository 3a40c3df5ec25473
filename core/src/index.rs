//! To be filled: index.
