//! The files of `specs/gpu/`, embedded in the binary.

use std::sync::LazyLock;

use super::GpuSpec;

/// Every file of `specs/gpu/` by its stem; a test compares the list with the folder.
pub(super) const FILES: &[(&str, &str)] = &[
    ("a10", include_str!("../../specs/gpu/a10.toml")),
    ("a100-40gb", include_str!("../../specs/gpu/a100-40gb.toml")),
    ("a100-40gb-pcie", include_str!("../../specs/gpu/a100-40gb-pcie.toml")),
    ("a100-80gb", include_str!("../../specs/gpu/a100-80gb.toml")),
    ("a100-80gb-pcie", include_str!("../../specs/gpu/a100-80gb-pcie.toml")),
    ("b200", include_str!("../../specs/gpu/b200.toml")),
    ("b300", include_str!("../../specs/gpu/b300.toml")),
    ("gb10", include_str!("../../specs/gpu/gb10.toml")),
    ("gb200", include_str!("../../specs/gpu/gb200.toml")),
    ("gb300", include_str!("../../specs/gpu/gb300.toml")),
    ("gh200-144gb", include_str!("../../specs/gpu/gh200-144gb.toml")),
    ("gh200-96gb", include_str!("../../specs/gpu/gh200-96gb.toml")),
    ("h100-nvl", include_str!("../../specs/gpu/h100-nvl.toml")),
    ("h100-pcie", include_str!("../../specs/gpu/h100-pcie.toml")),
    ("h100-sxm", include_str!("../../specs/gpu/h100-sxm.toml")),
    ("h200", include_str!("../../specs/gpu/h200.toml")),
    ("l4", include_str!("../../specs/gpu/l4.toml")),
    ("l40s", include_str!("../../specs/gpu/l40s.toml")),
    ("mi100", include_str!("../../specs/gpu/mi100.toml")),
    ("mi210", include_str!("../../specs/gpu/mi210.toml")),
    ("mi250x", include_str!("../../specs/gpu/mi250x.toml")),
    ("mi300x", include_str!("../../specs/gpu/mi300x.toml")),
    ("mi325x", include_str!("../../specs/gpu/mi325x.toml")),
    ("mi350x", include_str!("../../specs/gpu/mi350x.toml")),
    ("mi355x", include_str!("../../specs/gpu/mi355x.toml")),
    ("rtx-3070", include_str!("../../specs/gpu/rtx-3070.toml")),
    ("rtx-3080", include_str!("../../specs/gpu/rtx-3080.toml")),
    ("rtx-3090", include_str!("../../specs/gpu/rtx-3090.toml")),
    ("rtx-4090", include_str!("../../specs/gpu/rtx-4090.toml")),
    ("rtx-5070", include_str!("../../specs/gpu/rtx-5070.toml")),
    ("rtx-5090", include_str!("../../specs/gpu/rtx-5090.toml")),
    ("rtx-a6000", include_str!("../../specs/gpu/rtx-a6000.toml")),
    ("t4", include_str!("../../specs/gpu/t4.toml")),
    ("v100-pcie", include_str!("../../specs/gpu/v100-pcie.toml")),
    ("v100-sxm2", include_str!("../../specs/gpu/v100-sxm2.toml")),
];

// A file that does not parse would be left out; the tests let none pass.
static SPECS: LazyLock<Vec<GpuSpec>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());

/// Every spec, by name of the file.
pub fn all() -> &'static [GpuSpec] {
    &SPECS
}
