//! Where things are: the workspace, the cache folder, the user's choices.
//!
//! Nothing outside the cache folder is ever written, except by apt and by cargo's own
//! target folder.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::error::{Result, XtaskError};

/// Where the standard library for wasm comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum WasmToolchainChoice {
    /// What is installed, else `rustup target add`, else Debian's source packages
    Auto,
    /// Only what is installed or what `rustup target add` brings
    Rustup,
    /// Only Debian's compiler and source packages
    Debian,
}

#[derive(Debug)]
pub(crate) struct Context {
    root: PathBuf,
    cache: PathBuf,
    pub(crate) wasm_toolchain: WasmToolchainChoice,
}

impl Context {
    pub(crate) fn new(wasm_toolchain: WasmToolchainChoice) -> Result<Self> {
        let cache = cache_folder().ok_or(XtaskError::NoCacheFolder)?;
        fs::create_dir_all(&cache).map_err(XtaskError::file("create", &cache))?;
        Ok(Self { root: workspace_root()?, cache, wasm_toolchain })
    }

    /// The workspace's top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds everything that xtask installs.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where `cargo install` puts the tools that the tests need.
    pub(crate) fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// Waits until no other xtask of this user installs anything. Free when dropped.
    pub(crate) fn lock_installs(&self) -> Result<File> {
        let path = self.cache.join("lock");
        let file = File::create(&path).map_err(XtaskError::file("create", &path))?;
        file.lock().map_err(XtaskError::file("lock", &path))?;
        Ok(file)
    }
}

fn workspace_root() -> Result<PathBuf> {
    // Cargo sets it for what it runs; the fallback serves a binary that is run by hand.
    if let Some(manifest) = env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&manifest).ancestors().nth(2)
    {
        return Ok(root.to_path_buf());
    }
    env::current_dir().map_err(XtaskError::file("find", "."))
}

fn cache_folder() -> Option<PathBuf> {
    let folder =
        |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("ANNALS_TOOLCHAIN_DIR")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("annals-toolchain")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/annals-toolchain")))
        .or_else(|| folder("LOCALAPPDATA").map(|local| local.join("annals-toolchain")))
}
