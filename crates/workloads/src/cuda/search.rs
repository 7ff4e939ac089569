//! Where the libraries of CUDA may be when their bare names don't find them.

use std::path::{Path, PathBuf};

/// The driver's library, which comes with the driver and with nothing else.
pub(crate) const DRIVER: [&str; 1] = ["libcuda.so.1"];
/// NVRTC by its versions, the newest first.
pub(crate) const NVRTC: [&str; 3] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"];
/// cuBLASLt by its versions.
pub(crate) const CUBLASLT: [&str; 3] = ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"];

/// Where distributions, NVIDIA's packages and containers put them.
const FOLDERS: [&str; 8] = [
    "/usr/local/cuda/lib64",
    "/usr/local/cuda/compat",
    "/opt/cuda/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
];
/// Folders of NVIDIA's Python wheels, beside each other in `nvidia`: of CUDA 13, of CUDA 12 and older.
const WHEELS: [&str; 3] = ["cu13/lib", "cuda_nvrtc/lib", "cublas/lib"];

/// Every file that may be one of `names`, the likeliest first: `LD_LIBRARY_PATH` and beside its folders of wheels, the
/// active virtual environment, the environment of the `python3` in `PATH`, CUDA's folders.
pub(crate) fn candidates(variable: impl Fn(&str) -> Option<String>, names: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in variable("LD_LIBRARY_PATH").unwrap_or_default().split(':').filter(|text| !text.is_empty()) {
        folders.push(folder.into());
        let nvidia = Path::new(folder).ancestors().find(|path| path.ends_with("nvidia"));
        folders.extend(nvidia.into_iter().flat_map(wheels));
    }
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(&variable).map(PathBuf::from);
    let path = variable("PATH").unwrap_or_default();
    let python = path.split(':').map(Path::new).find(|folder| folder.join("python3").is_file());
    for root in active.chain(python.and_then(Path::parent).map(Path::to_path_buf)) {
        folders.extend(environment(&root));
    }
    let home =
        ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(&variable).map(|home| PathBuf::from(home).join("lib64"));
    folders.extend(home.chain(FOLDERS.map(PathBuf::from)).chain(versions(Path::new("/usr/local"))));
    let mut found: Vec<PathBuf> = Vec::new();
    for file in folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))) {
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

fn wheels(nvidia: &Path) -> impl Iterator<Item = PathBuf> {
    WHEELS.into_iter().map(|wheel| nvidia.join(wheel))
}

/// The folders of wheels in a Python environment.
fn environment(root: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(root.join("lib")).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut pythons: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("/python3")).collect();
    pythons.sort();
    let packages = pythons.iter().flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)));
    packages.flat_map(|packages| wheels(&packages.join("nvidia")).collect::<Vec<_>>()).collect()
}

/// The libraries of the folders `cuda-*` there, the newest name first.
fn versions(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("/cuda-")).collect();
    found.sort();
    found.reverse();
    found.into_iter().map(|path| path.join("lib64")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], names: &[&str]) -> Vec<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        candidates(variable, names).iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn wheels_beside_a_folder_of_the_library_path_come_first() {
        let found = of(&[("LD_LIBRARY_PATH", "/v/nvidia/cudnn/lib:")], &["libcublasLt.so.12"]);
        assert_eq!(found[0], "/v/nvidia/cudnn/lib/libcublasLt.so.12");
        assert!(found.contains(&"/v/nvidia/cublas/lib/libcublasLt.so.12".to_owned()));
        assert!(found.contains(&"/usr/local/cuda/lib64/libcublasLt.so.12".to_owned()));
    }

    #[test]
    fn a_virtual_environment_and_the_python_in_the_path_are_searched() {
        let root = std::env::temp_dir().join(format!("proftool-cuda-search-{}", std::process::id()));
        std::fs::create_dir_all(root.join("lib/python3.12")).expect("the folder is made");
        std::fs::create_dir_all(root.join("bin")).expect("the folder is made");
        std::fs::write(root.join("bin/python3"), "").expect("the file is made");
        let text = root.to_string_lossy().into_owned();
        let wheel = format!("{text}/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        assert!(of(&[("VIRTUAL_ENV", &text)], &NVRTC).contains(&wheel));
        assert!(of(&[("PATH", &format!("/none:{text}/bin"))], &NVRTC).contains(&wheel));
        std::fs::remove_dir_all(root).expect("removed");
    }
}
