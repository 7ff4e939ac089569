//! The targets: one file each, and the list of them.

pub mod baseline_pipeline_parallelism;
pub mod optimized_pipeline_parallelism;
pub mod synthetic;

use crate::Target;

/// Every target.
pub static TARGETS: &[&Target] =
    &[&baseline_pipeline_parallelism::TARGET, &optimized_pipeline_parallelism::TARGET, &synthetic::TARGET];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_names_every_file_in_this_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/targets");
        let files: BTreeSet<_> = std::fs::read_dir(folder)
            .expect("the source folder is readable")
            .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
            .filter(|stem| stem != "mod")
            .collect();
        let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        assert_eq!(files, names);
    }

    #[test]
    fn every_parameter_is_documented_and_named_once() {
        for target in TARGETS {
            let names: BTreeSet<_> = target.parameters.iter().map(|parameter| parameter.name).collect();
            assert_eq!(names.len(), target.parameters.len(), "{}", target.name);
            assert!(target.parameters.iter().all(|parameter| parameter.doc.ends_with('.')), "{}", target.name);
        }
    }
}
