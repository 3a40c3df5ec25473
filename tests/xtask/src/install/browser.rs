//! Chromium or Chrome with its driver, and the `webdriver.json` that starts it.
//!
//! The file is generated before a run and ignored by git, since the browser's path and
//! whether it may use its sandbox differ from machine to machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::error::{Result, XtaskError};
use crate::install::apt;
use crate::process;
use crate::versions::DEBIAN_BROWSER_PACKAGES;

const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const REMEDY: &str = "install Chromium or Chrome and the chromedriver of the same version, so \
                      that both are on the PATH (Debian: apt-get install chromium \
                      chromium-driver), or pass --skip wasm";

#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) program: PathBuf,
    pub(crate) driver: PathBuf,
}

impl Browser {
    /// The browser that is there, or one installed by apt.
    pub(crate) fn ensure() -> Result<Self> {
        if let Some(browser) = Self::find() {
            return Ok(browser);
        }
        if apt::is_available() {
            apt::install(DEBIAN_BROWSER_PACKAGES)?;
        }
        Self::find().ok_or_else(|| XtaskError::ToolMissing {
            what: "a browser for the tests".to_owned(),
            remedy: REMEDY.to_owned(),
        })
    }

    pub(crate) fn find() -> Option<Self> {
        let program = process::find(BROWSERS)?;
        let driver = process::find(&["chromedriver"])?;
        Some(Self { program, driver })
    }

    /// The first line that the browser and its driver print for `--version`.
    pub(crate) fn versions(&self) -> Result<(String, String)> {
        let version = |program: &Path| {
            let text = process::capture(Command::new(program).arg("--version"))?;
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        };
        Ok((version(&self.program)?, version(&self.driver)?))
    }

    /// Writes the file from which wasm-bindgen's test runner takes how to start the browser.
    pub(crate) fn write_webdriver_json(&self, crate_folder: &Path) -> Result<()> {
        let path = crate_folder.join("webdriver.json");
        let text = format!("{:#}\n", webdriver_json(&self.program, apt::is_root()));
        fs::write(&path, text).map_err(XtaskError::file("write", &path))
    }
}

/// Chromium refuses its sandbox to root; everybody else keeps it. The other arguments
/// keep a fresh browser from looking up hosts that a test has no business with.
fn webdriver_json(program: &Path, is_root: bool) -> Value {
    let mut arguments = vec![
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];
    if is_root {
        arguments.push("--no-sandbox");
    }
    json!({
        "goog:chromeOptions": {
            "binary": program.to_string_lossy(),
            "args": arguments,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_gives_up_the_sandbox() {
        let sandboxed = |is_root| {
            let json = webdriver_json(Path::new("/bin/browser"), is_root);
            let options = &json["goog:chromeOptions"];
            assert_eq!(options["binary"], "/bin/browser");
            let arguments = options["args"].as_array().unwrap().clone();
            assert!(arguments.contains(&"--headless".into()));
            !arguments.contains(&"--no-sandbox".into())
        };
        assert!(!sandboxed(true));
        assert!(sandboxed(false));
    }
}
