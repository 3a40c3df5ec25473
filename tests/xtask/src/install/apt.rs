//! Debian packages, where there is apt and the user is root.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process;

/// Seconds to wait for another apt that holds the lock.
const LOCK_TIMEOUT_S: u32 = 600;

/// Whether [`install`] can work here.
pub(crate) fn is_available() -> bool {
    Path::new("/etc/debian_version").exists() && process::find(&["apt-get"]).is_some() && is_root()
}

/// Whether this process may do everything on this machine.
pub(crate) fn is_root() -> bool {
    cfg!(unix) && process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// Installs packages. Never removes one: a package in the way is an error.
///
/// # Errors
///
/// If apt fails, for example since this release of the system has no such package.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    println!("Installing by apt: {}", packages.join(", "));
    process::run(apt_get().args(["-qq", "update"]))?;
    process::run(
        apt_get()
            .args(["-qq", "-y", "--no-install-recommends", "--no-remove", "install"])
            .args(packages),
    )
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", &format!("DPkg::Lock::Timeout={LOCK_TIMEOUT_S}")])
        .args(["-o", "Dpkg::Use-Pty=0"]);
    command
}
