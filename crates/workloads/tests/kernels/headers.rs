//! What the header comments must have.

use std::collections::BTreeSet;

use proftool_workloads::cuda::counts;

use super::host;

/// Names of the `extern "C"` kernels in a source.
fn functions(source: &str) -> BTreeSet<&str> {
    let after = |text: &'static str| source.split(text).skip(1);
    after("extern \"C\" __global__")
        .filter_map(|rest| {
            let words = rest.split("__launch_bounds__(").last()?;
            let words = words.split_once(") ").map_or(words, |(_, words)| words);
            words.trim_start().trim_start_matches("void ").split('(').next()
        })
        .collect()
}

#[test]
fn every_kernel_has_an_entry_with_launch_and_counts_in_its_header() {
    let mut files = 0;
    for file in std::fs::read_dir(host::folder()).expect("kernels/ is there") {
        let path = file.expect("readable").path();
        let source = std::fs::read_to_string(&path).expect("text");
        let entries = counts::entries(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stated: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(stated, functions(&source), "{}", path.display());
        assert!(!stated.is_empty(), "{} has no kernel", path.display());
        for entry in &entries {
            let values: Vec<(&str, u64)> = entry.parameters.iter().map(|parameter| (*parameter, 64)).collect();
            for line in ["grid_x", "block_x", "flop", "bytes", "loads", "stores"] {
                let value = entry.evaluate(line, &values).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
                assert!(value.is_some(), "{}: no line `{line}`", entry.name);
            }
            for (line, _) in &entry.lines {
                entry.evaluate(line, &values).unwrap_or_else(|error| panic!("{} {line}: {error}", entry.name));
            }
        }
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn kernels_include_no_header() {
    for file in std::fs::read_dir(host::folder()).expect("kernels/ is there") {
        let source = std::fs::read_to_string(file.expect("readable").path()).expect("text");
        // NVRTC finds none on a machine with a driver only.
        assert!(!source.contains("#include"));
    }
}
