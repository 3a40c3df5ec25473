//! A hot path, once, for callgrind to count: `cargo xtask instructions`.
//!
//! `annals-hot-paths PATH` says how many operations were done, and what the libraries choose their
//! code by. Without a path it lists them.

use annals_hot_paths::{Result, names, run};

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        None => names().for_each(|name| println!("{name}")),
        Some(name) => println!("{} {}", run(&name)?.operations, processor()),
    }
    Ok(())
}

/// What the libraries choose their code by. Callgrind shows its own processor, not the machine's.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "avx2";
    }
    "other"
}
