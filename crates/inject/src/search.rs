//! Where CUPTI may be.

use std::path::{Path, PathBuf};

/// The library's names, the newest first.
pub(crate) const NAMES: [&str; 3] = ["libcupti.so.13", "libcupti.so.12", "libcupti.so.11"];
/// Where distributions and NVIDIA's packages put it.
const FOLDERS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
/// Folders of NVIDIA's Python wheels, beside each other in `nvidia`: of CUDA 12 and older, of CUDA 13.
const WHEELS: [&str; 2] = ["cuda_cupti/lib", "cu13/lib"];

/// The first file of [`candidates`] that is there, as this process sees it: what a launcher puts into
/// `NVTX_INJECTION64_PATH`, without which NVTX ranges don't reach CUPTI.
pub fn find() -> Option<PathBuf> {
    candidates(|name| std::env::var(name).ok(), "").into_iter().find(|path| path.is_file())
}

/// Every file that may be CUPTI, the likeliest first: `PROFTOOL_CUPTI_PATH` (a file, or a folder), beside the libraries
/// that `maps` (the text of `/proc/self/maps`) shows as loaded, in `LD_LIBRARY_PATH` and beside its folders of wheels, in
/// a virtual environment, in CUDA's folders.
pub fn candidates(variable: impl Fn(&str) -> Option<String>, maps: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(stated) = variable("PROFTOOL_CUPTI_PATH").filter(|text| !text.is_empty()) {
        let stated = PathBuf::from(stated);
        if !stated.is_dir() {
            return vec![stated];
        }
        add(&mut found, &stated);
    }
    loaded(maps).for_each(|folder| wheels(&mut found, folder));
    for folder in variable("LD_LIBRARY_PATH").unwrap_or_default().split(':').filter(|text| !text.is_empty()) {
        add(&mut found, Path::new(folder));
        wheels(&mut found, Path::new(folder));
    }
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        environment(&mut found, variable(name).map(PathBuf::from));
    }
    let home = variable("CUDA_HOME").or_else(|| variable("CUDA_PATH")).map(PathBuf::from);
    for folder in home.into_iter().chain(FOLDERS.map(PathBuf::from)).chain(versions("/usr/local")) {
        add(&mut found, &folder.join("extras/CUPTI/lib64"));
        add(&mut found, &folder.join("lib64"));
        add(&mut found, &folder);
    }
    found
}

fn add(found: &mut Vec<PathBuf>, folder: &Path) {
    for path in NAMES.map(|name| folder.join(name)) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
}

/// The folders of loaded libraries, each once: a program that has loaded a wheel of CUDA's runtime has CUPTI beside it.
fn loaded(maps: &str) -> impl Iterator<Item = &Path> {
    let paths = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    let mut folders: Vec<_> =
        paths.filter(|path| path.contains("/nvidia/")).filter_map(|path| Path::new(path).parent()).collect();
    folders.dedup();
    folders.into_iter()
}

/// The folders of CUPTI's wheels beside a folder inside `.../nvidia/`.
fn wheels(found: &mut Vec<PathBuf>, folder: &Path) {
    if let Some(nvidia) = folder.ancestors().find(|path| path.ends_with("nvidia")) {
        for wheel in WHEELS {
            add(found, &nvidia.join(wheel));
        }
    }
}

/// The wheels of a virtual environment.
fn environment(found: &mut Vec<PathBuf>, root: Option<PathBuf>) {
    let Some(Ok(pythons)) = root.map(|root| std::fs::read_dir(root.join("lib"))) else { return };
    let mut pythons: Vec<_> = pythons.filter_map(|entry| Some(entry.ok()?.path())).collect();
    pythons.sort();
    for python in pythons.iter().filter(|path| path.to_string_lossy().contains("/python3")) {
        wheels(found, &python.join("site-packages/nvidia"));
    }
}

/// The folders `cuda-*` there, the newest name first.
fn versions(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("/cuda-")).collect();
    found.sort();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], maps: &str) -> Vec<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        candidates(variable, maps).iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_stated_file_is_the_only_candidate_and_a_stated_folder_the_first() {
        assert_eq!(of(&[("PROFTOOL_CUPTI_PATH", "/opt/libcupti.so")], ""), ["/opt/libcupti.so"]);
        assert_eq!(of(&[("PROFTOOL_CUPTI_PATH", "/tmp")], "")[0], "/tmp/libcupti.so.13");
    }

    #[test]
    fn the_wheel_beside_a_loaded_library_or_a_library_path_is_found() {
        let maps =
            "7f00-7f01 r-xp 0 08:01 5   /v/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12\n7f02 rw-p 0 0 0\n";
        assert_eq!(of(&[], maps)[1], "/v/site-packages/nvidia/cuda_cupti/lib/libcupti.so.12");
        let found = of(&[("LD_LIBRARY_PATH", "/a:/v/nvidia/cudnn/lib:")], "");
        assert_eq!(found[0], "/a/libcupti.so.13");
        assert!(found.contains(&"/v/nvidia/cu13/lib/libcupti.so.13".to_owned()));
    }

    #[test]
    fn the_folder_of_the_toolkit_is_searched() {
        let found = of(&[("CUDA_HOME", "/c")], "");
        assert_eq!(found[0], "/c/extras/CUPTI/lib64/libcupti.so.13");
        assert!(found.contains(&"/usr/local/cuda/extras/CUPTI/lib64/libcupti.so.12".to_owned()));
    }

    #[test]
    fn a_virtual_environment_is_searched() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("lib/python3.12")).expect("the folder is made");
        let root = folder.path().to_string_lossy().into_owned();
        let found = of(&[("VIRTUAL_ENV", &root)], "");
        assert_eq!(found[0], format!("{root}/lib/python3.12/site-packages/nvidia/cuda_cupti/lib/libcupti.so.13"));
    }
}
