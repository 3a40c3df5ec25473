//! What a developer of Annals runs.
fn main() {}
