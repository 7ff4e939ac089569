//! Builds `libproftool_inject.so`, which `src/inject.rs` embeds: one executable is all that a user needs.
//!
//! It is another kind of library (cdylib) of a crate that proftool also links, for which cargo has no stable word, so a
//! second cargo builds it into the folder of this script. Both share nothing but the downloaded packages: the first holds
//! the locks of its own directories only. Where the second cannot run, the executable is built without the recorder and
//! says so when it is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Variables of the first cargo that would make the second build something else: another place, a linter in place of the
/// compiler, flags meant for this program (`RUSTFLAGS` itself does not reach a build script).
const NOT_FOR_IT: [&str; 10] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
    "CARGO_PRIMARY_PACKAGE",
];

/// How it is asked: first for what the first cargo has downloaded; `cargo install` without `--locked` may have taken other
/// versions than those of the lock file, which are then fetched. The lock file stays as it is.
const TRIES: [&[&str]; 2] = [&["--locked", "--offline"], &["--locked"]];

/// What the library is made of, from the root of the workspace.
const SOURCES: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    "crates/inject/Cargo.toml",
    "crates/inject/src",
    "crates/tracer/Cargo.toml",
    "crates/tracer/src",
];

const LIBRARY: &str = "libproftool_inject.so";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let built = if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        build(&root, &out.join("inject"))
    } else {
        Err("the recorder is for Linux".to_owned())
    };
    let bytes = built.and_then(|library| fs::read(&library).map_err(|error| format!("{}: {error}", library.display())));
    let bytes = bytes.unwrap_or_else(|reason| {
        println!("cargo::warning=proftool is built without its CUPTI recorder: {reason}");
        // A file that is not there counts as changed: the next build tries again.
        println!("cargo::rerun-if-changed={}", out.join("not-built").display());
        Vec::new()
    });
    fs::write(out.join(LIBRARY), bytes).expect("the folder of a build script can be written");
}

/// Builds the library into a target directory of its own.
fn build(root: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let target = env::var("TARGET").unwrap_or_default();
    let mut failed = String::new();
    for how in TRIES {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root).args(["build", "--release", "--package", "proftool-inject", "--lib", "--quiet"]);
        cargo.args(how).arg("--target").arg(&target).arg("--target-dir").arg(target_dir);
        for name in NOT_FOR_IT {
            cargo.env_remove(name);
        }
        // `--target-dir` does not move the directory of intermediate files where one is configured (`build.build-dir`):
        // that is the first cargo's, whose lock the second would wait for without end.
        cargo.env("CARGO_BUILD_BUILD_DIR", target_dir);
        // Small, and nobody debugs it inside another program.
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        let output = cargo.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
        if output.status.success() {
            return Ok(target_dir.join(&target).join("release").join(LIBRARY));
        }
        failed = String::from_utf8_lossy(&output.stderr).into_owned();
        // Code that does not compile gets no better by downloading.
        if failed.contains("could not compile") {
            break;
        }
    }
    Err(failed.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed").to_owned())
}
