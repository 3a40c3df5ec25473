//! Every pinned version and package name of the tooling, in one place.
//!
//! The wasm-bindgen command must equal the `wasm-bindgen` crate to the last digit, so its
//! version is read from `Cargo.lock` and stands nowhere else.

use std::fs;
use std::path::Path;

use crate::error::{Result, XtaskError};

pub(crate) const WASM_PACK: &str = "0.15.1";
pub(crate) const MDBOOK: &str = "0.5.4";
pub(crate) const CARGO_FUZZ: &str = "0.13.2";

/// The target of everything that runs in a browser.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// A target without a standard library, for the proof that the core needs none.
pub(crate) const NO_STD_TARGET: &str = "wasm32v1-none";

/// A compiler with its matching source, and its linter.
pub(crate) const DEBIAN_RUST_PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];
pub(crate) const DEBIAN_BROWSER_PACKAGES: &[&str] = &["chromium", "chromium-driver"];

/// The version that the wasm-bindgen command must have.
pub(crate) fn wasm_bindgen(root: &Path) -> Result<String> {
    let path = root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(XtaskError::file("read", &path))?;
    locked_version(&lock, "wasm-bindgen")
        .ok_or(XtaskError::PackageNotLocked { package: "wasm-bindgen" })
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name_line = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name_line).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-test\"\n\
                        version = \"0.3.80\"\n\n[[package]]\nname = \"wasm-bindgen\"\n\
                        version = \"0.2.130\"\nsource = \"somewhere\"\n";

    #[test]
    fn a_version_is_found_under_its_exact_name() {
        assert_eq!(locked_version(LOCK, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(locked_version(LOCK, "wasm-bindgen-test").as_deref(), Some("0.3.80"));
    }

    #[test]
    fn an_absent_package_has_no_version() {
        assert_eq!(locked_version(LOCK, "wasm"), None);
        assert_eq!(locked_version("", "wasm-bindgen"), None);
    }

    #[test]
    fn the_lock_file_of_this_workspace_names_wasm_bindgen() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        assert!(wasm_bindgen(root).unwrap().starts_with("0.2."));
    }
}
