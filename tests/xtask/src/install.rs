//! Puts tools in place, once, and says what it does.
//!
//! Each `ensure` function returns at once when its tool is there. Otherwise it installs it
//! into the cache folder, or by apt where that is allowed, or returns
//! [`XtaskError::ToolMissing`](crate::error::XtaskError) with what a person should do.

pub(crate) mod apt;
pub(crate) mod browser;
pub(crate) mod cargo_tools;
pub(crate) mod debian_sysroot;
pub(crate) mod rustup_target;
