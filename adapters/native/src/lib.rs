//! Annals over files, with threads.
