//! The targets: one file each, and the list of them.

pub mod baseline_dynamic_router;
pub mod baseline_dynamic_router_vllm;
pub mod baseline_dynamic_routing;
pub mod baseline_pipeline_parallelism;
pub mod baseline_router;
pub mod baseline_routing_static;
pub mod early_rejection;
pub mod optimized_dynamic_router;
pub mod optimized_dynamic_router_vllm;
pub mod optimized_dynamic_routing;
pub mod optimized_pipeline_parallelism;
pub mod optimized_router;
pub mod optimized_routing_static;
pub mod synthetic;
pub mod topology_probe;

use crate::Target;

/// Every target.
pub static TARGETS: &[&Target] = &[
    &baseline_pipeline_parallelism::TARGET,
    &optimized_pipeline_parallelism::TARGET,
    &baseline_router::TARGET,
    &optimized_router::TARGET,
    &baseline_dynamic_router::TARGET,
    &optimized_dynamic_router::TARGET,
    &baseline_dynamic_router_vllm::TARGET,
    &optimized_dynamic_router_vllm::TARGET,
    &early_rejection::TARGET,
    &baseline_dynamic_routing::TARGET,
    &optimized_dynamic_routing::TARGET,
    &baseline_routing_static::TARGET,
    &optimized_routing_static::TARGET,
    &topology_probe::TARGET,
    &synthetic::TARGET,
];

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
