//! What can observe a run: one file a profiler, and the list of them.

pub mod host;

/// One profiler.
pub struct Profiler {
    /// Name: the value of `--profile` presets, the manifest and `list profilers`.
    pub name: &'static str,
    /// What it records.
    pub doc: &'static str,
    /// Whether it can work on this machine, or else the fix.
    pub available: fn() -> Result<(), String>,
}

/// Every profiler that this version can drive.
pub static PROFILERS: &[&Profiler] = &[&host::PROFILER];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_file_in_this_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/profilers");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the source folder is readable")
            .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
            .filter(|stem| stem != "mod")
            .collect();
        files.sort();
        let mut names: Vec<_> = PROFILERS.iter().map(|profiler| profiler.name.to_owned()).collect();
        names.sort();
        assert_eq!(files, names);
    }
}
