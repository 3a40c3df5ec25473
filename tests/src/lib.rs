//! The proof of Annals.
