use std::os::unix::fs::symlink;

use super::*;

/// A file in a folder that is made as well.
fn file(root: &Path, path: &str) -> PathBuf {
    let file = root.join(path);
    fs::create_dir_all(file.parent().expect("below the root")).expect("a folder");
    fs::write(&file, "").expect("a file");
    file
}

#[test]
fn the_one_in_path_comes_first_then_the_newest_installation_and_each_once() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let old = file(root, "opt/nvidia/nsight-systems/2023.4.1/bin/nsys");
    let new = file(root, "opt/nvidia/nsight-systems/2024.10.1/bin/nsys");
    let cuda = file(root, "usr/local/cuda-12.8/bin/nsys");
    let linked = root.join("bin/nsys");
    fs::create_dir_all(root.join("bin")).expect("a folder");
    symlink(&old, &linked).expect("a link");
    let path = std::env::join_paths([root.join("nothing-here"), root.join("bin")]).expect("plain names");
    assert_eq!(candidates(&path, root), [linked, new, cuda]);
    assert_eq!(candidates(OsStr::new(""), &root.join("bin")), Vec::<PathBuf>::new());
}

#[test]
fn an_installation_that_is_split_as_in_debian_gets_the_link_that_mends_it() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let nsys = file(root, "usr/lib/x86_64-linux-gnu/nsight-systems/target-linux-x64/nsys");
    let whole = lacks_importer(&nsys, root).expect("there is none");
    assert!(whole.fix.contains("apt install"), "{whole}");
    let host = file(root, "usr/lib/nsight-systems/host-linux-x64/QdstrmImporter");
    let host = host.parent().expect("its folder");
    let expected = root.join("usr/lib/x86_64-linux-gnu/nsight-systems/host-linux-x64");
    let split = lacks_importer(&nsys, root).expect("it is elsewhere");
    assert_eq!(split.fix, format!("sudo ln -s {} {}", host.display(), expected.display()));
    symlink(host, &expected).expect("a link");
    assert_eq!(lacks_importer(&nsys, root), None);
    assert_eq!(
        importer(&nsys),
        Some(
            fs::canonicalize(&nsys).unwrap().parent().unwrap().with_file_name("host-linux-x64").join("QdstrmImporter")
        )
    );
}

#[test]
fn a_wrapper_script_is_taken_at_its_word() {
    assert_eq!(lacks_importer(Path::new("/usr/local/cuda/bin/nsys"), Path::new("/")), None);
}
