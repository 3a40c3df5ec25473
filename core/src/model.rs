//! To be filled: model.
