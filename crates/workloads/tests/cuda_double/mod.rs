//! Builds the doubles of CUDA's libraries and runs tests in processes that find them. README.md beside this says what
//! they do.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the processes that find the doubles.
const INSIDE: &str = "PROFTOOL_TEST_CUDA_DOUBLE";

// Not every test file that has this module uses each function.
const _: fn(&str, &[(&str, &str)]) -> bool = inside;

/// A library: its file, the shorter name that it is also found by, its sources, its flags.
struct Library {
    file: &'static str,
    link: &'static str,
    sources: &'static [&'static str],
    flags: &'static [&'static str],
}

const FLAGS: [&str; 6] = ["-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-pthread"];

static LIBRARIES: [Library; 3] = [
    Library {
        file: "libcuda.so.1",
        link: "libcuda.so",
        sources: &[
            "faults.cpp",
            "device.cpp",
            "context.cpp",
            "memory.cpp",
            "copy.cpp",
            "stream.cpp",
            "event.cpp",
            "graph.cpp",
            "module.cpp",
            "guarded.cpp",
        ],
        flags: &["-O1"],
    },
    Library { file: "libnvrtc.so.12", link: "libnvrtc.so", sources: &["faults.cpp", "nvrtc.cpp"], flags: &["-O1"] },
    Library {
        file: "libcublasLt.so.12",
        link: "libcublasLt.so",
        sources: &["faults.cpp", "gemm.cpp", "cublaslt.cpp"],
        flags: &["-O3", "-ffp-contract=off"],
    },
];

/// The folder with the libraries, built once; `None`, and a line that CI looks for, where there is no C++ compiler.
pub(crate) fn build() -> Option<PathBuf> {
    let sources = sources();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_double");
    fs::create_dir_all(&folder).unwrap();
    // Test binaries run at once, each in several threads and processes.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let stamp = stamp(&sources);
    if fs::read_to_string(folder.join("stamp")).is_ok_and(|found| found == stamp) {
        return Some(folder);
    }
    if Command::new("g++").arg("--version").output().is_err() {
        // Not a print macro: the test harness hides those.
        std::io::stderr().write_all(b"skipped: cc not found\n").unwrap();
        return None;
    }
    let on_host = sources.with_file_name("cuda_on_host");
    let compile = |library: &Library| {
        let mut command = Command::new("g++");
        command.args(FLAGS);
        command.args(library.flags).arg(format!("-DON_HOST=\"{}\"", on_host.display()));
        command.args(library.sources.iter().map(|source| sources.join(source)));
        command
            .arg(format!("-Wl,-soname,{}", library.file))
            .arg("-o")
            .arg(folder.join(library.file).with_extension("new"));
        command.arg("-ldl").spawn().unwrap()
    };
    let compilers = LIBRARIES.each_ref().map(compile);
    for (library, mut compiler) in LIBRARIES.iter().zip(compilers) {
        assert!(compiler.wait().unwrap().success(), "{} is compiled", library.file);
        // Another process may have the file in memory: it is replaced, not written.
        fs::rename(folder.join(library.file).with_extension("new"), folder.join(library.file)).unwrap();
        let _ = fs::remove_file(folder.join(library.link));
        std::os::unix::fs::symlink(library.file, folder.join(library.link)).unwrap();
    }
    fs::write(folder.join("stamp"), stamp).unwrap();
    Some(folder)
}

/// The folder of the C++ sources. Other crates of the workspace use this file by its path, so theirs would be wrong.
fn sources() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/tests/cuda_double")).canonicalize().unwrap()
}

/// What the libraries were built from.
fn stamp(folder: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cpp" || extension == "h"));
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        (file.to_str(), fs::read(&file).unwrap()).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// A command whose process, and those that it starts, find the doubles first; no other variable of theirs is set.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, libraries: &Path) -> Command {
    let mut command = Command::new(program);
    let doubles = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOUBLE_"));
    for (name, _) in doubles {
        command.env_remove(name);
    }
    command.env_remove("CUDA_VISIBLE_DEVICES").env("LD_LIBRARY_PATH", libraries).env(INSIDE, "1");
    command
}

/// Begins a test that needs the doubles: runs the test of this name again in a process that finds them, with these
/// variables, and gives whether this is that process. In the other one the test is over.
///
/// ```ignore
/// if !cuda_double::inside("a_test", &[]) { return }
/// ```
pub(crate) fn inside(test: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let Some(libraries) = build() else { return false };
    let mut command = command(std::env::current_exe().unwrap(), &libraries);
    command.args([test, "--exact", "--include-ignored", "--test-threads", "1"]).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no test is named {test}:\n{out}");
    false
}
