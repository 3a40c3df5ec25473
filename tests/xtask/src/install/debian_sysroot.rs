//! The wasm standard library, built from Debian's source packages, for machines where
//! rustup can't fetch it.
//!
//! Only the compiler of the same version can build that source, so Debian's compiler
//! compiles everything for wasm. The result is a folder that looks like a toolchain
//! (`bin/`, `lib/rustlib/`), known to rustup as `annals-wasm`. `/usr` is left to apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Context;
use crate::error::{Result, XtaskError};
use crate::install::{apt, rustup_target};
use crate::process;
use crate::versions::{DEBIAN_RUST_PACKAGES, WASM_TARGET};

/// The name under which rustup knows the folder.
pub(crate) const TOOLCHAIN: &str = "annals-wasm";

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const RUSTLIB: &str = "/usr/lib/rustlib";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/Cargo.toml";
const LINTER: &str = "/usr/bin/clippy-driver";
const PROGRAMS: &[&str] = &["rustc", "rustdoc", "cargo", "cargo-clippy", "clippy-driver"];

/// The compiler and the source from Debian's packages.
pub(crate) fn ensure_packages() -> Result<()> {
    if has_packages() {
        return Ok(());
    }
    if apt::is_available() {
        apt::install(DEBIAN_RUST_PACKAGES)?;
    }
    if has_packages() {
        return Ok(());
    }
    Err(XtaskError::ToolMissing {
        what: format!("the Rust standard library for {WASM_TARGET}"),
        remedy: format!(
            "run `rustup target add {WASM_TARGET}`, or as root on Debian `apt-get install {}`, \
             or pass --skip no-std --skip wasm",
            DEBIAN_RUST_PACKAGES.join(" ")
        ),
    })
}

pub(crate) fn has_packages() -> bool {
    [RUSTC, CARGO, SOURCE, LINTER].iter().all(|file| Path::new(file).exists())
}

/// The toolchain folder, built when it is absent or older than Debian's compiler.
pub(crate) fn ensure(context: &Context) -> Result<PathBuf> {
    ensure_packages()?;
    let sysroot = folder(context);
    let compiler = compiler_version()?;
    if !is_built(&sysroot, &compiler) {
        println!("Building the standard library for {WASM_TARGET}, once (about a minute)");
        let libraries = build_libraries(context)?;
        assemble(context, &sysroot, &libraries, &compiler)?;
    }
    link_to_rustup(&sysroot)?;
    Ok(sysroot)
}

pub(crate) fn is_ready(context: &Context) -> bool {
    has_packages() && compiler_version().is_ok_and(|compiler| is_built(&folder(context), &compiler))
}

/// Debian's cargo, with the compiler beside it and the right to build a standard library.
pub(crate) fn cargo_with_source() -> Command {
    let mut command = Command::new(CARGO);
    command
        .env("PATH", "/usr/bin:/bin")
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH");
    command
}

fn folder(context: &Context) -> PathBuf {
    context.cache().join("debian-sysroot")
}

/// The whole of `rustc -vV`: a rebuild is due as soon as anything in it changes.
fn compiler_version() -> Result<String> {
    process::capture(Command::new(RUSTC).env_remove("LD_LIBRARY_PATH").arg("-vV"))
}

fn is_built(sysroot: &Path, compiler: &str) -> bool {
    fs::read_to_string(sysroot.join("version")).is_ok_and(|version| version == compiler)
}

/// Builds the standard library under an empty crate and returns its files.
fn build_libraries(context: &Context) -> Result<Vec<PathBuf>> {
    let stub = context.cache().join("stub");
    recreate(&stub.join("src"))?;
    let manifest = "[package]\nname = \"annals_stub\"\nedition = \"2021\"\n\n[workspace]\n";
    write(&stub.join("Cargo.toml"), manifest)?;
    write(&stub.join("src/lib.rs"), "")?;
    process::run(
        cargo_with_source()
            .current_dir(&stub)
            .env_remove("CARGO_TARGET_DIR")
            .args(["build", "--quiet", "--release", "--target", WASM_TARGET])
            .args(["--target-dir", "target"])
            .args(["-Z", "build-std=std,panic_abort,panic_unwind,test,proc_macro"]),
    )?;
    let built = stub.join("target").join(WASM_TARGET).join("release/deps");
    let mut libraries = Vec::new();
    for entry in fs::read_dir(&built).map_err(XtaskError::file("list", &built))? {
        let path = entry.map_err(XtaskError::file("list", &built))?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") && !is_stub(&path) {
            libraries.push(path);
        }
    }
    Ok(libraries)
}

fn is_stub(library: &Path) -> bool {
    library.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libannals_stub"))
}

/// Lays the folder out beside its place and moves it there, so that it is whole or absent.
fn assemble(
    context: &Context,
    sysroot: &Path,
    libraries: &[PathBuf],
    compiler: &str,
) -> Result<()> {
    let host = host_triple(compiler).ok_or_else(|| XtaskError::ToolMissing {
        what: "the host in what `rustc -vV` prints".to_owned(),
        remedy: format!("install {} again", DEBIAN_RUST_PACKAGES.join(" ")),
    })?;
    let draft = context.cache().join("debian-sysroot.draft");
    remove(&draft)?;
    let wasm = draft.join("lib/rustlib").join(WASM_TARGET).join("lib");
    create(&wasm)?;
    for library in libraries {
        let name = library.file_name().unwrap_or_default();
        fs::copy(library, wasm.join(name)).map_err(XtaskError::file("copy", library))?;
    }
    let native = draft.join("lib/rustlib").join(host);
    create(&native.join("bin"))?;
    symlink(&Path::new(RUSTLIB).join(host).join("lib"), &native.join("lib"))?;
    symlink(&find_linker(context, host)?, &native.join("bin/rust-lld"))?;
    create(&draft.join("bin"))?;
    for program in PROGRAMS {
        write_wrapper(&draft.join("bin").join(program), program, sysroot)?;
    }
    write(&draft.join("version"), compiler)?;
    remove(sysroot)?;
    fs::rename(&draft, sysroot).map_err(XtaskError::file("create", sysroot))
}

fn host_triple(compiler: &str) -> Option<&str> {
    compiler.lines().find_map(|line| line.strip_prefix("host: "))
}

/// The linker of the active toolchain, else Debian's.
fn find_linker(context: &Context, host: &str) -> Result<PathBuf> {
    let inside = |sysroot: PathBuf| sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    let own = rustup_target::active_sysroot(context).map(inside).ok();
    let debian = Some(inside(PathBuf::from("/usr")));
    let on_path = process::find(&["rust-lld", "lld"]);
    [own, debian, on_path].into_iter().flatten().find(|path| path.exists()).ok_or_else(|| {
        XtaskError::ToolMissing {
            what: "a linker for wasm".to_owned(),
            remedy: "install lld (Debian: apt-get install lld)".to_owned(),
        }
    })
}

/// A program that runs Debian's of the same name with this folder as its libraries.
fn write_wrapper(path: &Path, program: &str, sysroot: &Path) -> Result<()> {
    write(path, &wrapper(program, sysroot))?;
    make_executable(path)
}

fn wrapper(program: &str, sysroot: &Path) -> String {
    let sysroot = sysroot.display();
    match program {
        "rustc" | "rustdoc" => {
            format!("#!/bin/sh\nexec /usr/bin/{program} --sysroot '{sysroot}' \"$@\"\n")
        }
        // The linter takes its libraries from a variable: cargo calls it without arguments.
        _ => format!("#!/bin/sh\nSYSROOT='{sysroot}' exec /usr/bin/{program} \"$@\"\n"),
    }
}

/// Lets `cargo +annals-wasm` work, and the proxies that rustup put on the PATH.
fn link_to_rustup(sysroot: &Path) -> Result<()> {
    let Some(rustup) = process::find(&["rustup"]) else { return Ok(()) };
    let mut link = Command::new(rustup);
    process::capture(link.args(["toolchain", "link", TOOLCHAIN]).arg(sysroot)).map(|_| ())
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(XtaskError::file("create", folder))
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(XtaskError::file("remove", folder))
}

fn recreate(folder: &Path) -> Result<()> {
    remove(folder)?;
    create(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(XtaskError::file("write", path))
}

#[cfg(unix)]
fn symlink(original: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(original, link).map_err(XtaskError::file("link", link))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(XtaskError::file("make executable", path))
}

// Debian's packages are found on unix only, so nothing calls these elsewhere.
#[cfg(not(unix))]
fn symlink(original: &Path, link: &Path) -> Result<()> {
    fs::copy(original, link).map(|_| ()).map_err(XtaskError::file("link", link))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_from_the_compiler() {
        let text = "rustc 1.96.0\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0";
        assert_eq!(host_triple(text), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(host_triple("rustc 1.96.0"), None);
    }

    #[test]
    fn wrappers_give_the_compiler_its_folder() {
        let folder = Path::new("/some/folder");
        assert_eq!(
            wrapper("rustc", folder),
            "#!/bin/sh\nexec /usr/bin/rustc --sysroot '/some/folder' \"$@\"\n"
        );
        assert_eq!(
            wrapper("cargo", folder),
            "#!/bin/sh\nSYSROOT='/some/folder' exec /usr/bin/cargo \"$@\"\n"
        );
    }
}
