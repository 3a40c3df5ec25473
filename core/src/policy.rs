//! To be filled: policy.
