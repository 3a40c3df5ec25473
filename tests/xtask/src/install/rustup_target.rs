//! Targets of the compiler that runs this xtask, added by rustup where it can.
//!
//! Where rustup can't reach its server it hangs, so a try has a time limit and a failure is
//! remembered: `setup` tries again, `test` does not wait a second time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::context::Context;
use crate::error::{Result, XtaskError, with_causes};
use crate::process;

const ADD_LIMIT: Duration = Duration::from_secs(60);

/// Whether the active compiler can build for `target`, after a try to make it so.
pub(crate) fn ensure(context: &Context, target: &str) -> Result<bool> {
    if is_installed(context, target) {
        return Ok(true);
    }
    let failure = remembered_failure(context, target);
    let Some(rustup) = process::find(&["rustup"]).filter(|_| !failure.exists()) else {
        return Ok(false);
    };
    println!("Trying rustup for {target}, for {} s at most", ADD_LIMIT.as_secs());
    let mut add = Command::new(rustup);
    add.current_dir(context.root()).args(["target", "add", target]);
    match process::run_hidden_within(&mut add, ADD_LIMIT) {
        Ok(()) => Ok(is_installed(context, target)),
        Err(error) => {
            let why = with_causes(&error);
            println!("rustup could not: {why}. The next run will not try again, `setup` will");
            fs::write(&failure, why).map_err(XtaskError::file("write", &failure))?;
            Ok(false)
        }
    }
}

/// Whether the active compiler, from rustup or not, has the target's libraries.
pub(crate) fn is_installed(context: &Context, target: &str) -> bool {
    active_sysroot(context).is_ok_and(|sysroot| {
        fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")).is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore"))
            })
        })
    })
}

/// The folder of the compiler that the workspace is built with.
pub(crate) fn active_sysroot(context: &Context) -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(context.root()).args(["--print", "sysroot"]);
    process::capture(&mut rustc).map(PathBuf::from)
}

pub(crate) fn failed_before(context: &Context, target: &str) -> bool {
    remembered_failure(context, target).exists()
}

/// Lets the next [`ensure`] try again.
pub(crate) fn forget_failure(context: &Context, target: &str) -> Result<()> {
    let path = remembered_failure(context, target);
    if path.exists() {
        fs::remove_file(&path).map_err(XtaskError::file("remove", &path))?;
    }
    Ok(())
}

fn remembered_failure(context: &Context, target: &str) -> PathBuf {
    context.cache().join(format!("rustup-failed-{target}"))
}
