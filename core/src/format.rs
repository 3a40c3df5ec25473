//! To be filled: format.
