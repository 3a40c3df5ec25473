//! What the shared files look for in `crate::config`.

#[expect(dead_code, unreachable_pub, reason = "it is public where it comes from")]
#[path = "../../../adapters/native/src/config/restart.rs"]
mod restart;

pub(crate) use restart::{RestartPolicy, Restarts};

/// As in `annals`.
pub(crate) type Clock = std::sync::Arc<dyn Fn() -> i64 + Send + Sync>;
